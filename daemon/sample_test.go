package daemon_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/daemon"
)

const sample = "../docs/isonetd.yaml.example"

// As it is the sample changes nothing; with its keys uncommented it says of
// every option what DefaultOptions says.
func TestSampleConfigurationIsTheDefaults(t *testing.T) {
	text := read(t, sample)
	asItIs := daemon.DefaultOptions()
	if err := asItIs.ReadOptions("f", strings.NewReader(text)); err != nil {
		t.Fatalf("the sample as it is: %v", err)
	}
	if diff := cmp.Diff(daemon.DefaultOptions(), asItIs); diff != "" {
		t.Errorf("the sample as it is changes options (-default +sample):\n%s", diff)
	}

	// Every option starts with a wrong value, so that a key that is missing
	// shows, whatever its default.
	uncommented := wrongOptions()
	keys := regexp.MustCompile(`(?m)^#([a-z-]+:)`).ReplaceAllString(text, "$1")
	if err := uncommented.ReadOptions("f", strings.NewReader(keys)); err != nil {
		t.Fatalf("the sample with its keys uncommented: %v", err)
	}
	if diff := cmp.Diff(daemon.DefaultOptions(), uncommented); diff != "" {
		t.Errorf("the sample with its keys uncommented (-default +sample):\n%s", diff)
	}
}

// keys returns the keys of the configuration file, in the order of the fields
// of Options.
func keys() []string {
	options := reflect.TypeFor[daemon.Options]()
	list := make([]string, options.NumField())
	for i := range list {
		list[i] = options.Field(i).Tag.Get("yaml")
	}
	return list
}

// wrongOptions returns options of which none is a default.
func wrongOptions() daemon.Options {
	var o daemon.Options
	for i := range keys() {
		reflect.ValueOf(&o).Elem().Field(i).SetString("not set by the sample")
	}
	return o
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
