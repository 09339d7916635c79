package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Images of earlier builds do not pile up, and "make clean" finds the others.
func TestImagesAreRemoved(t *testing.T) {
	t.Parallel()
	label := fmt.Sprintf("isonet-e2e-%d", os.Getpid())
	name := label + ":built"
	clean := func() { command(t, "../../scripts/clean-images", label) }
	t.Cleanup(clean)
	dir := t.TempDir()
	build := func(content string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nLABEL "+label+"=e2e\n"+content), 0o600); err != nil {
			t.Fatal(err)
		}
		return command(t, "../../scripts/build-image", name, dir)
	}
	labelled := func() string {
		return command(t, "docker", "image", "ls", "--quiet", "--no-trunc", "--filter", "label="+label)
	}

	build("ENV BUILD=1\n")
	second := build("ENV BUILD=2\n")
	if got := labelled(); got != second {
		t.Errorf("after the second build there are %q, want %s alone", got, second)
	}
	// An image that lost its name to another one.
	command(t, "docker", "tag", image, name)
	if got := labelled(); got != second {
		t.Errorf("the image without a name is not found: %q", got)
	}
	command(t, "docker", "image", "rm", name)
	build("ENV BUILD=3\n")
	clean()
	if got := labelled(); got != "" {
		t.Errorf("after cleaning there are %q", got)
	}
	command(t, "docker", "image", "inspect", image)
}

// command runs a program of this machine and returns its standard output.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	var says strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, &says)
	}
	return strings.TrimSpace(string(out))
}
