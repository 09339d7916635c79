package ovirt

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"maps"
	"slices"
)

// content stands for a member that isolated networks do not have: it tells only
// whether there is anything in it. Empty elements, as clients write them, have
// nothing in them.
type content bool

func (c *content) UnmarshalXML(decoder *xml.Decoder, start xml.StartElement) error {
	*c = *c || content(hasAttributes(start))
	for depth := 1; depth > 0; {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			depth++
			*c = *c || content(hasAttributes(t))
		case xml.EndElement:
			depth--
		case xml.CharData:
			*c = *c || len(bytes.TrimSpace(t)) > 0
		}
	}
	return nil
}

// hasAttributes reports whether an element has attributes other than
// declarations of namespaces.
func hasAttributes(e xml.StartElement) bool {
	return slices.ContainsFunc(e.Attr, func(a xml.Attr) bool {
		return a.Value != "" && a.Name.Space != "xmlns" && a.Name.Local != "xmlns"
	})
}

func (c *content) UnmarshalJSON(data []byte) error {
	var v any
	err := json.Unmarshal(data, &v)
	*c = *c || content(filled(v))
	return err
}

func filled(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case []any:
		return slices.ContainsFunc(v, filled)
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), filled)
	}
	return true
}
