// Package clients drives isonetd with oVirt's clients as they are published:
// the Go SDK, go-ovirt-client and libgovirt run here, and what the Python SDK
// and oVirt's Ansible collection were recorded to send is replayed. Every test
// has the built isonetd on an Open vSwitch of its own.
package clients

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const (
	program = "../../bin/isonetd"
	// hostName is what the recorded requests search for.
	hostName = "host1"
	// inside tells the test process which network namespace it is in.
	inside = "ISONET_CLIENTS_NAMESPACE"
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests in a process in a network namespace and with a host name
// of its own: clients reach isonetd on the namespace's loopback, and isonetd
// looks only at the devices there.
func run(m *testing.M) (int, error) {
	if os.Getenv(inside) != "" {
		if err := syscall.Sethostname([]byte(hostName)); err != nil {
			return 1, fmt.Errorf("set the host name: %w", err)
		}
		return m.Run(), nil
	}
	if _, err := os.Stat(program); err != nil {
		return 1, fmt.Errorf("run \"make build\" first: %w", err)
	}
	name := fmt.Sprintf("isonet-clients-%d", os.Getpid())
	if err := ip("netns", "add", name); err != nil {
		return 1, err
	}
	code, err := runInside(name)
	return code, errors.Join(err, ip("netns", "delete", name))
}

// runInside runs this program again in the network namespace.
func runInside(namespace string) (int, error) {
	if err := ip("-n", namespace, "link", "set", "lo", "up"); err != nil {
		return 1, err
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	tests := exec.Command("ip", append([]string{"netns", "exec", namespace, self}, os.Args[1:]...)...)
	tests.Env = append(os.Environ(), inside+"="+namespace)
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	tests.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS}
	err = tests.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v (are you root?): %w: %s", args, err, out)
	}
	return nil
}
