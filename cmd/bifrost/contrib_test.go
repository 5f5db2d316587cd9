package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/tssbackup/tssbackup/bifrost/command"
)

// TestWhatContribRunsIsThere holds the command lines of the units and of the job against the
// commands.
func TestWhatContribRunsIsThere(t *testing.T) {
	contrib := filepath.Join("..", "..", "contrib")
	var lines [][]string
	units, err := filepath.Glob(filepath.Join(contrib, "systemd", "bifrost*.service"))
	require.NoError(t, err)
	for _, path := range units {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			if args, ok := strings.CutPrefix(line, "ExecStart=bifrost "); ok {
				lines = append(lines, strings.Fields(args))
			}
		}
	}
	require.Len(t, lines, 3)

	data, err := os.ReadFile(filepath.Join(contrib, "kubernetes", "backup-cronjob.yaml"))
	require.NoError(t, err)
	type container struct{ Args []string }
	var job struct {
		Spec struct {
			JobTemplate struct {
				Spec struct {
					Template struct {
						Spec struct {
							InitContainers []container `json:"initContainers"`
							Containers     []container
						}
					}
				}
			} `json:"jobTemplate"`
		}
	}
	require.NoError(t, yaml.Unmarshal(data, &job))
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		lines = append(lines, c.Args)
	}
	require.Len(t, lines, 5)

	for _, args := range lines {
		cmd, rest, err := program.Command(&command.Invocation{}).Find(args)
		require.NoError(t, err, args)
		require.True(t, cmd.Runnable() && !cmd.HasSubCommands(), args)
		require.NoError(t, cmd.ParseFlags(rest), args)
		require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), args)
		cmd.Flags().Visit(func(f *pflag.Flag) { require.NotEmpty(t, f.Value.String()) })
	}
}

// fakeKubectl is a cluster in which everything is this machine: a pod's command runs here, with the
// secret where $SECRET says. $REPLICAS are how many bifrosts run.
func fakeKubectl() {
	args := os.Args[1:]
	if len(args) > 2 && args[0] == "--namespace" {
		args = args[2:]
	}
	var command []string
	switch args[0] {
	case "get":
		fmt.Print(os.Getenv("REPLICAS"))
		return
	case "exec":
		command = args[slices.Index(args, "--")+1:]
	case "run":
		var pod struct {
			Spec struct{ Containers []struct{ Args []string } }
		}
		if json.Unmarshal([]byte(args[slices.Index(args, "--overrides")+1]), &pod) != nil {
			os.Exit(64)
		}
		command = append([]string{"bifrost"}, pod.Spec.Containers[0].Args...)
		secret := slices.Index(command, "/secrets/mnemonic")
		command[secret] = os.Getenv("SECRET")
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if cmd.Run() != nil {
		os.Exit(cmd.ProcessState.ExitCode())
	}
}
