//go:build chart

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
)

// What make chart installs: helm, and the folders of two modules that have the schemas of objects.
var (
	helmPath   = flag.String("helm", "", "helm")
	kubernetes = flag.String("kubernetes", "", "folder of k8s.io/kubernetes")
	monitors   = flag.String("monitors", "", "folder of github.com/prometheus-operator/prometheus-operator")
)

var chartFolder = filepath.Join("..", "..", "contrib", "kubernetes", "tssbackup")

const (
	withSecret = `
chainId: harbor-1
images: {registry: registry.example.org/tssbackup}
signer:
  operator: cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2
  witnesses: ["http://10.0.0.2:26657"]
  peers: [/dns4/signer.example.org/tcp/5040/p2p/16Uiu2HAm]
  public: [/dns4/me.example.org/tcp/5040]
  networks: [10.8.0.0/16]
  config: |
    [[sink]]
    name = "nas"
    url = "file:///backups/nas"
node: {genesis: {configMap: {name: genesis}}}
metrics: {serviceMonitor: true, labels: {release: prometheus}}
`
	withCSI = `
chainId: harbor-1
prefix: thor
operatorPrefix: thorv
images: {registry: registry.example.org/tssbackup, tag: v9.9.9, pullSecrets: [pull]}
signer:
  replicas: 0
  operator: thorv1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnn6fu2g
  node: http://thornode:27147
  mnemonic: {csi: {driver: secrets-store.csi.k8s.io, readOnly: true, volumeAttributes: {secretProviderClass: vault}}}
  service: {type: LoadBalancer, annotations: {example.org/ip: static}}
  storage: {size: 2Gi, class: fast}
backup: {claim: nas}
node: {enabled: false}
networkPolicy:
  metricsFrom: [{namespaceSelector: {matchLabels: {name: prometheus-system}}}]
`
)

