package setup

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/isonet/isonet/client"
)

// Export returns the file that says what there is: all networks, whether the host
// has them, and its labels. To set it up changes nothing.
func Export(have Current) Wanted {
	w := Wanted{Networks: make([]Network, len(have.Networks)), Labels: append([]string{}, have.Labels...)}
	for i, n := range have.Networks {
		w.Networks[i] = Network{
			Name: n.Name, Description: &n.Description, Comment: &n.Comment, Label: &n.Label, MTU: &n.MTU,
			PortIsolation: &n.PortIsolation, Settings: n.Settings, Attach: new(have.Has(n)),
		}
	}
	return w
}

// Has says whether the host has a network, by itself or by a label.
func (c Current) Has(n client.Network) bool {
	return c.Attached[n.ID] || (n.Label != "" && slices.Contains(c.Labels, n.Label))
}

// MarshalJSON writes the members under the names that a file has for them.
func (n Network) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	separator := "{"
	v := reflect.ValueOf(n)
	for _, field := range reflect.VisibleFields(v.Type()) {
		key, value := field.Tag.Get("yaml"), v.FieldByIndex(field.Index)
		if key == "" || (value.Kind() == reflect.Pointer && value.IsNil()) {
			continue
		}
		b.WriteString(separator + `"` + key + `":`)
		if err := encoder.Encode(value.Interface()); err != nil {
			return nil, err
		}
		separator = ","
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
