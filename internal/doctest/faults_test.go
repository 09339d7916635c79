package doctest

import (
	"os"
	"regexp"
	"testing"
)

// TestFaultsHaveIdsOfTheirOwn checks that each row of docs/faults.md can be named.
func TestFaultsHaveIdsOfTheirOwn(t *testing.T) {
	text, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`(?m)^\| ([A-Z]+\d+) \|`).FindAllSubmatch(text, -1)
	if len(ids) < 100 {
		t.Fatalf("only %d rows were found", len(ids))
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[string(id[1])] {
			t.Errorf("several rows have the id %s", id[1])
		}
		seen[string(id[1])] = true
	}
}
