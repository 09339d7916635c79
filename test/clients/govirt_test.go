package clients

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"testing"
)

// TestT18Libgovirt reads with libgovirt, the library of virt-viewer and GNOME
// Boxes. It has no classes for networks.
func TestT18Libgovirt(t *testing.T) {
	plain := newHost(t)
	for name, credentials := range map[string][]string{
		"password": {"basic", admin, password},
		"token":    {"token", plain.token(admin)},
	} {
		t.Run(name, func(t *testing.T) { plain.checkLibgovirt(t, "http", credentials) })
	}
}

func TestT18LibgovirtWithTLS(t *testing.T) {
	cert, key := certificate(t)
	h := newHost(t, "--tls-cert", cert, "--tls-key", key)
	h.checkLibgovirt(t, "https", []string{"basic", admin, password}, "OVIRT_CAFILE="+cert)
}

func (h *host) checkLibgovirt(t *testing.T, scheme string, credentials []string, env ...string) {
	t.Helper()
	want := map[string]any{
		"hosts":                      map[string]any{hostName: h.id},
		"clusters":                   map[string]any{"Default": h.only("/clusters", "cluster")},
		"data_centers":               map[string]any{"Default": h.only("/datacenters", "data_center")},
		"vms":                        map[string]any{},
		"searched_vms":               map[string]any{},
		"searched_clusters":          map[string]any{"Default": h.only("/clusters", "cluster")},
		"searched_data_centers":      map[string]any{},
		"cluster_of_the_host":        "Default",
		"data_center_of_the_cluster": "Default",
	}
	// Another python3 than the system's may be first in PATH.
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3",
		append([]string{"testdata/govirt.py", scheme + "://" + address}, credentials...)...)
	// What libgovirt calls critical must not happen.
	cmd.Env = append(append(os.Environ(), "G_DEBUG=fatal-criticals"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