// helm runs it with values, and returns what it says on both.
func helm(t *testing.T, values string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(*helmPath, append(args, "--values=-")...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir())
	cmd.Stdin = strings.NewReader(values)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func rendered(t *testing.T, values string) []object {
	t.Helper()
	out, err := helm(t, values, "template", "harbor", chartFolder, "--kube-version=1.34.0")
	require.NoError(t, err, out)
	var objects []object
	for _, text := range regexp.MustCompile(`(?m)^---$`).Split(out, -1) {
		var o object
		require.NoError(t, yaml.UnmarshalStrict([]byte(text), &o.all), text)
		if len(o.all) == 0 {
			continue
		}
		require.NoError(t, yaml.Unmarshal([]byte(text), &o))
		objects = append(objects, o)
	}
	return objects
}

// object is what of an object of Kubernetes matters here, and all of it.
type object struct {
	APIVersion string
	Kind       string
	Metadata   struct{ Name string }
	Data       map[string]string
	Spec       struct {
		Replicas    *int
		ServiceName string
		Template    struct{ Spec pod }
		JobTemplate struct {
			Spec struct {
				Template struct{ Spec pod }
			}
		}
		PublishNotReadyAddresses bool
		VolumeClaimTemplates     []struct{ Metadata struct{ Name string } }
		MinAvailable             int
		Ingress                  []struct {
			Ports []struct{ Port string }
			From  []any
		}
		PolicyTypes []string
	}

	all map[string]any
}

type pod struct {
	AutomountServiceAccountToken *bool
	ServiceAccountName           string
	HostNetwork, HostPID         bool
	SecurityContext              struct {
		RunAsNonRoot                   bool
		RunAsUser, RunAsGroup, FSGroup int
		FSGroupChangePolicy            string
		SeccompProfile                 struct{ Type string }
	}
	InitContainers, Containers []container
	Volumes                    []struct {
		Name      string
		ConfigMap *struct{ Name string }
		Secret    *struct {
			SecretName  string
			DefaultMode int
		}
		CSI                   map[string]any
		PersistentVolumeClaim *struct{ ClaimName string }
	}
}

type container struct {
	Name, Image     string
	Command, Args   []string
	Env             []struct{ Name, Value string }
	EnvFrom         []any
	SecurityContext struct {
		ReadOnlyRootFilesystem   bool
		AllowPrivilegeEscalation *bool
		Privileged               bool
		Capabilities             struct{ Drop, Add []string }
	}
	VolumeMounts []struct {
		Name, MountPath, SubPath string
		ReadOnly                 bool
	}
	Ports []struct {
		Name          string
		ContainerPort int
	}
	LivenessProbe, ReadinessProbe, StartupProbe *struct {
		HTTPGet struct{ Path, Port string }
	}
}

// pods are those that an object makes.
func (o object) pods() []pod {
	switch o.Kind {
	case "StatefulSet":
		return []pod{o.Spec.Template.Spec}
	case "CronJob":
		return []pod{o.Spec.JobTemplate.Spec.Template.Spec}
	}
	return nil
}

func find(t *testing.T, objects []object, kind, name string) object {
	t.Helper()
	i := slices.IndexFunc(objects, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
	require.GreaterOrEqual(t, i, 0, "%s %s", kind, name)
	return objects[i]
}

func TestTheChartPassesItsOwnLint(t *testing.T) {
	for _, values := range []string{withSecret, withCSI} {
		out, err := helm(t, values, "lint", "--strict", "--kube-version=1.34.0", chartFolder)
		require.NoError(t, err, out)
		require.NotContains(t, out, "[WARNING]")
	}
}

// TestTheChartIsKnownToKubernetes holds each object against the schema that Kubernetes publishes, in
// which nothing else may be than what it names.
func TestTheChartIsKnownToKubernetes(t *testing.T) {
	schemas := schemasOfKubernetes(t)
	kinds := map[string]bool{}
	for _, values := range []string{withSecret, withCSI} {
		for _, o := range rendered(t, values) {
			schema := schemas[o.APIVersion+"/"+o.Kind]
			require.NotNil(t, schema, "%s %s", o.APIVersion, o.Kind)
			raw, err := json.Marshal(o.all)
			require.NoError(t, err)
			instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			require.NoError(t, err)
			require.NoError(t, schema.Validate(instance), "%s %s", o.Kind, o.Metadata.Name)
			kinds[o.Kind] = true
		}
	}
	require.Len(t, kinds, 7)
	// What is misspelt, is missing or has another type is found.
	for _, row := range []struct{ name, text string }{
		{"a key that there is not", `{"apiVersion":"v1","kind":"ConfigMap","dta":{}}`},
		{"a selector that is missing", `{"apiVersion":"apps/v1","kind":"StatefulSet","spec":{"template":{}}}`},
		{"a number that is text", `{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","spec":{"selector":"all"}}`},
	} {
		var kind struct{ APIVersion, Kind string }
		require.NoError(t, json.Unmarshal([]byte(row.text), &kind))
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(row.text))
		require.NoError(t, err)
		require.Error(t, schemas[kind.APIVersion+"/"+kind.Kind].Validate(instance), row.name)
	}
}

// schemasOfKubernetes are compiled from what the API server publishes, and from the definition of a
// ServiceMonitor.
func schemasOfKubernetes(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	raw, err := os.ReadFile(filepath.Join(*kubernetes, "api", "openapi-spec", "swagger.json"))
	require.NoError(t, err)
	all, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	definitions := all.(map[string]any)["definitions"].(map[string]any)
	for name, either := range map[string]string{
		"io.k8s.apimachinery.pkg.util.intstr.IntOrString": "integer",
		"io.k8s.apimachinery.pkg.api.resource.Quantity":   "number",
	} {
		definitions[name] = map[string]any{"type": []any{"string", either}}
	}
	forbidOthers(definitions)
	require.NoError(t, compiler.AddResource("kubernetes.json", map[string]any{"definitions": definitions}))
	schemas := map[string]*jsonschema.Schema{}
	compile := func(kind, url string) {
		schemas[kind], err = compiler.Compile(url)
		require.NoError(t, err, kind)
	}
	for kind, name := range map[string]string{
		"v1/ConfigMap":                       "io.k8s.api.core.v1.ConfigMap",
		"v1/Service":                         "io.k8s.api.core.v1.Service",
		"apps/v1/StatefulSet":                "io.k8s.api.apps.v1.StatefulSet",
		"batch/v1/CronJob":                   "io.k8s.api.batch.v1.CronJob",
		"policy/v1/PodDisruptionBudget":      "io.k8s.api.policy.v1.PodDisruptionBudget",
		"networking.k8s.io/v1/NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
	} {
		compile(kind, "kubernetes.json#/definitions/"+name)
	}
	raw, err = os.ReadFile(filepath.Join(*monitors, "example", "prometheus-operator-crd",
		"monitoring.coreos.com_servicemonitors.yaml"))
	require.NoError(t, err)
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPI json.RawMessage `json:"openAPIV3Schema"`
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(raw, &crd))
	monitor, err := jsonschema.UnmarshalJSON(bytes.NewReader(crd.Spec.Versions[0].Schema.OpenAPI))
	require.NoError(t, err)
	forbidOthers(monitor)
	require.NoError(t, compiler.AddResource("monitor.json", monitor))
	compile("monitoring.coreos.com/v1/ServiceMonitor", "monitor.json")
	return schemas
}

