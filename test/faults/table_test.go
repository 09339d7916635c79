package faults

import (
	"regexp"
	"slices"
	"testing"

	"github.com/isonet/isonet/internal/doctest"
)

// TestFaultTableNamesTests holds docs/faults.md: each fault has an id of its own
// and a test that is there.
func TestFaultTableNamesTests(t *testing.T) {
	const document = "../../docs/faults.md"
	doctest.Names(t, document)
	doctest.Rows(t, document, "# Faults")
	var ids []string
	for _, match := range regexp.MustCompile(`(?m)^\| ([A-Z]\d+) \|`).FindAllStringSubmatch(string(read(t, document)), -1) {
		ids = append(ids, match[1])
	}
	slices.Sort(ids)
	if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) || len(ids) == 0 {
		t.Errorf("%d of the %d ids are different: %v", len(unique), len(ids), ids)
	}
}

// TestClaimsNameTests holds docs/claims.md: each claim has a test that is there.
func TestClaimsNameTests(t *testing.T) {
	const document = "../../docs/claims.md"
	doctest.Names(t, document)
	doctest.Rows(t, document, "# Claims and their tests")
}
