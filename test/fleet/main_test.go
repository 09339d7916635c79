// Package fleet runs a fleet as it is in production: members of a cluster, and hosts
// with a real isonetd and an Open vSwitch of their own, each in a network namespace. It
// does to them what goes wrong in networks of machines, while clients write.
package fleet

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/hosttest"
)

// programVariable holds the path of the isonetd that the tests run.
const programVariable = "ISONET_FLEET_PROGRAM"

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "fleet")
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
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(exit))
}
