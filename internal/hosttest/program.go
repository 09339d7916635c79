package hosttest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// programsVariable holds the directory with the module's programs, where they
// cannot be built.
const programsVariable = "ISONET_TEST_PROGRAMS"

// Build builds isonetd into a directory, as `make build` does, and returns the
// path of the program. The working directory must be in the module.
func Build(dir string) (string, error) { return BuildProgram(dir, "isonetd") }

// BuildProgram does so with one of the module's programs. Where the programs are
// there already, it returns the path of that.
func BuildProgram(dir, name string) (string, error) {
	if built := os.Getenv(programsVariable); built != "" {
		return filepath.Join(built, name), nil
	}
	path := filepath.Join(dir, name)
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-o", path, "github.com/isonet/isonet/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}
