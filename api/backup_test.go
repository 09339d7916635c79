package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

var asJSON = header{"Content-Type": "application/json", "Accept": "application/json"}

func (w *world) backup() wire.Backup {
	w.t.Helper()
	var b wire.Backup
	if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/isonet/backup", "").Body.Bytes(), &b); err != nil {
		w.t.Fatal(err)
	}
	if b.Checksum != b.Sum() {
		w.t.Errorf("the checksum is %s, want %s", b.Checksum, b.Sum())
	}
	return b
}

// restore sends a backup, signed anew, with other members of the request.
func (w *world) restore(status int, b wire.Backup, change func(*wire.RestoreRequest), query string) string {
	w.t.Helper()
	b.Checksum = b.Sum()
	request := wire.RestoreRequest{Backup: b}
	if change != nil {
		change(&request)
	}
	body, err := json.Marshal(request)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.must(status, "POST", base+"/isonet/restore"+query, string(body), asJSON).Body.String()
}

func older(r *wire.RestoreRequest) { r.Older = true }

func TestBackup(t *testing.T) {
	w := newWorld(t)
	b := w.backup()
	if len(b.Networks) != 4 || len(b.Hosts) != 2 || len(b.Attachments) != 1 || b.Revision != 7 {
		t.Fatalf("the backup is %+v", b)
	}
	if at := b.Attachments[0]; at.Network != string(iso1) || at.Properties["purpose"] != "lab" {
		t.Errorf("the attachment is %+v", at)
	}
	w.must(http.StatusOK, "DELETE", base+"/networks/"+string(iso2), "")
	w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso1), "<network><mtu>9000</mtu></network>")
	if said := w.restore(http.StatusConflict, b, nil, ""); !strings.Contains(said, "what was changed since would be undone") {
		t.Errorf("an older backup: %s", said)
	}
	w.restore(http.StatusOK, b, older, "?dry_run=true")
	if now := w.backup(); len(now.Networks) != 3 {
		t.Errorf("a dry run restored %+v", now)
	}
	var done wire.Restored
	if err := json.Unmarshal([]byte(w.restore(http.StatusOK, b, older, "")), &done); err != nil {
		t.Fatal(err)
	}
	want := wire.Restored{Created: []string{"second isolated network"}, Changed: []string{"iso1"}, Removed: []string{}, Hosts: []string{}}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
	now := w.backup()
	now.Made, now.Revision, now.Checksum = b.Made, b.Revision, b.Checksum
	if diff := cmp.Diff(b, now); diff != "" {
		t.Errorf("(-backup +restored):\n%s", diff)
	}
}

func TestBackupsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		change func(*wire.Backup)
		says   string
	}{
		"another format":    {http.StatusBadRequest, func(b *wire.Backup) { b.Format = "tar" }, "This is no backup of isonet"},
		"a newer version":   {http.StatusBadRequest, func(b *wire.Backup) { b.Version++ }, "restore it with a newer isonetd"},
		"no version":        {http.StatusBadRequest, func(b *wire.Backup) { b.Version = 0 }, "restore it with a newer isonetd"},
		"an id that is not": {http.StatusBadRequest, func(b *wire.Backup) { b.Networks[2].ID = "x" }, "is not a UUID"},
		"a network twice":   {http.StatusConflict, func(b *wire.Backup) { b.Networks[1].Name = b.Networks[0].Name }, "already used"},
		"an id twice":       {http.StatusBadRequest, func(b *wire.Backup) { b.Networks[2].ID = b.Networks[3].ID }, "The backup has an id twice"},
		"a host twice":      {http.StatusBadRequest, func(b *wire.Backup) { b.Hosts[1] = b.Hosts[0] }, "The backup has an id twice"},
		"no bridge":         {http.StatusBadRequest, func(b *wire.Backup) { b.Networks[0].Bridge = "" }, "cannot name a bridge"},
		"a wrong MTU":       {http.StatusBadRequest, func(b *wire.Backup) { b.Networks[0].MTU = 5 }, "MTU 5 is not valid"},
		"an unknown host":   {http.StatusNotFound, func(b *wire.Backup) { b.Attachments[0].Host = string(model.NewID()) }, "Entity not found"},
		"a network less":    {http.StatusBadRequest, func(b *wire.Backup) { b.Networks = b.Networks[1:] }, "doesn't exist"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.backup()
			before := w.store.Snapshot()
			c.change(&b)
			if said := w.restore(c.status, b, older, ""); !strings.Contains(said, c.says) {
				t.Errorf("it says %s, want %q", said, c.says)
			}
			if w.store.Snapshot() != before {
				t.Error("something was changed")
			}
		})
	}
	w := newWorld(t)
	damaged := func(r *wire.RestoreRequest) { r.Backup.Networks[0].Name = "other" }
	if said := w.restore(http.StatusBadRequest, w.backup(), damaged, ""); !strings.Contains(said, "damaged") {
		t.Errorf("a damaged backup: %s", said)
	}
	for _, seconds := range []int{-1, 3601} {
		w.restore(http.StatusBadRequest, w.backup(), func(r *wire.RestoreRequest) { r.ConnectivityTimeout = seconds }, "")
	}
}
