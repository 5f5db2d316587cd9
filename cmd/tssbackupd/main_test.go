package main

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tssbackupd": main})
}

// TestScripts runs the daemon's command line as an operator does. Each script
// has a home of its own and free ports in $RPC, $P2P and $API.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			for _, name := range []string{"RPC", "P2P", "API"} {
				port, err := freePort()
				if err != nil {
					return err
				}
				env.Setenv(name, strconv.Itoa(port))
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"retry":   retry,
			"capture": capture,
		},
	})
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
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
