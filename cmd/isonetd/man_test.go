package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/pflag"
)

//go:generate go test -count=1 -run ^TestPages$ . -update

var update = flag.Bool("update", false, "write the pages anew")

// TestPages holds isonetd(8) against the flags, and isonetd.yaml(5), the sample and
// docs/configuration.md against the options of package daemon.
func TestPages(t *testing.T) {
	for path, page := range map[string][]byte{
		"../../docs/man/isonetd.8":        md2man.Render([]byte(daemonPage(t))),
		"../../docs/man/isonetd.yaml.5":   md2man.Render([]byte(configurationPage(t))),
		"../../docs/configuration.md":     []byte(configurationDocument(t)),
		"../../docs/isonetd.yaml.example": []byte(sampleFile(t)),
	} {
		if *update {
			if err := os.WriteFile(path, page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, page) {
			t.Errorf("%s is not what the code says (%v): run \"make generate\"", path, err)
		}
	}
}

func daemonPage(t *testing.T) string {
	t.Helper()
	var flags strings.Builder
	command(nil).Flags().VisitAll(func(f *pflag.Flag) {
		fmt.Fprintf(&flags, "**--%s**=%q\n\t%s\n\n", f.Name, f.DefValue, f.Usage)
	})
	return strings.Replace(read(t, "testdata/isonetd.8.md"), "{{flags}}\n", flags.String(), 1)
}

func configurationPage(t *testing.T) string {
	t.Helper()
	var page strings.Builder
	for _, option := range sample(t) {
		for _, key := range option.keys {
			fmt.Fprintf(&page, "**%s**\n\n", key)
		}
		fmt.Fprintf(&page, "> %s %s\n\n", strings.ReplaceAll(option.meaning, "\n", " "), option.live)
	}
	return strings.Replace(read(t, "testdata/isonetd.yaml.5.md"), "{{keys}}\n", page.String(), 1)
}

// configurationDocument is the page of docs, for who reads it there.
func configurationDocument(t *testing.T) string {
	t.Helper()
	var page strings.Builder
	for _, option := range sample(t) {
		var names, defaults []string
		for _, key := range option.keys {
			name, value, _ := strings.Cut(key, ": ")
			names, defaults = append(names, "`"+name+"`"), append(defaults, "`"+value+"`")
		}
		fmt.Fprintf(&page, "\n## %s\n\nDefault: %s\n\n%s %s\n", strings.Join(names, ", "), strings.Join(slices.Compact(defaults), ", "), strings.ReplaceAll(option.meaning, "\n", " "), option.live)
	}
	return read(t, "testdata/configuration.md") + page.String()
}

// option is some settings with one meaning.
type option struct {
	keys    []string // with their defaults
	meaning string
	// live says what a change of it takes, in a sentence.
	live string
}

// sample returns the settings, in groups of one meaning: that of the comment in the code.
func sample(t *testing.T) []option {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../daemon/options.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var fields []*ast.Field
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, is := n.(*ast.TypeSpec); is && spec.Name.Name == "Options" {
			fields = spec.Type.(*ast.StructType).Fields.List
		}
		return true
	})
	var list []option
	for _, field := range fields {
		text, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			t.Fatal(err)
		}
		tag := reflect.StructTag(text)
		key := tag.Get("yaml") + ": " + cmp.Or(tag.Get("default"), `""`)
		if field.Doc != nil {
			live := "A change takes a restart."
			if tag.Get("live") != "" {
				live = "A change takes a reload."
			}
			list = append(list, option{meaning: strings.TrimSpace(field.Doc.Text()), live: live})
		}
		last := &list[len(list)-1]
		last.keys = append(last.keys, key)
	}
	if len(list) == 0 {
		t.Fatal("there is no setting")
	}
	return list
}

// sampleFile is a configuration of which everything is commented out.
func sampleFile(t *testing.T) string {
	t.Helper()
	var file strings.Builder
	for _, option := range sample(t) {
		fmt.Fprintf(&file, "\n# %s\n#%s\n", strings.ReplaceAll(option.meaning, "\n", "\n# "), strings.Join(option.keys, "\n#"))
	}
	return read(t, "testdata/isonetd.yaml.example") + file.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
