package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// composeFile is the network as services of docker compose, from the images of make dist, and
// prometheusFile what a Prometheus beside it scrapes.
func (n *network) composeFile() string    { return filepath.Join(n.Dir, "compose.yaml") }
func (n *network) prometheusFile() string { return filepath.Join(n.Dir, "prometheus.yml") }

// prometheusImage is not ours, and so the only one that comes from a registry.
const prometheusImage = "docker.io/prom/prometheus:v3.5.0"

type service struct {
	Image       string            `json:"image"`
	Command     []string          `json:"command"`
	User        string            `json:"user,omitempty"`
	NetworkMode string            `json:"network_mode"`
	ReadOnly    bool              `json:"read_only"`
	CapDrop     []string          `json:"cap_drop"`
	SecurityOpt []string          `json:"security_opt"`
	Ulimits     map[string]int    `json:"ulimits,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	Volumes     []string          `json:"volumes"`
}

// writeCompose leaves what has the network run again, in containers: each process that runs as it
// was started, on the host's own network, and a Prometheus.
func (n *network) writeCompose() error {
	user := ""
	// Root is nobody in an image, and has to give its files to the images' user.
	if id := os.Getuid(); id != 0 {
		user = fmt.Sprintf("%d:%d", id, os.Getgid())
	}
	restricted := service{
		User: user, NetworkMode: "host", ReadOnly: true, CapDrop: []string{"ALL"},
		SecurityOpt: []string{"no-new-privileges"},
		Ulimits:     map[string]int{"nofile": 4096, "nproc": 4096},
	}
	services := map[string]service{}
	for name, args := range n.Running() {
		s := restricted
		s.Image = "${REGISTRY:-localhost}/" + filepath.Base(args[0]) + ":${VERSION}"
		s.Command = args[1:]
		if at := slices.Index(args, "--home"); at > 0 {
			s.Volumes = append(s.Volumes, args[at+1]+":"+args[at+1])
		}
		switch {
		case name == pageName:
			state := os.Getenv("XDG_STATE_HOME")
			s.Environment = map[string]string{"XDG_STATE_HOME": state}
			s.Volumes = append(s.Volumes, state+":"+state)
		case strings.HasPrefix(name, "signer"):
			backups := filepath.Join(n.Dir, "backups")
			s.Volumes = append(s.Volumes, backups+":"+backups)
		}
		services[name] = s
	}
	s := restricted
	s.Image, s.User, s.Ulimits = prometheusImage, "", nil
	s.Command = []string{
		"--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus",
		"--web.listen-address=127.0.0.1:9090",
	}
	s.Volumes = []string{n.prometheusFile() + ":/etc/prometheus/prometheus.yml:ro"}
	services["prometheus"] = s
	return write(n.composeFile(), map[string]any{"services": services})
}

// writePrometheus leaves what a Prometheus scrapes, also one that somebody starts at once.
func (n *network) writePrometheus() error {
	var targets []string
	for _, m := range n.members {
		targets = append(targets, m.Metrics)
	}
	return write(n.prometheusFile(), map[string]any{
		"global": map[string]any{"scrape_interval": "1s"},
		"scrape_configs": []any{
			scrape("bifrost", targets...),
			scrape("tssbackup-watch", strings.TrimPrefix(n.Page, "http://")),
		},
	})
}

// write makes a file of YAML. There is no secret in it, and Prometheus reads its own as another
// user.
func write(path string, content any) error {
	raw, err := yaml.Marshal(content)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

func scrape(job string, targets ...string) any {
	return map[string]any{
		"job_name":       job,
		"static_configs": []any{map[string]any{"targets": targets}},
	}
}
