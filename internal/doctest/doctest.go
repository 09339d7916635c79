// Package doctest holds documents against the tests that they name as proof.
package doctest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// proof returns a pattern of a link to the file of tests, with their names in
// its text: [`TestThis`, `TestThat`](path).
func proof() *regexp.Regexp {
	return regexp.MustCompile("\\[(`(?:Test|Benchmark|Fuzz)\\w+`(?:, `(?:Test|Benchmark|Fuzz)\\w+`)*)\\]\\(([^)]+)\\)")
}

// Names fails the test unless the tests that a document names are in the files
// that it links to.
func Names(t testing.TB, document string) {
	t.Helper()
	links := proof().FindAllStringSubmatch(read(t, document), -1)
	if len(links) == 0 {
		t.Fatalf("%s names no test", document)
	}
	for _, link := range links {
		file := filepath.Join(filepath.Dir(document), link[2])
		declared := functions(t, file)
		for name := range strings.SplitSeq(link[1], ", ") {
			if name = strings.Trim(name, "`"); !declared[name] {
				t.Errorf("%s: %s has no %s", document, file, name)
			}
		}
	}
}

// Rows fails the test unless every row of the tables below a heading names a
// test.
func Rows(t testing.TB, document, heading string) {
	t.Helper()
	_, text, found := strings.Cut("\n"+read(t, document), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", document, heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	text, _, _ = strings.Cut(text, "\n"+level+" ")
	row := regexp.MustCompile(`^\|[ -]+\|`) // of dashes: below it are the rows
	inside, rows := false, 0
	for line := range strings.Lines(text) {
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case row.MatchString(line) && strings.Trim(line, "|- \n") == "":
			inside = true
		case inside:
			rows++
			if !proof().MatchString(line) {
				t.Errorf("%s: no test proves %s", document, line)
			}
		}
	}
	if rows == 0 {
		t.Errorf("%s has no rows below %q", document, heading)
	}
}

// functions returns the names of the functions that a Go file declares.
func functions(t testing.TB, path string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return nil
	}
	names := map[string]bool{}
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
			names[f.Name.Name] = true
		}
	}
	return names
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
