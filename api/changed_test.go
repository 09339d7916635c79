package api_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/isonet/isonet/api"
)

// TestTheLogSaysWhatChanged checks that the line of a write says what it changed, and
// that what changed nothing does not say so.
func TestTheLogSaysWhatChanged(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *api.Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	path := base + "/networks/" + string(iso1)
	const update = `<network><mtu>9000</mtu></network>`
	for _, c := range []struct {
		name, path string
		status     int
		want       any
	}{
		{"a dry run", path + "?dry_run=true", http.StatusOK, nil},
		{"a refused write", base + "/networks/" + string(host1), http.StatusNotFound, nil},
		{"a write", path, http.StatusOK, `updated network "iso1": mtu "1400" to "9000"`},
		{"the same once more", path, http.StatusOK, nil},
	} {
		log.Reset()
		w.must(c.status, "PUT", c.path, update)
		var line map[string]any
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v: %s", c.name, err, log.Bytes())
		}
		if line["changed"] != c.want || line["client"] == "" || line["correlation_id"] == "" {
			t.Errorf("%s: %v, want that it changed %v", c.name, line, c.want)
		}
	}
}
