package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// processes are what the demo started and has to stop.
type processes struct {
	mu      sync.Mutex
	running map[string]*process
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// start runs a daemon with its output in a file. It leads a process group of its own, so that it
// neither dies with the demo (KEEP=1) nor leaves children.
func (p *processes) start(name, logFile, bin string, args ...string) error {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	proc := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(proc.done)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		p.running = map[string]*process{}
	}
	p.running[name] = proc
	return nil
}

// alive returns an error when the process has ended by itself.
func (p *processes) alive(name string) error {
	p.mu.Lock()
	proc := p.running[name]
	p.mu.Unlock()
	if proc == nil {
		return nil
	}
	select {
	case <-proc.done:
		return fmt.Errorf("%s ended: %s", name, proc.cmd.ProcessState)
	default:
		return nil
	}
}

// stop asks a process to end and insists after a while.
func (p *processes) stop(name string) {
	p.mu.Lock()
	proc := p.running[name]
	delete(p.running, name)
	p.mu.Unlock()
	if proc == nil {
		return
	}
	_ = syscall.Kill(-proc.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-proc.done:
	case <-time.After(10 * time.Second):
		_ = syscall.Kill(-proc.cmd.Process.Pid, syscall.SIGKILL)
		<-proc.done
	}
}

func (p *processes) stopAll() {
	var names []string
	p.mu.Lock()
	for name := range p.running {
		names = append(names, name)
	}
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() { p.stop(name) })
	}
	wg.Wait()
}

func (p *processes) pids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pids []string
	for _, proc := range p.running {
		pids = append(pids, fmt.Sprint(proc.cmd.Process.Pid))
	}
	return pids
}

// command runs a binary to its end and returns its standard output. An error holds what it said on
// standard error.
func command(ctx context.Context, bin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		return stdout.Bytes(), fmt.Errorf(
			"%s %s: %w: %s",
			filepath.Base(bin),
			strings.Join(args, " "),
			err,
			said,
		)
	}
	return stdout.Bytes(), nil
}

// await asks until it is so, until the context ends, or until a minute-long patience given in d is
// over.
func await(
	ctx context.Context,
	d time.Duration,
	what string,
	ask func(context.Context) (bool, error),
) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		ok, err := ask(ctx)
		if ok {
			return nil
		}
		if err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if last != nil {
				return fmt.Errorf("waited for %s: %w", what, last)
			}
			return fmt.Errorf("waited for %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}
