package archtest_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	module    = "github.com/isonet/isonet"
	root      = "../.."
	libovsdb  = "github.com/ovn-kubernetes/libovsdb"
	uuid      = "github.com/google/uuid"
	modelPath = "model"
)

// allowed says for every package of the module, by its directory, which other
// packages of the module it may import. A package that is not in it is a
// violation, so that a new one has to find its place here.
func allowed() map[string][]string {
	outside := []string{"model", "model/isolation", "model/plan", "reconcile"}
	return map[string][]string{
		"model":                 {},
		"model/plan":            {"model"},
		"model/traffic":         {"model"},
		"model/isolation":       {"model", "model/plan"},
		"kernel/links":          {"model/plan"},
		"kernel/guard":          {},
		"ovsdb":                 {},
		"store":                 {"model", "ovsdb", "store/internal/schema"},
		"store/internal/schema": {},
		"ovs":                   {"model", "model/plan", "model/traffic", "ovs/counters", "ovs/openflow", "ovs/totals", "ovsdb"},
		"ovs/counters":          {"model/traffic", "ovsdb"},
		"ovs/openflow":          {},
		"ovs/totals":            {"internal/statefile", "model/traffic"},
		"nic":                   {"model", "model/plan"},
		"reconcile":             {"model", "model/isolation", "model/plan"},
		"api":                   outside,
		"exporter":              outside,
		// The generator of docs/metrics.md.
		"exporter/internal/metricsdoc": {"exporter"},
		"daemon": {
			"api", "kernel/links", "exporter", "internal/statefile", "internal/version", "kernel/guard", "model", "model/isolation", "model/plan", "nic", "ovs", "ovsdb", "reconcile", "store",
		},
		"cmd/isonetd":                  {"daemon", "internal/version"},
		"cmd/isonet":                   {"model", "internal/version", "cmd/isonet/internal/..."},
		"cmd/isonet/internal/client":   {"model", "cmd/isonet/internal/..."},
		"cmd/isonet/internal/prove":    {"cmd/isonet/internal/..."},
		"cmd/isonet/internal/setup":    {"model", "cmd/isonet/internal/..."},
		"cmd/isonet/internal/yamlform": {"cmd/isonet/internal/..."},
		"internal/archtest":            {},
		"internal/doctest":             {},
		// The generator of docs/isolation.md.
		"internal/isolationdoc": {"model", "model/isolation"},
		// The machinery of test/faults.
		"internal/hosttest":  {"internal/ovstest", "model/plan", "store"},
		"internal/ovstest":   {},
		"internal/statefile": {},
		"internal/version":   {},
		// Of tests only.
		"internal/wallclock": {},
	}
}

// isTest says that a package exists for tests only, such as a benchmark: it may
// put together whatever it measures.
func isTest(pkg string) bool { return strings.HasPrefix(pkg, "test/") }

// effects are packages of the standard library that the model must do without:
// it is values and pure functions.
func effects() []string { return []string{"context", "net", "net/http", "os", "os/exec", "syscall"} }

// speakers are the packages that may use libovsdb.
func speakers() []string { return []string{"ovsdb", "ovs", "store", "store/internal/schema"} }

// check returns what is wrong with the import of a path by a package.
func check(pkg, imported string) string {
	if isTest(pkg) {
		return ""
	}
	may, known := allowed()[pkg]
	if !known {
		return "the package has no rule: give it one in this test and in .golangci.yml"
	}
	if below, own := strings.CutPrefix(imported, module+"/"); own {
		if !slices.ContainsFunc(may, func(pattern string) bool { return matches(pattern, below) }) {
			return "the package is not below it"
		}
		return ""
	}
	external := strings.Contains(strings.SplitN(imported, "/", 2)[0], ".")
	switch pure := pkg == modelPath || strings.HasPrefix(pkg, modelPath+"/"); {
	case pure && external && (pkg != modelPath || imported != uuid):
		return "the model needs the standard library only, and " + uuid + " for ids"
	case pure && slices.Contains(effects(), imported):
		return "the model is values and pure functions"
	case strings.HasPrefix(imported, libovsdb) && !slices.Contains(speakers(), pkg):
		return "only ovsdb, ovs and store speak OVSDB"
	}
	return ""
}

