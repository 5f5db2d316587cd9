package processes

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

// Processes are those that were started and have to be stopped.
type Processes struct {
	mu      sync.Mutex
	running map[string]*process
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// Start runs a daemon with its output at the end of a file, and with these settings of the
// environment beside those of this process. It leads a process group of its own, so that it neither
// dies with this process nor leaves children. A daemon of the same name has ended before.
func (p *Processes) Start(name, logFile string, env []string, bin string, args ...string) error {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), env...)
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

// Alive returns an error when the process has ended by itself.
func (p *Processes) Alive(name string) error {
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

// Kill ends a process as a power cut does.
func (p *Processes) Kill(name string) {
	if proc := p.take(name); proc != nil {
		_ = syscall.Kill(-proc.cmd.Process.Pid, syscall.SIGKILL)
		<-proc.done
	}
}

// Signal sends a signal to a process that runs.
func (p *Processes) Signal(name string, sig syscall.Signal) error {
	p.mu.Lock()
	proc := p.running[name]
	p.mu.Unlock()
	if proc == nil {
		return fmt.Errorf("%s does not run", name)
	}
	return syscall.Kill(-proc.cmd.Process.Pid, sig)
}

// take gives a process to who ends it.
func (p *Processes) take(name string) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	proc := p.running[name]
	delete(p.running, name)
	return proc
}

// Stop asks a process to end and insists after a while.
func (p *Processes) Stop(name string) {
	proc := p.take(name)
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

// StopAll stops all of them at once.
func (p *Processes) StopAll() {
	var names []string
	p.mu.Lock()
	for name := range p.running {
		names = append(names, name)
	}
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() { p.Stop(name) })
	}
	wg.Wait()
}

// Pid is the number of a process that was started and not stopped, 0 if there is none of the name.
func (p *Processes) Pid(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if proc := p.running[name]; proc != nil {
		return proc.cmd.Process.Pid
	}
	return 0
}

// Pids are the numbers of the processes that were started and not stopped.
func (p *Processes) Pids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pids []string
	for _, proc := range p.running {
		pids = append(pids, fmt.Sprint(proc.cmd.Process.Pid))
	}
	return pids
}

// Running are the command lines of the processes that were started and not stopped, by their names.
func (p *Processes) Running() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := map[string][]string{}
	for name, proc := range p.running {
		lines[name] = proc.cmd.Args
	}
	return lines
}

// Command runs a binary to its end and returns its standard output. An error holds what it said on
// standard error.
func Command(ctx context.Context, bin string, args ...string) ([]byte, error) {
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

// Await asks until it is so, until the context ends, or until so much time has passed. Its error
// holds the last one of asking.
func Await(
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
		if err != nil && (last == nil || ctx.Err() == nil) {
			last = err // and not of what the end of the time cut short
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
