package main

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tssbackup/tssbackup/testutil/freeport"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tssbackupd": main})
}

// TestScripts runs the daemon's command line as an operator does. Each script has a home of its own
// and free ports in $RPC, $P2P and $API.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			addrs, err := freeport.Addrs(3)
			if err != nil {
				return err
			}
			for i, name := range []string{"RPC", "P2P", "API"} {
				_, port, _ := net.SplitHostPort(addrs[i])
				env.Setenv(name, port)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"retry":   retry,
			"capture": capture,
		},
	})
}

// retry runs a command until its output matches: retry REGEXP COMMAND...
func retry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: retry REGEXP COMMAND...")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	deadline := time.After(time.Minute)
	for {
		out := printed(ts, args[1:])
		if want.MatchString(out) {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("no %s in %s", want, out)
		default:
		}
	}
}

// capture sets a variable to the output of a command: capture NAME COMMAND...
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: capture NAME COMMAND...")
	}
	ts.Setenv(args[0], strings.TrimSpace(printed(ts, args[1:])))
}

// printed runs a command in the script's environment and returns what it printed.
func printed(ts *testscript.TestScript, args []string) string {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"HOME=" + ts.Getenv("HOME"), "PATH=" + ts.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s: %s", err, out)
	}
	return string(out)
}
