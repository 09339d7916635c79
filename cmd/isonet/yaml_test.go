package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v2"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/internal/strictyaml"
)

func TestYAML(t *testing.T) {
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
		Deep  [][]any        `json:"deep"`
	}{
		Z: "first", A: []string{"x"}, Empty: []int{}, Map: map[string]int{"k": 1, "1": 2},
		Text: []string{"true", "1500", "null", "", "~", "a: b", "two\nlines", "<&>\x7f\u2028🚀", "On", "a b", " a", "it's"},
		Num:  []any{1, 2.5, uint64(18446744073709551615)},
		Bool: true,
		Deep: [][]any{{1, map[string]int{"a": 1, "b": 2}}, {}},
	}
	const want = `z: first
a:
  - x
none: null
empty: []
map:
  "1": 2
  k: 1
text:
  - "true"
  - "1500"
  - "null"
  - ""
  - "~"
  - "a: b"
  - "two\nlines"
  - "<&>\x7f\u2028🚀"
  - "On"
  - a b
  - " a"
  - it's
num:
  - 1
  - 2.5
  - 18446744073709551615
bool: true
deep:
  - - 1
    - a: 1
      b: 2
  - []
`
	got, err := toYAML(value)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestYAMLKeepsTexts checks that readers of YAML get every text back that a reader
// of JSON would: one of YAML 1.1, and that of setup files.
func TestYAMLKeepsTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type texts struct {
			Texts []string `json:"texts" yaml:"texts"`
		}
		drawn := texts{rapid.SliceOf(rapid.String()).Draw(t, "texts")}
		asJSON, err := json.Marshal(drawn)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := toYAML(drawn)
		if err != nil {
			t.Fatal(err)
		}
		var want, old, strict texts
		if err := json.Unmarshal(asJSON, &want); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(asYAML, &old); err != nil {
			t.Fatalf("%v in\n%s", err, asYAML)
		}
		if err := strictyaml.Decode("f", asYAML, &strict, nil); err != nil {
			t.Fatalf("%v in\n%s", err, asYAML)
		}
		if diff := cmp.Diff([]texts{want, want}, []texts{old, strict}); diff != "" {
			t.Errorf("(-JSON +YAML):\n%s\n%s", diff, asYAML)
		}
	})
}