// matches reports whether a pattern, which may end in "/...", names a package.
func matches(pattern, pkg string) bool {
	if prefix, tree := strings.CutSuffix(pattern, "..."); tree {
		return strings.HasPrefix(pkg, prefix)
	}
	return pattern == pkg
}

func TestImportsPointOneWay(t *testing.T) {
	imports := importsOf(t)
	for _, pkg := range slices.Sorted(maps.Keys(imports)) {
		for imported, file := range imports[pkg] {
			if problem := check(pkg, imported); problem != "" {
				t.Errorf("%s: %s must not import %s: %s", file, pkg, imported, problem)
			}
		}
	}
	// A rule for a package that is gone would hold nothing.
	var ruled, found []string
	for pkg := range allowed() {
		ruled = append(ruled, pkg)
	}
	for pkg := range imports {
		if !isTest(pkg) {
			found = append(found, pkg)
		}
	}
	slices.Sort(ruled)
	slices.Sort(found)
	if diff := cmp.Diff(ruled, found); diff != "" {
		t.Errorf("packages (-with a rule +in the module):\n%s", diff)
	}
}

// The rule must refuse what it is there to refuse.
func TestCheckRefuses(t *testing.T) {
	for _, test := range []struct {
		pkg, imported string
		refused       bool
	}{
		{"model", module + "/model/plan", true},
		{"model", "os", true},
		{"model", "time", false},
		{"model", uuid, false},
		{"model/plan", uuid, true},
		{"model/plan", module + "/model", false},
		{"model/traffic", module + "/model/plan", true},
		{"kernel/links", module + "/model/plan", false},
		{"kernel/links", module + "/ovs", true},
		{"kernel/guard", module + "/kernel/links", true},
		{"ovsdb", module + "/model", true},
		{"ovsdb", libovsdb + "/client", false},
		{"store", module + "/ovs", true},
		{"store", module + "/model/plan", true},
		{"nic", module + "/model/plan", false},
		{"ovs", module + "/store", true},
		{"ovs/counters", libovsdb + "/client", true},
		{"ovs/totals", module + "/model", true},
		{"ovs", module + "/reconcile", true},
		{"reconcile", module + "/ovs", true},
		{"reconcile", libovsdb + "/ovsdb", true},
		{"api", module + "/store", true},
		{"api", module + "/exporter", true},
		{"api", module + "/nic", true},
		{"api", module + "/reconcile", false},
		{"exporter", module + "/api", true},
		{"cmd/isonet", module + "/api", true},
		{"cmd/isonet", module + "/daemon", true},
		{"cmd/isonet", module + "/cmd/isonet/internal/client", false},
		{"cmd/isonetd", module + "/store", true},
		{"daemon", module + "/cmd/isonetd", true},
		{"newcomer", "fmt", true},
	} {
		if problem := check(test.pkg, test.imported); (problem != "") != test.refused {
			t.Errorf("%s importing %s: refused %t (%q), want %t", test.pkg, test.imported, problem != "", problem, test.refused)
		}
	}
}

// importsOf returns for every package of the module, by its directory, what its
// files import and in which of them, tests left out.
func importsOf(t *testing.T) map[string]map[string]string {
	t.Helper()
	imports := map[string]map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if file != "." && isOutside(file) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		pkg := path.Dir(file)
		if imports[pkg] == nil {
			imports[pkg] = map[string]string{}
		}
		return read(file, imports[pkg])
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

// isOutside reports whether the go command would not look into a directory for
// packages of this module.
func isOutside(dir string) bool {
	if name := path.Base(dir); name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(root, dir, "go.mod"))
	return err == nil
}

func read(file string, imports map[string]string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: import %s: %w", file, spec.Path.Value, err)
		}
		imports[imported] = file
	}
	return nil
}
