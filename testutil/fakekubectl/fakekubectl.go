// Package fakekubectl is a cluster in which everything is this machine, for tests of what is typed
// on one: what would run in a pod runs here.
package fakekubectl

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// Main is kubectl. It takes the secret of a pod from where $SECRET_FILE says, and $REPLICAS are how
// many pods a workload has. A pod's command is that of its image's name.
func Main() {
	args := os.Args[1:]
	if len(args) > 2 && args[0] == "--namespace" {
		args = args[2:]
	}
	var command, env []string
	switch args[0] {
	case "get":
		fmt.Print(os.Getenv("REPLICAS"))
		return
	case "exec":
		command = args[slices.Index(args, "--")+1:]
	case "run":
		var pod struct {
			Spec struct {
				Containers []struct {
					Image string
					Args  []string
					Env   []struct{ Name, Value string }
				}
			}
		}
		overrides := args[slices.Index(args, "--overrides")+1]
		if err := json.Unmarshal([]byte(overrides), &pod); err != nil {
			fmt.Fprintln(os.Stderr, err, overrides)
			os.Exit(64)
		}
		c := pod.Spec.Containers[0]
		if c.Image != args[slices.Index(args, "--image")+1] {
			fmt.Fprintln(os.Stderr, "two images:", c.Image, args)
			os.Exit(64)
		}
		name, _, _ := strings.Cut(path.Base(c.Image), ":")
		command = append([]string{name}, c.Args...)
		for _, e := range c.Env {
			env = append(env, e.Name+"="+e.Value)
		}
		command[slices.Index(command, "/run/credentials/mnemonic")] = os.Getenv("SECRET_FILE")
	}
	cmd := exec.Command(path.Base(command[0]), command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(max(1, cmd.ProcessState.ExitCode()))
	}
}
