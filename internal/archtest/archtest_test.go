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
	"regexp"
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
	ofctl     = "github.com/digitalocean/go-openvswitch"
	uuid      = "github.com/google/uuid"
	modelPath = "model"
)

// rules are the table of CONTRIBUTING.md: for every package of the module, by its
// directory, which other packages of the module it may import. A package that is
// not in it is a violation, so that a new one has to find its place there.
type rules map[string][]string

// row is one of the table: its packages, and what they may import before a colon
// or bracket and an explanation.
var row = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\| ([^|:(]+).*\\|$")

// names are the packages of a cell.
var names = regexp.MustCompile("`([^`]+)`")

func readRules(t *testing.T) rules {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| package | may import of this module |\n")
	table, _, ends := strings.Cut(table, "\n\n")
	if !found || !ends {
		t.Fatal("CONTRIBUTING.md has no table of packages")
	}
	allowed := rules{}
	for _, cells := range row.FindAllStringSubmatch(table, -1) {
		var may []string
		for _, name := range names.FindAllStringSubmatch(cells[2], -1) {
			may = append(may, name[1])
		}
		for _, pkg := range names.FindAllStringSubmatch(cells[1], -1) {
			allowed[pkg[1]] = may
		}
	}
	return allowed
}

// isTest says that a package exists for tests only, such as a benchmark: it may
// put together whatever it measures.
func isTest(pkg string) bool { return strings.HasPrefix(pkg, "test/") }

// effects are packages of the standard library that the model must do without:
// it is values and pure functions.
func effects() []string { return []string{"context", "net", "net/http", "os", "os/exec", "syscall"} }

// speakers are the packages that may use libraries for Open vSwitch.
func speakers() []string { return []string{"ovsdb", "ovs", "store", "store/internal/schema", "fleet"} }

// check returns what is wrong with the import of a path by a package.
func (r rules) check(pkg, imported string) string {
	if isTest(pkg) {
		return ""
	}
	may, known := r[pkg]
	if !known {
		return "the package has no rule: give it a row in CONTRIBUTING.md"
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
	case (strings.HasPrefix(imported, libovsdb) || strings.HasPrefix(imported, ofctl)) && !slices.Contains(speakers(), pkg):
		return "only ovsdb, ovs, store and fleet speak OVSDB and OpenFlow"
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
	imports, allowed := importsOf(t), readRules(t)
	for _, pkg := range slices.Sorted(maps.Keys(imports)) {
		for imported, file := range imports[pkg] {
			if problem := allowed.check(pkg, imported); problem != "" {
				t.Errorf("%s: %s must not import %s: %s", file, pkg, imported, problem)
			}
		}
	}
	// A rule for a package that is gone would hold nothing.
	var ruled, found []string
	for pkg := range allowed {
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
	allowed := readRules(t)
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
		{"kernel/links", module + "/kernel/guard", true},
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
		{"ovs", ofctl + "/ovs", false},
		{"api", ofctl + "/ovs", true},
		{"api/native", module + "/api", true},
		{"api/rest", module + "/api/ovirt", true},
		{"wire", module + "/model", true},
		{"api", module + "/store", true},
		{"api", module + "/exporter", true},
		{"api", module + "/nic", true},
		{"change", module + "/api", true},
		{"change", module + "/store", true},
		{"api/ovirt", module + "/reconcile", true},
		{"api/ovirt", module + "/report", false},
		{"report", module + "/model/plan", true},
		{"exporter", module + "/api", true},
		{"cmd/isonet", module + "/api", true},
		{"cmd/isonet", module + "/daemon", true},
		{"cmd/isonet", module + "/client", false},
		{"client", module + "/model", true},
		{"cmd/isonetd", module + "/store", true},
		{"daemon", module + "/cmd/isonetd", true},
		{"newcomer", "fmt", true},
	} {
		if problem := allowed.check(test.pkg, test.imported); (problem != "") != test.refused {
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
