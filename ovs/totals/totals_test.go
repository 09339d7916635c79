package totals_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/ovs/totals"
)

func example(bytes uint64) traffic.State {
	return traffic.State{
		Networks: map[model.ID]traffic.NetworkState{"red": {
			Created: time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC), Updated: time.Date(2026, 1, 2, 3, 5, 5, 1, time.UTC),
			Total: model.Counters{ReceivedBytes: bytes, TransmittedErrors: 1<<64 - 1},
		}, "blue": {}},
		Ports: map[string]traffic.PortState{"a": {Network: "red", Device: 7, Last: [8]int64{1<<63 - 1, 0, -1, 3, 4, 5, 6, 7}}},
	}
}

// open returns the file of a path and what it logs.
func open(path string) (*totals.File, *bytes.Buffer) {
	var log bytes.Buffer
	return totals.Open(path, slog.New(slog.NewTextHandler(&log, nil))), &log
}

func load(t *testing.T, path string, want traffic.State) string {
	t.Helper()
	file, log := open(path)
	got, rebooted := file.Load()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if rebooted {
		t.Error("the host was not started anew")
	}
	return log.String()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "traffic")
	if log := load(t, path, traffic.State{}); log != "" {
		t.Errorf("without a file it logs %s", log)
	}
	file, _ := open(path)
	file.Load()
	for n := range uint64(3) {
		file.Save(example(n)) // the last is what counts
		if log := load(t, path, example(n)); log != "" {
			t.Errorf("it logs %s", log)
		}
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has the mode %v, want %v", name, got, want)
		}
	}
}

func TestWhatIsThereIsNotWrittenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "traffic")
	file, _ := open(path)
	file.Save(example(1))
	again, _ := open(path)
	state, _ := again.Load()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	again.Save(state)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file was written: %v", err)
	}
	again.Save(example(2))
	load(t, path, example(2))
}

// A crash while a new file is written leaves the old one.
func TestCrashWhileSaving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "traffic")
	file, _ := open(path)
	file.Save(example(1))
	whole := read(t, path)
	for n := range len(whole) {
		if err := os.WriteFile(path+".new", whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if log := load(t, path, example(1)); log != "" {
			t.Fatalf("with %d bytes of a new file it logs %s", n, log)
		}
	}
	file, _ = open(path)
	file.Load()
	file.Save(example(2))
	load(t, path, example(2))
}

// A file that is torn, damaged or not ours is kept aside; counting begins anew.
func TestBrokenFile(t *testing.T) {
	good := filepath.Join(t.TempDir(), "traffic")
	file, _ := open(good)
	file.Save(example(1))
	whole := read(t, good)
	broken := map[string][]byte{
		"empty":                  {},
		"something else":         []byte("hello\n"),
		"of a newer isonetd":     bytes.Replace(whole, []byte("traffic 1"), []byte("traffic 2"), 1),
		"longer":                 append(bytes.Clone(whole), ' '),
		"a digit is another one": bytes.Replace(whole, []byte(`"ReceivedBytes":1`), []byte(`"ReceivedBytes":2`), 1),
	}
	for n := 1; n < len(whole); n += 97 {
		broken[fmt.Sprintf("torn after %d bytes", n)] = whole[:n]
	}
	for name, data := range broken {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "traffic")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			log := load(t, path, traffic.State{})
			if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "counts from zero") || strings.Count(log, "\n") != 1 {
				t.Errorf("it logs %q", log)
			}
			aside, err := filepath.Glob(path + ".broken-*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("kept aside are %v, error %v", aside, err)
			}
			if !bytes.Equal(read(t, aside[0]), data) || !strings.Contains(log, aside[0]) {
				t.Errorf("%s has %q; the log is %s", aside[0], read(t, aside[0]), log)
			}
			file, _ := open(path)
			file.Load()
			file.Save(example(3))
			load(t, path, example(3))
		})
	}
}

func TestUnreadableFileIsNoReasonNotToStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "traffic")
	if err := os.Mkdir(path, 0o700); err != nil { // root may read everything but this
		t.Fatal(err)
	}
	if log := load(t, path, traffic.State{}); !strings.Contains(log, "level=ERROR") {
		t.Errorf("it logs %q", log)
	}
}

func TestSaveThatFailsIsLoggedOnceAndTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // no directory can be made
		t.Fatal(err)
	}
	path := filepath.Join(dir, "traffic")
	file, log := open(path)
	file.Save(example(1))
	file.Save(example(1))
	if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "cannot be saved") {
		t.Errorf("it logs %q", text)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	file.Save(example(1))
	if !strings.Contains(log.String(), "can be saved again") {
		t.Errorf("it logs %q", log)
	}
	load(t, path, example(1))
}

func TestReboot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "traffic")
	file, _ := open(path)
	file.Save(example(1))
	boot := strings.TrimSpace(string(read(t, "/proc/sys/kernel/random/boot_id")))
	if !bytes.Contains(read(t, path), []byte(boot)) {
		t.Fatalf("the file does not tell the boot %s", boot)
	}
	// What another boot would have written.
	totals.WriteAs(t, path, "another", example(1))
	file, _ = open(path)
	state, rebooted := file.Load()
	if diff := cmp.Diff(example(1), state); diff != "" || !rebooted {
		t.Errorf("rebooted %t, state (-want +got):\n%s", rebooted, diff)
	}
	totals.WriteAs(t, path, "", example(1))
	load(t, path, example(1)) // nobody knows
}
