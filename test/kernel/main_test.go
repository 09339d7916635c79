// Package kernel runs the project's tests where hosts in production forward: on
// the datapath of Linux, in an emulated machine, because the kernel of the machine
// that tests may lack it.
package kernel

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/test/kernel/machine"
)

const (
	project = "../.."
	// releaseVariable holds the Debian release whose kernel and Open vSwitch are
	// used, of test/releases; partVariable what is run, see choose.
	releaseVariable = "ISONET_RELEASE"
	partVariable    = "ISONET_KERNEL_PART"
	// source is where the machine has the project's files.
	source = "/src"
	// reserve is how long before the end of the test a machine ends, so that it can
	// still be told what it did.
	reserve = 10 * time.Second
)

// prepare returns the machine, and a job that has the project's files and its
// programs. Its script is empty.
func prepare(tb testing.TB) (*machine.Machine, machine.Job) {
	tb.Helper()
	m, err := machine.Prepare(tb.Context(), project, os.Getenv(releaseVariable))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("with KVM: %v", m.Accelerated())
	job := machine.Job{Files: map[string]string{}}
	for _, file := range files(tb) {
		job.Files[path.Join(source, file)] = filepath.Join(project, file)
	}
	for _, program := range []string{"isonetd", "isonet"} {
		built := filepath.Join(project, "bin", program)
		if _, err := os.Stat(built); err != nil {
			tb.Fatalf("run \"make build\" first: %v", err)
		}
		job.Files[path.Join(source, "bin", program)] = built
	}
	return m, job
}

// files returns the files of the project, relative to its root.
func files(tb testing.TB) []string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	cmd.Dir = project
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("list the files of the project: %v", err)
	}
	var there []string
	for _, file := range strings.Split(string(bytes.TrimSuffix(out, []byte{0})), "\x00") {
		if info, err := os.Stat(filepath.Join(project, file)); err == nil && info.Mode().IsRegular() {
			there = append(there, file)
		}
	}
	return there
}

// build builds the tests of packages into a job, each in its own directory.
func build(tb testing.TB, job machine.Job, packages []string) {
	tb.Helper()
	directory := tb.TempDir()
	for _, pkg := range packages {
		file := filepath.Join(directory, strings.ReplaceAll(pkg, "/", "-"))
		cmd := exec.CommandContext(tb.Context(), "go", "test", "-c", "-trimpath", "-ldflags=-s -w", "-o", file, "./"+pkg)
		cmd.Dir, cmd.Env = project, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			tb.Fatalf("build the tests of %s: %v\n%s", pkg, err, out)
		}
		job.Files[path.Join(source, pkg, "run.test")] = file
	}
}

// setting is what programs in the machine find in their environment.
func setting() string {
	return fmt.Sprintf("export ISONET_TEST_DATAPATH=system ISONET_TEST_PROGRAMS=%s/bin\n", source)
}

// untilEnd returns a context that ends before a test does.
func untilEnd(t *testing.T) context.Context {
	t.Helper()
	deadline, ok := t.Deadline()
	if !ok {
		return t.Context()
	}
	ctx, cancel := context.WithDeadline(t.Context(), deadline.Add(-reserve))
	t.Cleanup(cancel)
	return ctx
}
