// Package faults does to isonet what goes wrong on real hosts, and shows that
// what docs/faults.md promises holds.
package faults

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/hosttest"
)

// programVariable and clientVariable hold the paths of the isonetd and of the
// isonet that the tests run.
const (
	programVariable = "ISONET_FAULTS_PROGRAM"
	clientVariable  = "ISONET_FAULTS_CLIENT"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "faults")
	exit := func(code int) {
		_ = os.RemoveAll(dir) // it is the machine's to clean
		os.Exit(code)
	}
	var program string
	if err == nil {
		program, err = hosttest.Build(dir)
	}
	if err == nil {
		err = os.Setenv(programVariable, program)
	}
	if err == nil {
		program, err = hosttest.BuildProgram(dir, "isonet")
	}
	if err == nil {
		err = os.Setenv(clientVariable, program)
	}
	if err == nil { // the tests wait most of the time: more of them at once than processors
		err = flag.Set("test.parallel", "6")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(exit))
}

// newHost returns a host on which isonetd does not run yet.
func newHost(t *testing.T, options ...hosttest.Option) *hosttest.Host {
	t.Helper()
	return hosttest.New(t, os.Getenv(programVariable), options...)
}

// start returns a host with a network red that carries traffic.
func start(t *testing.T, options ...hosttest.Option) (*hosttest.Host, *hosttest.Stream) {
	t.Helper()
	h := newHost(t, options...)
	h.Start()
	h.Create("red")
	h.Attach("red")
	return h, h.Stream("red")
}
