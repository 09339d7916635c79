// Package e2e proves with packets what isonet promises. Every test runs the
// built binaries in a container of its own, beside a real Open vSwitch, and
// network namespaces in the container play the VMs.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const bin = "../../bin/"

// image has Open vSwitch as the release of Debian under test has it.
var image string

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
	var err error
	if image, err = buildImage("openvswitch"); err != nil {
		return err
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

// buildImage builds an image of a directory of scripts, for the release under
// test, and returns its name.
func buildImage(directory string) (string, error) {
	// Without a release it is the default one.
	build := exec.Command(filepath.Join("../../scripts", directory, "build"), os.Getenv("ISONET_RELEASE"))
	var log strings.Builder
	build.Stderr = &log
	name, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("build the image of scripts/%s: %w\n%s", directory, err, &log)
	}
	return strings.TrimSpace(string(name)), nil
}
