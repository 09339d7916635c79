package packets

import (
	"testing"

	"github.com/isonet/isonet/internal/doctest"
)

// The tests that the threat model names are there, and each promise has one.
func TestThreatModelNamesTests(t *testing.T) {
	const document = "../../docs/threat-model.md"
	doctest.Names(t, document)
	doctest.Rows(t, document, "## Promises")
}
