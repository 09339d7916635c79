package doctest

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDecisionsHaveOneForm holds the records of decisions: numbers without a gap,
// the same sections in the same order, and a row in the index.
func TestDecisionsHaveOneForm(t *testing.T) {
	form := regexp.MustCompile(`^# (\d+\. .+)\n\nStatus: (.+)\n\n## Context\n`)
	const sections = "Context, Decision, Consequences, Alternatives"
	index := read(t, filepath.Join(root, "docs", "README.md"))
	records, err := filepath.Glob(filepath.Join(root, "docs", "adr", "*.md"))
	if err != nil || len(records) == 0 {
		t.Fatalf("no records (%v)", err)
	}
	for i, path := range records {
		text, file := read(t, path), filepath.Base(path)
		if number := fmt.Sprintf("%04d-", i+1); !strings.HasPrefix(file, number) {
			t.Errorf("%s: its number is not the next one, %s", file, number)
		}
		head := form.FindStringSubmatch(text)
		if head == nil || !strings.HasPrefix(head[1], fmt.Sprintf("%d. ", i+1)) {
			t.Errorf("%s does not begin with its number, its title and its status", file)
			continue
		}
		if got := headings(text); got != sections {
			t.Errorf("%s has the sections %s, want %s", file, got, sections)
		}
		status := strings.ReplaceAll(head[2], "](", "](adr/")
		if row := fmt.Sprintf("| [%s](adr/%s) | %s |", head[1], file, status); !strings.Contains(index, row) {
			t.Errorf("docs/README.md lacks the row %s", row)
		}
	}
}

// headings returns the headings of a document's sections.
func headings(text string) string {
	var names []string
	for _, heading := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(prose(text), -1) {
		names = append(names, heading[1])
	}
	return strings.Join(names, ", ")
}
