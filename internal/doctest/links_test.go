package doctest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// TestLinksLead holds that each relative link of a document leads to a file that
// is there, and to a heading of it if it names one.
func TestLinksLead(t *testing.T) {
	for _, document := range documents(t) {
		for _, target := range targets(read(t, document)) {
			path, anchor, _ := strings.Cut(target, "#")
			file := document
			if path != "" {
				file = filepath.Join(filepath.Dir(document), path)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which is not there", document, target)
				continue
			}
			if anchor != "" && !anchors(read(t, file))[anchor] {
				t.Errorf("%s links to %s: there is no such heading", document, target)
			}
		}
	}
}

// TestNamedTestsAreThere holds that each test which a document names is where the
// document says.
func TestNamedTestsAreThere(t *testing.T) {
	for _, document := range documents(t) {
		if proof().MatchString(read(t, document)) {
			Names(t, document)
		}
	}
}

// TestReadmeIsShort keeps README to what fits into one sitting; the rest is for
// docs.
func TestReadmeIsShort(t *testing.T) {
	const most = 8192
	if size := len(read(t, filepath.Join(root, "README.md"))); size > most {
		t.Errorf("README.md has %d bytes, and may have %d: move something to docs", size, most)
	}
}

// documents returns the paths of the project's documents.
func documents(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			list = append(list, path)
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("no documents below %s (%v)", root, err)
	}
	return list
}

// targets returns where the links and pictures of a document lead that are
// relative to it.
func targets(text string) []string {
	var list []string
	for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose(text), -1) {
		if !strings.Contains(link[1], "://") {
			list = append(list, link[1])
		}
	}
	return list
}

// anchors returns the names by which GitHub links to the headings of a document.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	dropped := regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose(text), -1) {
		name := dropped.ReplaceAllString(strings.ToLower(heading[1]), "")
		names[strings.ReplaceAll(strings.TrimSpace(name), " ", "-")] = true
	}
	return names
}

// prose returns a document without its blocks of code.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(text, "")
}

func TestTargetsAndAnchors(t *testing.T) {
	text := "# One `thing`, and (two)\n[a](b.md#c) ![d](e.svg) [f](https://g.example)\n```\n# no heading [h](i)\n```\n[j](#k)\n"
	if got := strings.Join(targets(text), " "); got != "b.md#c e.svg #k" {
		t.Errorf("targets: %s", got)
	}
	if got := anchors(text); len(got) != 1 || !got["one-thing-and-two"] {
		t.Errorf("anchors: %v", got)
	}
}
