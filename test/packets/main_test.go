// Package packets proves with frames what isonet promises about isolation: for
// each line of docs/isolation.md that frames get out of a bridge without isonet,
// and that none get out of isonet's network. docs/threat-model.md has the
// promises.
package packets

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/ovstest"
)

// hostVariable holds the name of the network namespace that plays the host.
const hostVariable = "ISONET_PACKETS_HOST"

// TestMain runs the tests in a process whose network namespace is the host's,
// because isonetd looks at the devices of its own.
func TestMain(m *testing.M) {
	if os.Getenv(hostVariable) == "" {
		os.Exit(runInHost())
	}
	goleak.VerifyTestMain(m)
}

func runInHost() int {
	name := fmt.Sprintf("isonet-host-%d", os.Getpid())
	ip := func(args ...string) error {
		out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput()
		if err != nil {
			fmt.Fprintf(os.Stderr, "ip %v: %v\n%s", args, err, out)
		}
		return err
	}
	if ip("netns", "add", name) != nil {
		return 1
	}
	defer ip("netns", "delete", name) //nolint:errcheck // it has said what is wrong
	if ip("-n", name, "link", "set", "lo", "up") != nil {
		return 1
	}
	// The tests wait most of the time: more of them at once than processors.
	cmd := exec.CommandContext(context.Background(), os.Args[0], append([]string{"-test.parallel=6"}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), hostVariable+"="+name)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// A process starts in the namespace of the thread that starts it.
	err := <-ovstest.GoInside(name, cmd.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
