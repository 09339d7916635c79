package yamlform_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/cmd/isonet/internal/yamlform"
)

func TestMarshal(t *testing.T) {
	value := struct {
		Z     string         `json:"z"`
		A     []string       `json:"a"`
		None  []string       `json:"none"`
		Empty []int          `json:"empty"`
		Map   map[string]int `json:"map"`
		Text  []string       `json:"text"`
		Num   []any          `json:"num"`
		Bool  bool           `json:"bool"`
		Left  string         `json:"left,omitempty"`
	}{
		Z: "first", A: []string{"x"}, Empty: []int{}, Map: map[string]int{"k": 1},
		Text: []string{"true", "1500", "null", "", "~", "a: b", "two\nlines", "<&>\x7f\u2028🚀"},
		Num:  []any{1, 2.5, uint64(18446744073709551615)},
		Bool: true,
	}
	const want = `z: first
a:
  - x
none: null
empty: []
map:
  k: 1
text:
  - "true"
  - "1500"
  - "null"
  - ""
  - "~"
  - 'a: b'
  - |-
    two
    lines
  - "<&>\x7F\L\U0001F680"
num:
  - 1
  - 2.5
  - 18446744073709551615
bool: true
`
	got, err := yamlform.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMarshalKeepsTexts checks that a YAML reader gets every text back that a
// JSON reader would.
func TestMarshalKeepsTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.String()).Draw(t, "texts")
		asJSON, err := json.Marshal(texts)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yamlform.Marshal(texts)
		if err != nil {
			t.Fatal(err)
		}
		var fromJSON, fromYAML []string
		if err := json.Unmarshal(asJSON, &fromJSON); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(asYAML, &fromYAML); err != nil {
			t.Fatalf("%v in\n%s", err, asYAML)
		}
		if len(fromJSON) == 0 {
			fromJSON = nil
		}
		if len(fromYAML) == 0 {
			fromYAML = nil
		}
		if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
			t.Errorf("(-JSON +YAML):\n%s\n%s", diff, asYAML)
		}
	})
}

func TestFromJSONRefuses(t *testing.T) {
	for _, text := range []string{"", "{", `{"a"}`, "1 2", "[1,]", "nul"} {
		if node, err := yamlform.FromJSON([]byte(text)); err == nil {
			t.Errorf("%q gave %v", text, node)
		}
	}
}
