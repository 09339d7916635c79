package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isonet/isonet/wire"
)

// A backup brings back what operators asked for, and nothing of it half. Networks keep
// their ids.
func TestBackupAndRestore(t *testing.T) {
	h := newIsonetd(t)
	run := func(code int, args ...string) string {
		t.Helper()
		o := command{args: args, socket: h.socket}.run(t.Context())
		if o.code != code {
			t.Fatalf("isonet %v exits with %d, want %d: %s%s", args, o.code, code, o.stdout, o.stderr)
		}
		return o.stdout + o.stderr
	}
	file := filepath.Join(t.TempDir(), "backup.json")
	h.isonet("network create red --mtu 1400", "network create blue --label lab --strict", "attach red", "label add lab")
	before := run(exitOK, "network", "list", "-o", "json")
	if said := run(exitOK, "backup", file); !strings.HasPrefix(said, "saved 2 networks and 1 host in ") {
		t.Errorf("backup says %q", said)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v: %v", info.Mode(), err)
	}
	if said := run(exitOK, "restore", file); said != "nothing to change\n" {
		t.Errorf("the restore of what there is says %q", said)
	}

	h.isonet("network update red --mtu 9000", "label rm lab", "network delete blue", "network create green", "attach green")
	wrecked := run(exitOK, "export")
	if said := run(exitError, "restore", file); !strings.Contains(said, "what was changed since would be undone. Use --older") {
		t.Errorf("a restore that undoes changes says %q", said)
	}
	if said := run(exitOK, "restore", "--older", "--dry-run", file); !strings.Contains(said, "would delete network 'green'\n") {
		t.Errorf("the dry run says %q", said)
	}
	if now := run(exitOK, "export"); now != wrecked {
		t.Errorf("what was refused or rehearsed changed\n%s\nto\n%s", wrecked, now)
	}
	const done = "created network 'blue'\nupdated network 'red'\ndeleted network 'green'\n"
	if said := run(exitOK, "restore", "--older", file); !strings.HasPrefix(said, done) {
		t.Errorf("the restore says %q", said)
	}
	if after := run(exitOK, "network", "list", "-o", "json"); after != before {
		t.Errorf("the networks were\n%s\nand are\n%s", before, after)
	}
	if said := run(exitOK, "status"); !strings.Contains(said, "blue") || !strings.Contains(said, "red") || strings.Contains(said, "green") {
		t.Errorf("the status is\n%s", said)
	}

	// A network that was made anew has the bridge that the one of the backup needs.
	h.isonet("network delete red", "network create red --label lab")
	if said := run(exitOK, "restore", "--older", file); said == "nothing to change\n" {
		t.Errorf("the restore of another red says %q", said)
	}
	if after := run(exitOK, "network", "list", "-o", "json"); after != before {
		t.Errorf("the networks were\n%s\nand are\n%s", before, after)
	}
	run(exitOK, "wait", "red", "blue", "--for", "active")

	// A new machine takes the backup of the one that it replaces.
	replacement := newIsonetd(t)
	o := command{args: []string{"restore", file}, socket: replacement.socket}.run(t.Context())
	if o.code != exitOK {
		t.Fatalf("the restore on another machine: %+v", o)
	}
	o = command{args: []string{"network", "list", "-o", "json"}, socket: replacement.socket}.run(t.Context())
	if o.stdout != before {
		t.Errorf("the other machine has\n%s\nand the backup\n%s", o.stdout, before)
	}
	if o = (command{args: []string{"status"}, socket: replacement.socket}).run(t.Context()); !strings.Contains(o.stdout, "blue") {
		t.Errorf("the label of the other machine attaches nothing: %s", o.stdout)
	}
}

// What is no sound backup is refused before anything is asked.
func TestDamagedBackups(t *testing.T) {
	backup := wire.Backup{Format: wire.BackupFormat, Version: wire.BackupVersion, Networks: []wire.BackupNetwork{{ID: "x", Name: "red"}}}
	backup.Checksum = backup.Sum()
	sound, err := json.Marshal(backup)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, says string }{
		"empty":       {"", "is no backup of isonet"},
		"cut off":     {string(sound[:len(sound)/2]), "is no backup of isonet"},
		"other JSON":  {`{"networks":[]}`, "is no backup of isonet"},
		"a database":  {"OVSDB JSON 123", "is no backup of isonet"},
		"changed":     {strings.Replace(string(sound), `"red"`, `"blue"`, 1), "its checksum is not that of its content"},
		"with a typo": {strings.Replace(string(sound), `"networks"`, `"netwroks"`, 1), "is no backup of isonet"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "backup.json")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			o := command{args: []string{"restore", file}, socket: "/nonexistent"}.run(t.Context())
			if o.code != exitUsage || !strings.Contains(o.stderr, c.says) {
				t.Errorf("%+v", o)
			}
		})
	}
	if o := (command{args: []string{"restore", "/nonexistent"}, socket: "/nonexistent"}).run(t.Context()); o.code != exitUsage {
		t.Errorf("a file that is not there: %+v", o)
	}
}
