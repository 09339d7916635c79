package contexts

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestFile(t *testing.T) {
	want := File{Current: "b", Contexts: []Context{
		{Name: "a", URL: "https://a:8443", User: "ann", Token: "t", CA: "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", Host: "host 2"},
		{Name: "b", URL: "https://b:8443", User: "on", PasswordFile: "/x: y", Fingerprint: "AA:BB"},
	}}
	data, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
		t.Errorf("a token that the group may read: %v", err)
	}
	got.Contexts[0].Token = ""
	if data, err = got.Marshal(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Errorf("a file without a secret: %v", err)
	}
	if f, err := Load(filepath.Join(t.TempDir(), "none")); err != nil || len(f.Contexts) > 0 {
		t.Errorf("no file: %v, %v", f, err)
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"contexts: [{name: local, url: 'https://a:1'}]":                            "'local' is the isonetd of this host",
		"contexts: [{name: a b, url: 'https://a:1'}]":                              "'a b' cannot name a context",
		"contexts: [{name: a, url: 'https://a:1'}, {name: a, url: 'https://a:1'}]": "the context 'a' is there twice",
		"contexts: [{name: a}]":                                                    "the context 'a' has no url",
		"context: a":                                                               "unknown key 'context'",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestForget(t *testing.T) {
	f := File{Contexts: []Context{{Name: "a", Token: "new"}, {Name: "b", PasswordFile: "/f"}}}
	f.Forget(Context{Name: "a", Token: "old"})
	f.Forget(Context{Name: "b", PasswordFile: "/f"})
	f.Forget(Context{Name: "c"})
	if diff := cmp.Diff(File{Contexts: []Context{{Name: "a", Token: "new"}, {Name: "b"}}}, f); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDelete(t *testing.T) {
	f := File{Current: "a", Contexts: []Context{{Name: "a"}, {Name: "b"}}}
	f.Put(Context{Name: "b", URL: "x"})
	f.Delete("a")
	if diff := cmp.Diff(File{Contexts: []Context{{Name: "b", URL: "x"}}}, f); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTheHomeOfSomebodyElse reads as a user who may not look into HOME, or may look
// and not read.
func TestTheHomeOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte("contexts: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, refused := range map[os.FileMode]bool{0o700: false, 0o755: true} {
		for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
			if err := os.Chmod(at, mode); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error)
		go func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with it
			if err := unix.Setfsuid(65534); err != nil {
				ended <- err
				return
			}
			_, err := Load(path)
			ended <- err
		}()
		if err := <-ended; (err != nil) != refused {
			t.Errorf("with the mode %o of the directory: %v", mode, err)
		}
	}
}
