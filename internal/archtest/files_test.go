package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what the go command tells of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// list returns packages and all that they import, compiled.
func list(t *testing.T, patterns ...string) map[string]listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles"}, patterns...)...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

// arrows returns for each file of a package in which other ones of its files is
// defined what it uses.
func arrows(t *testing.T, p listed, all map[string]listed) map[string]map[string]string {
	t.Helper()
	fset := token.NewFileSet()
	files := make([]*ast.File, len(p.GoFiles))
	for i, name := range p.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = file
	}
	exported := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(all[path].Export) })
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	pkg, err := (&types.Config{Importer: exported}).Check(p.ImportPath, fset, files, info)
	if err != nil {
		t.Fatal(err)
	}
	graph := map[string]map[string]string{}
	for ident, object := range info.Uses {
		if object.Pkg() != pkg || !object.Pos().IsValid() {
			continue
		}
		from, to := filepath.Base(fset.Position(ident.Pos()).Filename), filepath.Base(fset.Position(object.Pos()).Filename)
		if from == to {
			continue
		}
		if graph[from] == nil {
			graph[from] = map[string]string{}
		}
		graph[from][to] = object.Name()
	}
	return graph
}

// circle returns the way from a file back to itself; nil if there is none.
func circle(graph map[string]map[string]string) []string {
	done := map[string]bool{}
	var walk func(file string, way []string) []string
	walk = func(file string, way []string) []string {
		if at := slices.Index(way, file); at >= 0 {
			return append(way[at:], file)
		}
		if done[file] {
			return nil
		}
		for _, next := range slices.Sorted(maps.Keys(graph[file])) {
			if found := walk(next, append(slices.Clone(way), file)); found != nil {
				return found
			}
		}
		done[file] = true
		return nil
	}
	for _, file := range slices.Sorted(maps.Keys(graph)) {
		if found := walk(file, nil); found != nil {
			return found
		}
	}
	return nil
}

// Whoever reads a file of the API need not read the files that use it.
func TestFilesOfTheAPIPointOneWay(t *testing.T) {
	all := list(t, "./api/...")
	for path, p := range all {
		if !strings.HasPrefix(path, module+"/api") {
			continue
		}
		graph := arrows(t, p, all)
		if way := circle(graph); way != nil {
			for i := range way[1:] {
				way[i] += " (uses " + graph[way[i]][way[i+1]] + ")"
			}
			t.Errorf("%s has a circle: %s", path, strings.Join(way, " -> "))
		}
	}
}

func TestCircle(t *testing.T) {
	graph := map[string]map[string]string{"a": {"b": "", "c": ""}, "b": {"c": ""}}
	if way := circle(graph); way != nil {
		t.Errorf("there is no circle: %v", way)
	}
	graph["c"] = map[string]string{"b": ""}
	if way := circle(graph); !slices.Equal(way, []string{"b", "c", "b"}) {
		t.Errorf("the circle is %v", way)
	}
}