// forbidOthers lets no object of a schema have keys that it does not name.
func forbidOthers(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if _, ok := s["properties"].(map[string]any); ok && s["type"] == "object" {
			s["additionalProperties"] = false
		}
		for _, sub := range s {
			forbidOthers(sub)
		}
	case []any:
		for _, sub := range s {
			forbidOthers(sub)
		}
	}
}

// TestPodsOfTheChartMayDoNothing holds for each pod: nothing of it is root's, or can be written to but
// volumes, and the mnemonic is a file, and in no environment, argument or object of the chart.
func TestPodsOfTheChartMayDoNothing(t *testing.T) {
	for values, tag := range map[string]string{withSecret: "v0.1.0", withCSI: "v9.9.9"} {
		for _, o := range rendered(t, values) {
			require.NotEqual(t, "Secret", o.Kind, "Helm would keep it")
			for _, p := range o.pods() {
				require.NotNil(t, p.AutomountServiceAccountToken)
				require.False(t, *p.AutomountServiceAccountToken)
				require.Empty(t, p.ServiceAccountName)
				require.False(t, p.HostNetwork || p.HostPID)
				require.True(t, p.SecurityContext.RunAsNonRoot)
				require.Equal(t, 65532, p.SecurityContext.RunAsUser)
				require.Equal(t, 65532, p.SecurityContext.RunAsGroup)
				require.Equal(t, 65532, p.SecurityContext.FSGroup)
				require.Equal(t, "OnRootMismatch", p.SecurityContext.FSGroupChangePolicy)
				require.Equal(t, "RuntimeDefault", p.SecurityContext.SeccompProfile.Type)
				for _, v := range p.Volumes {
					if v.Secret != nil {
						require.Equal(t, 0o440, v.Secret.DefaultMode)
						require.Equal(t, "bifrost-mnemonic", v.Secret.SecretName)
					}
					if v.Name == "mnemonic" && tag == "v9.9.9" {
						require.Nil(t, v.Secret)
						require.Equal(t, "secrets-store.csi.k8s.io", v.CSI["driver"])
					}
				}
				for _, c := range append(p.InitContainers, p.Containers...) {
					require.True(t, c.SecurityContext.ReadOnlyRootFilesystem)
					require.NotNil(t, c.SecurityContext.AllowPrivilegeEscalation)
					require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
					require.False(t, c.SecurityContext.Privileged)
					require.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop)
					require.Empty(t, c.SecurityContext.Capabilities.Add)
					require.Empty(t, c.EnvFrom)
					require.Empty(t, c.Command, "the images have one")
					for _, e := range c.Env {
						require.Equal(t, "CREDENTIALS_DIRECTORY=/run/credentials", e.Name+"="+e.Value)
					}
					name, isOurs := strings.CutPrefix(c.Image, "registry.example.org/tssbackup/")
					require.True(t, isOurs, c.Image)
					name, isTagged := strings.CutSuffix(name, ":"+tag)
					require.True(t, isTagged, c.Image)
					require.Contains(t, shippedImages(t), name)
				}
			}
		}
	}
}

