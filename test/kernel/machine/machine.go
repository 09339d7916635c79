// Package machine runs programs in emulated machines: QEMU with a kernel of
// Debian, which has what the kernel of the test machine may lack, such as Open
// vSwitch's datapath.
package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// memory of a machine in MiB, and its processors.
	memory     = 2048
	processors = 2
	// sign is how long a kernel has to come to an end with KVM. Where KVM is there and
	// does not work, it does not even begin.
	sign = 5 * time.Second
	// up is what a machine says when it has booted: see scripts/machine/init.
	up = "the machine is up"
	// tail is how much of a console an error shows, in bytes.
	tail = 4096
)

// Machine is what machines are started from.
type Machine struct {
	kernel, root string // files
	accelerator  []string
}

// Prepare makes the files of a machine of a Debian release, such as bookworm, by
// the scripts of the project in a directory; without a release it is the default
// one. It needs Docker, and the network for what is not in Docker's cache.
func Prepare(ctx context.Context, project, release string) (*Machine, error) {
	var says bytes.Buffer
	build := exec.CommandContext(ctx, filepath.Join(project, "scripts/machine/build"), release)
	build.Stderr = &says
	out, err := build.Output()
	if err != nil {
		return nil, fmt.Errorf("make a machine: %w\n%s", err, says.Bytes())
	}
	directory := strings.TrimSpace(string(out))
	m := &Machine{kernel: filepath.Join(directory, "vmlinuz"), root: filepath.Join(directory, "root.cpio")}
	m.accelerator = m.accelerate(ctx)
	return m, nil
}

// Accelerated says that the machines use KVM.
func (m *Machine) Accelerated() bool { return m.accelerator[1] == "kvm" }

// accelerate returns how QEMU is to run machines: by KVM, if a kernel comes to an
// end with it. Without a root it soon panics.
func (m *Machine) accelerate(ctx context.Context) []string {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(ctx, sign)
	defer cancel()
	kvm := []string{"-accel", "kvm", "-cpu", "host"}
	console, err := m.command(ctx, kvm, "-append", "console=ttyS0 panic=-1 no_timer_check", "-serial", "stdio").Output()
	if err == nil && bytes.Contains(console, []byte("Kernel panic")) {
		return kvm
	}
	return []string{"-accel", "tcg,thread=multi", "-cpu", "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt"}
}

