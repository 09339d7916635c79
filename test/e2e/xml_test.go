package e2e

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// attribute returns an attribute of the first element of a name in an XML
// document.
func attribute(t *testing.T, document, element, name string) string {
	t.Helper()
	all := attributes(t, document, element, name)
	if len(all) == 0 {
		t.Fatalf("no <%s %s=…> in %s", element, name, document)
	}
	return all[0]
}

// attributes returns an attribute of all elements of a name in an XML document.
func attributes(t *testing.T, document, element, name string) []string {
	t.Helper()
	var values []string
	for decoder := xml.NewDecoder(strings.NewReader(document)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return values
		}
		if err != nil {
			t.Fatalf("read %s: %v", document, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != element {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == name {
				values = append(values, a.Value)
			}
		}
	}
}
