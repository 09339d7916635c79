// Package e2e proves with packets what isonet promises. Every test runs the
// built binaries in a container of its own, beside a real Open vSwitch, and
// network namespaces in the container play the VMs.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

const (
	image = "isonet-openvswitch:e2e"
	bin   = "../../bin/"
)

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// prepare builds what all tests share.
func prepare() error {
	for _, program := range []string{"isonetd", "isonet"} {
		if _, err := os.Stat(bin + program); err != nil {
			return fmt.Errorf("run \"make build\" first: %w", err)
		}
	}
	build := exec.Command("../../scripts/openvswitch/build", image)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the image %s: %w\n%s", image, err, out)
	}
	for name, value := range map[string]string{
		// Every test removes its own container. The library's reaper would be
		// one more image to pull.
		"TESTCONTAINERS_RYUK_DISABLED": "true",
		// The engine publishes ports on this machine. Where the tests run in a
		// container themselves, the library would guess another address.
		"TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
	} {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}