// command returns QEMU. It ends with the thread that starts it, and so with a test
// that is killed: who starts it holds on to that thread.
func (m *Machine) command(ctx context.Context, accelerator []string, more ...string) *exec.Cmd {
	args := append([]string{
		"-M", "q35", "-m", fmt.Sprint(memory), "-smp", fmt.Sprint(processors), "-nodefaults", "-no-user-config", "-display", "none",
		"-no-reboot", "-kernel", m.kernel,
	}, accelerator...)
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append(args, more...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Job is what a machine does: its shell script /machine/job.
type Job struct {
	// Script is of sh(1). It runs as root.
	Script string
	// Files are put into the machine: the paths there and here.
	Files map[string]string
	// Early lets the script begin as soon as the machine is up, and not when an
	// Open vSwitch that it starts would find its processors.
	Early bool
}

// ErrFailed says that a job ended with another status than 0.
var ErrFailed = errors.New("the job failed")

// Run starts a machine, lets it do a job and writes what that says to w, as it
// comes. The machine ends with ctx. An error that is not ErrFailed says that the
// machine did not come to the job's end, and shows the end of its console.
func (m *Machine) Run(ctx context.Context, job Job, w io.Writer) error {
	initrd, says, err := m.files(ctx, job)
	if err != nil {
		return fmt.Errorf("pack the files of a machine: %w", err)
	}
	defer initrd.Close() //nolint:errcheck // what was written was checked
	defer says.Close()   //nolint:errcheck // it was read only
	console := &lastBytes{limit: tail}
	booted, failed := m.boot(ctx, initrd, says, w, console)
	if !booted && ctx.Err() == nil {
		// Emulation can trip over a kernel that patches itself while it boots.
		_, failed = m.boot(ctx, initrd, says, w, console)
	}
	ended := regexp.MustCompile(`the job ended with (\d+)`).FindSubmatch(console.data)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the machine did not end in time (%s): %w\n%s", m.accelerator[1], context.Cause(ctx), console.data)
	case failed != nil:
		return fmt.Errorf("the machine (%s): %w\n%s", m.accelerator[1], failed, console.data)
	case ended == nil:
		return fmt.Errorf("the machine (%s) ended before its job\n%s", m.accelerator[1], console.data)
	case string(ended[1]) != "0":
		return fmt.Errorf("%w: status %s\n%s", ErrFailed, ended[1], console.data)
	}
	return nil
}

// boot runs QEMU once, and keeps the end of what it and the machine say. It reports
// whether the machine came to be up, and how QEMU ended.
func (m *Machine) boot(ctx context.Context, initrd, says *os.File, w io.Writer, console *lastBytes) (booted bool, failed error) {
	// Files that a process inherits have the numbers from 3 on.
	cmd := m.command(ctx, m.accelerator, "-initrd", "/dev/fd/3",
		"-append", "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check rdinit=/init",
		"-chardev", "stdio,id=output,signal=off", "-serial", "file:/dev/fd/4", "-serial", "chardev:output")
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = w, console, []*os.File{initrd, says}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	failed = cmd.Run()
	_, err := says.Seek(0, io.SeekStart)
	text, unread := io.ReadAll(says)
	_, _ = console.Write(text) // it takes all
	return bytes.Contains(text, []byte(up)), errors.Join(failed, err, unread)
}

// files returns the archive of a machine, and an empty file for its console. Both
// have no name any more, so that none is left when a test is killed.
func (m *Machine) files(ctx context.Context, job Job) (initrd, console *os.File, err error) {
	directory, err := os.MkdirTemp("", "machine")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(directory) //nolint:errcheck // the system removes it some time
	archive := filepath.Join(directory, "initrd")
	if err := m.pack(ctx, job, directory, archive); err != nil {
		return nil, nil, err
	}
	if initrd, err = os.Open(archive); err != nil {
		return nil, nil, err
	}
	console, err = os.Create(filepath.Join(directory, "console"))
	return initrd, console, err
}

// pack writes the root and the files of a job to an archive. The kernel unpacks
// one archive behind the other.
func (m *Machine) pack(ctx context.Context, job Job, directory, initrd string) error {
	tree := filepath.Join(directory, "tree")
	for path, source := range job.Files {
		if err := place(filepath.Join(tree, path), source); err != nil {
			return err
		}
	}
	own := filepath.Join(tree, "machine")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return err
	}
	if job.Early {
		if err := os.WriteFile(filepath.Join(own, "early"), nil, 0o600); err != nil {
			return err
		}
	}
	script := "#!/bin/sh\n" + job.Script
	if err := os.WriteFile(filepath.Join(own, "job"), []byte(script), 0o700); err != nil { //nolint:gosec // it is a program
		return err
	}
	archive, err := os.Create(initrd)
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // what was written was checked
	root, err := os.Open(m.root)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was read only
	if _, err := io.Copy(archive, root); err != nil {
		return err
	}
	var says bytes.Buffer
	cmd := exec.CommandContext(ctx, "bsdtar", "-c", "--format", "newc", "--uid", "0", "--gid", "0", "-C", tree, "-f", "-", ".")
	cmd.Stdout, cmd.Stderr = archive, &says
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("bsdtar: %w: %s", err, says.Bytes())
	}
	return os.RemoveAll(tree)
}

// place puts a file to a path, without a copy where the two are on one disk.
func place(path, source string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	source, err := filepath.EvalSymlinks(source)
	if err != nil {
		return err
	}
	if os.Link(source, path) == nil {
		return nil
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, info.Mode().Perm())
}

// lastBytes keeps the end of what is written.
type lastBytes struct {
	limit int
	data  []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.data = append(l.data, p...)
	l.data = l.data[max(0, len(l.data)-l.limit):]
	return len(p), nil
}