// shippedImages are the names of the images that make dist makes.
func shippedImages(t *testing.T) []string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("..", "..", "scripts", "dist.sh"))
	require.NoError(t, err)
	names := regexp.MustCompile(`(?m)^read -ra names <<<"\$\{NAMES-(.*)\}"$`).FindSubmatch(script)
	require.NotNil(t, names)
	return strings.Fields(string(names[1]))
}

// TestTheChartsBifrostRuns holds what the chart has bifrost do against bifrost: its commands, its
// configuration, and where it answers.
func TestTheChartsBifrostRuns(t *testing.T) {
	objects := rendered(t, withSecret)
	signer := find(t, objects, "StatefulSet", "harbor-signer")
	p := signer.pods()[0]
	require.Equal(t, 1, *signer.Spec.Replicas)
	commands := 0
	for _, o := range objects {
		for _, p := range o.pods() {
			for _, c := range append(p.InitContainers, p.Containers...) {
				if !strings.Contains(c.Image, "/bifrost:") {
					continue
				}
				commands++
				runnable(t, c.Args)
			}
		}
	}
	require.Equal(t, 4, commands)

	// The configuration is one, and lies over the one that init made.
	folder := t.TempDir()
	config := find(t, objects, "ConfigMap", "harbor-signer").Data["config.toml"]
	require.NoError(t, os.WriteFile(home.ConfigPath(folder), []byte(config), 0o600))
	cfg, err := home.Load(folder)
	require.NoError(t, err, config)
	require.Equal(t, "harbor-1", cfg.ChainID)
	require.Equal(t, "http://harbor-node:26657", cfg.Node)
	require.Equal(t, []string{"http://10.0.0.2:26657"}, cfg.Witnesses)
	require.Equal(t, []string{"/dns4/signer.example.org/tcp/5040/p2p/16Uiu2HAm"}, cfg.P2P.Peers)
	require.Equal(t, "m/44'/118'/0'/0/0", cfg.HDPath)
	require.Equal(t, "/backups", cfg.Backup.Dir)
	require.Equal(t, "nas", cfg.Sinks[0].Name)
	c := p.Containers[0]
	paths := map[string]string{}
	for _, m := range c.VolumeMounts {
		paths[m.MountPath] = m.Name
		require.Equal(t, m.Name == "mnemonic" || m.Name == "config", m.ReadOnly)
	}
	require.Equal(t, map[string]string{
		"/home/bifrost": "home", "/home/bifrost/.local/share/bifrost/config.toml": "config", "/backups": "backups",
		"/run/credentials": "mnemonic",
	}, paths)

	// It answers where it is asked.
	served, err := os.ReadFile(filepath.Join("..", "..", "bifrost", "service", "control.go"))
	require.NoError(t, err)
	ports := map[string]int{}
	for _, port := range c.Ports {
		ports[port.Name] = port.ContainerPort
	}
	require.Equal(t, fmt.Sprintf("0.0.0.0:%d", ports["metrics"]), cfg.Metrics.Listen)
	require.Equal(t, []string{fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", ports["p2p"])}, cfg.P2P.Listen)
	for probe, path := range map[*struct{ HTTPGet struct{ Path, Port string } }]string{
		c.LivenessProbe: "/livez", c.ReadinessProbe: "/readyz",
	} {
		require.Equal(t, path, probe.HTTPGet.Path)
		require.Equal(t, "metrics", probe.HTTPGet.Port)
		require.Contains(t, string(served), `"GET `+path+`"`)
	}
	require.Contains(t, string(served), `"GET /metrics"`)

	// Other signers reach it also while it is not ready.
	require.True(t, find(t, objects, "Service", "harbor-signer-p2p").Spec.PublishNotReadyAddresses)
	require.Equal(t, 1, find(t, objects, "PodDisruptionBudget", "harbor-signer").Spec.MinAvailable)
	policy := find(t, objects, "NetworkPolicy", "harbor-signer").Spec
	require.Equal(t, []string{"Ingress", "Egress"}, policy.PolicyTypes)
	require.Equal(t, "p2p", policy.Ingress[0].Ports[0].Port)
	require.Empty(t, policy.Ingress[0].From)
	require.Equal(t, "metrics", policy.Ingress[1].Ports[0].Port)
	require.Len(t, policy.Ingress[1].From, 1)
	require.Empty(t, find(t, objects, "NetworkPolicy", "harbor-backup").Spec.Ingress)
}

func runnable(t *testing.T, args []string) {
	t.Helper()
	cmd, rest, err := program.Command(&command.Invocation{}).Find(args)
	require.NoError(t, err, args)
	require.True(t, cmd.Runnable() && !cmd.HasSubCommands(), args)
	require.NoError(t, cmd.ParseFlags(rest), args)
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), args)
}

