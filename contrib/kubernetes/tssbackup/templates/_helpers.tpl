{{/* The name of a part: that of the release, and the part. */}}
{{- define "tssbackup.name" -}}
{{- printf "%s-%s" (.root.Release.Name | trunc 40 | trimSuffix "-") .part -}}
{{- end -}}

{{- define "tssbackup.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "tssbackup.labels" -}}
{{ include "tssbackup.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* An image of make dist. */}}
{{- define "tssbackup.image" -}}
{{- with .root.Values.images.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{ .name }}:{{ .root.Values.images.tag | default (printf "v%s" .root.Chart.AppVersion) }}
{{- end -}}

{{/*
What every pod has. The number is the user of the images. OnRootMismatch matters: without it the kubelet
lets the group write to each file of the home at each mount, and bifrost refuses a home that others may
look into.
*/}}
{{- define "tssbackup.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "tssbackup.restricted" -}}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* A container of bifrost's image, as the signer's pod has it. */}}
{{- define "tssbackup.bifrost" -}}
image: {{ include "tssbackup.image" (dict "root" . "name" "bifrost") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
{{ include "tssbackup.restricted" . }}
env:
  # Where bifrost looks for a file mnemonic before it looks into its home.
  - {name: CREDENTIALS_DIRECTORY, value: /run/credentials}
{{- end -}}

{{/* The home is where bifrost has it unless it is told otherwise. The configuration lies over the one
that init wrote: the values are what counts. */}}
{{- define "tssbackup.mounts" -}}
volumeMounts:
  - {name: home, mountPath: /home/bifrost}
  - {name: config, mountPath: /home/bifrost/.local/share/bifrost/config.toml, subPath: config.toml, readOnly: true}
  - {name: backups, mountPath: /backups}
  - {name: mnemonic, mountPath: /run/credentials, readOnly: true}
{{- end -}}

{{- define "tssbackup.volumes" -}}
- name: config
  configMap: {name: {{ include "tssbackup.name" (dict "root" . "part" "signer") }}}
- name: mnemonic
  {{- if .Values.signer.mnemonic.csi }}
  csi:
    {{- toYaml .Values.signer.mnemonic.csi | nindent 4 }}
  {{- else }}
  secret:
    secretName: {{ .Values.signer.mnemonic.secret }}
    defaultMode: 0440
    items:
      - {key: mnemonic, path: mnemonic}
  {{- end }}
{{- end -}}

{{- define "tssbackup.claim" -}}
metadata:
  name: {{ .name }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .storage.class }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ .storage.size }}}
{{- end -}}

{{/* Peers, witnesses and sinks may be anywhere, but not where clouds tell a machine its secrets. */}}
{{- define "tssbackup.egress" -}}
- to:
    - namespaceSelector: {}
    - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
    - ipBlock: {cidr: "::/0", except: ["fd00:ec2::254/128", "fe80::/10"]}
{{- end -}}
