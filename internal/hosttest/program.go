package hosttest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds isonetd into a directory, as `make build` does, and returns the
// path of the program. The working directory must be in the module.
func Build(dir string) (string, error) { return BuildProgram(dir, "isonetd") }

// BuildProgram does so with one of the module's programs.
func BuildProgram(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-o", path, "github.com/isonet/isonet/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}