// TestTheJobOfTheChartHasTheSignersClaims looks where a StatefulSet has them.
func TestTheJobOfTheChartHasTheSignersClaims(t *testing.T) {
	for values, wanted := range map[string][]string{
		withSecret: {"home-harbor-signer-0", "backups-harbor-signer-0"},
		withCSI:    {"home-harbor-signer-0", "nas"},
	} {
		objects := rendered(t, values)
		var claims []string
		for _, v := range find(t, objects, "CronJob", "harbor-backup").pods()[0].Volumes {
			if v.PersistentVolumeClaim != nil {
				claims = append(claims, v.PersistentVolumeClaim.ClaimName)
			}
		}
		require.Equal(t, wanted, claims)
		for _, made := range find(t, objects, "StatefulSet", "harbor-signer").Spec.VolumeClaimTemplates {
			require.Contains(t, wanted, made.Metadata.Name+"-harbor-signer-0")
		}
	}
}

func TestValuesThatTheChartRefuses(t *testing.T) {
	for _, row := range []struct{ name, former, latter, says string }{
		{"two signers with one mnemonic", "signer:\n", "signer:\n  replicas: 2\n", "signer/replicas"},
		{"a misspelt key", "signer:\n", "signer:\n  witneses: []\n", "witneses"},
		{"no chain", "chainId: harbor-1\n", "", "chainId"},
		{"no operator", "operator: cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2", "operator: ''", "operator"},
		{"no genesis", "{genesis: {configMap: {name: genesis}}}", "{}", "genesis"},
		{"no node at all", "{genesis: {configMap: {name: genesis}}}", "{enabled: false}", "signer/node"},
		{"no mnemonic", "signer:\n", "signer:\n  mnemonic: {secret: ''}\n", "mnemonic"},
		{"words among the values", "signer:\n", "signer:\n  mnemonic: {words: december noodle}\n", "words"},
	} {
		t.Run(row.name, func(t *testing.T) {
			values := strings.Replace(withSecret, row.former, row.latter, 1)
			require.NotEqual(t, withSecret, values)
			out, err := helm(t, values, "template", "harbor", chartFolder, "--kube-version=1.34.0")
			require.Error(t, err)
			require.Contains(t, strings.NewReplacer(".", "/", "'", "").Replace(out), row.says)
		})
	}
}

// Where scripts/dist-check.sh has images and a network.
var (
	images  = flag.String("images", "", "tag of the images, which podman has as localhost/NAME:TAG")
	genesis = flag.String("genesis", "", "genesis of a network, with validators")
)

