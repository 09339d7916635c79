package packets

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tests that the threat model names are there, and each promise has one.
func TestThreatModelNamesTests(t *testing.T) {
	const docs = "../../docs"
	text, err := os.ReadFile(filepath.Join(docs, "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("\\[`((?:Test|Benchmark)\\w+)`\\]\\(([^)]+)\\)")
	for _, match := range named.FindAllStringSubmatch(string(text), -1) {
		code, err := os.ReadFile(filepath.Join(docs, match[2]))
		if err != nil {
			t.Errorf("%s: %v", match[1], err)
		} else if !strings.Contains(string(code), "\nfunc "+match[1]+"(") {
			t.Errorf("%s has no %s", match[2], match[1])
		}
	}
	_, promises, _ := strings.Cut(string(text), "\n## Promises\n")
	promises, _, _ = strings.Cut(promises, "\n## ")
	rows := regexp.MustCompile(`(?m)^\| .*$`).FindAllString(promises, -1)
	if len(rows) < 2 {
		t.Fatalf("no promises in %q", promises)
	}
	for _, row := range rows[1:] { // the first is the heading
		if !named.MatchString(row) {
			t.Errorf("no test proves %s", row)
		}
	}
}
