package ovstest

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// Process is a child process that a test may stop in any way.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// StartProcess starts a command.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // its state says the same
	}()
	return p, nil
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// ExitCode returns what the process returned, -1 if a signal ended it. It waits
// for the end.
func (p *Process) ExitCode() int {
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the process a signal: SIGSTOP makes one that hangs.
func (p *Process) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("signal %s: %v", p.cmd.Path, err)
	}
}

// Kill ends the process as a crash would, and waits for the end. A stopped one
// dies of SIGKILL too.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // perhaps it has ended
	<-p.ended
}