// TestRenderedPodsRunInContainers does what a kubelet does with the pods: their containers run one
// after the other with podman, as the user, with the arguments and the volumes that the chart gives
// them, whose roots belong to the group alone. It needs root.
func TestRenderedPodsRunInContainers(t *testing.T) {
	raw, err := os.ReadFile(*genesis)
	require.NoError(t, err)
	var chain struct {
		ID string `json:"chain_id"`
	}
	require.NoError(t, json.Unmarshal(raw, &chain))
	objects := rendered(t, `
chainId: `+chain.ID+`
images: {registry: localhost, tag: `+*images+`}
signer: {operator: `+operator+`, node: "http://127.0.0.1:26657"}
node: {genesis: {configMap: {name: genesis}}}
`)
	config := find(t, objects, "ConfigMap", "harbor-signer").Data["config.toml"]
	dir := t.TempDir()
	volume := func(name string, mode os.FileMode, files map[string]string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Mkdir(path, 0o700))
		for file, content := range files {
			require.NoError(t, os.WriteFile(filepath.Join(path, file), []byte(content), 0o600))
			require.NoError(t, os.Chown(filepath.Join(path, file), 0, 65532))
			require.NoError(t, os.Chmod(filepath.Join(path, file), mode))
		}
		require.NoError(t, os.Chown(path, 0, 65532))
		require.NoError(t, os.Chmod(path, 0o770|os.ModeSetgid))
		return path
	}
	signers := map[string]string{
		"home": volume("signer", 0, nil), "backups": volume("backups", 0, nil),
		"mnemonic": volume("mnemonic", 0o440, map[string]string{"mnemonic": mnemonics[0]}),
		"config":   volume("config", 0o644, map[string]string{"config.toml": config}),
	}
	nodes := map[string]string{
		"home": volume("node", 0, nil), "genesis": volume("genesis", 0o644, map[string]string{"genesis.json": string(raw)}),
	}

	node := find(t, objects, "StatefulSet", "harbor-node").pods()[0]
	signer := find(t, objects, "StatefulSet", "harbor-signer").pods()[0]
	job := find(t, objects, "CronJob", "harbor-backup").pods()[0]
	// A pod that starts again finds the volumes as the first left them.
	for range 2 {
		podman(t, node.InitContainers[0], nodes)
		stopNode := podmanServes(t, node.Containers[0], nodes)
		out := podman(t, signer.InitContainers[0], signers)
		require.Contains(t, out, "register-signer")
		stop := podmanServes(t, signer.Containers[0], signers)
		podman(t, job.InitContainers[0], signers)
		podman(t, job.Containers[0], signers)
		stop()
		stopNode()
	}
	require.NoFileExists(t, filepath.Join(signers["home"], ".local", "share", "bifrost", "mnemonic"))
}

// podmanArgs are those of a container of a pod.
func podmanArgs(c container, volumes map[string]string) []string {
	args := []string{
		"--runtime=runc", "--events-backend=file", "run", "--rm", "--network=host",
		"--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096", "--user=65532:65532",
		"--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges",
	}
	for _, e := range c.Env {
		args = append(args, "--env="+e.Name+"="+e.Value)
	}
	for _, m := range c.VolumeMounts {
		mount := filepath.Join(volumes[m.Name], m.SubPath) + ":" + m.MountPath
		if m.ReadOnly {
			mount += ":ro"
		}
		args = append(args, "--volume="+mount)
	}
	return append(append(args, c.Image), c.Args...)
}

// podman runs a container to its end, which is a good one.
func podman(t *testing.T, c container, volumes map[string]string) string {
	t.Helper()
	out, err := exec.Command("podman", podmanArgs(c, volumes)...).CombinedOutput()
	require.NoError(t, err, "%s: %s", c.Name, out)
	return string(out)
}

// podmanServes runs a container until its liveness probe is answered, and returns what stops it.
func podmanServes(t *testing.T, c container, volumes map[string]string) (stop func()) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command("podman", podmanArgs(c, volumes)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	t.Cleanup(stop)
	probe := c.LivenessProbe.HTTPGet
	at := slices.IndexFunc(c.Ports, func(p struct {
		Name          string
		ContainerPort int
	},
	) bool {
		return p.Name == probe.Port
	})
	url := fmt.Sprintf("http://127.0.0.1:%d%s", c.Ports[at].ContainerPort, probe.Path)
	require.Eventually(t, func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, time.Minute, 200*time.Millisecond, "%s does not answer", c.Name)
	return stop
}
