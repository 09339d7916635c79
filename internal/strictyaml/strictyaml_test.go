package strictyaml_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/internal/strictyaml"
)

type item struct {
	Name string `yaml:"name"`
	Size *int   `yaml:"size"`
	On   *bool  `yaml:"on"`
}

type file struct {
	Items []item   `yaml:"items"`
	Texts []string `yaml:"texts"`
	Text  string   `yaml:"text"`
}

func decode(text string) (file, error) {
	var f file
	err := strictyaml.Decode("f", []byte(text), &f, func() (wrong []error) {
		for i, text := range f.Texts {
			if text == "bad" {
				wrong = append(wrong, strictyaml.At(errors.New("it is bad"), "texts", i))
			}
		}
		for i, item := range f.Items {
			if item.Name == "bad" {
				wrong = append(wrong, strictyaml.At(errors.New("its name is bad"), "items", i, "name"))
			}
			if item.Size != nil && *item.Size == 13 && item.On == nil {
				wrong = append(wrong, strictyaml.At(errors.New("it needs on"), "items", i, "on"))
			}
		}
		return wrong
	})
	return f, err
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]file{
		// An empty document beside another one says nothing.
		"text: a\n---\n": {Text: "a"}, "---\n---\ntext: a\n": {Text: "a"}, "text: a\n---\n# end\n": {Text: "a"},
		"%YAML 1.2\n---\n# c\n---\ntext: a\n---\n---\n": {Text: "a"}, "text: |\n  ---\n  ---\n": {Text: "---\n---\n"},
		"": {}, "# nothing\n": {}, "%YAML 1.2\n---\ntext: a\n...\n": {Text: "a"}, "\ufefftext: a\n": {Text: "a"}, "text: a\r\n": {Text: "a"},
		"text:\ntexts:\n-\n": {Texts: []string{""}},
		"text: \"a\tb\"":     {Text: "a\tb"}, "text: a b\n  c": {Text: "a b c"},
		"text: |\n  two\n  lines\n":                                   {Text: "two\nlines\n"},
		"texts: [on, 010, 1.50, .inf, True, '']":                      {Texts: []string{"on", "010", "1.50", ".inf", "True", ""}},
		"{\n\t\"text\": \"\\ud83d\\ude80 \\u00e9\"\n}":                {Text: "🚀 é"},
		"items: [&a {name: x, size: &s 5}, *a, {name: y, size: *s}]":  {Items: []item{{"x", new(5), nil}, {"x", new(5), nil}, {"y", new(5), nil}}},
		"items:\n- name: x\n  on: false\n- size: -1\n  'name': \"y\"": {Items: []item{{"x", nil, new(false)}, {"y", new(-1), nil}}},
	} {
		got, err := decode(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"text: [":                        "1:7: sequence end token ']' not found",
		"text: 'a":                       "1:7: could not find end character of single-quoted text",
		"text: a\n---\n\ntext: b\n":      "4:1: the file has more than one document: put all in one",
		"text: a\ntex: b\ntext: c\n":     "2:1: unknown key 'tex': use items, texts, text\nf:3:1: the key 'text' is there already, in line 1",
		"? [a]\n: b\n":                   "2:1: found an invalid key for this map",
		"<<: {text: a}\n":                "1:1: unknown key '<<': use items, texts, text",
		"\"a\\nb\": 1":                   "1:1: unknown key 'a b': use items, texts, text",
		"text: ~":                        "1:7: expected a text",
		"text: !!str 5":                  "1:7: expected a text",
		"texts: {a: b}":                  "1:8: expected a list",
		"list:\n\t- a":                   "2:1: a line begins with a tab: indent with blanks",
		"text: a\tb":                     "1:7: expected a text; one that has tabs needs quotes",
		"items:\n- a\n- name: [b]":       "2:3: expected a map with the keys name, size, on\nf:3:9: expected a text",
		"texts:\n- good\n- bad\n- bad":   "3:3: it is bad\nf:4:3: it is bad",
		"items: [{size: 010}]":           "1:16: expected a number such as 1400, in decimal digits without a leading zero",
		"items: [{size: 1.0}]":           "1:16: expected a number such as 1400",
		"items: [{size: '1'}]":           "1:16: expected a number such as 1400, without quotes",
		"items: [{size: +1}]":            "1:16: expected a number such as 1400, in decimal digits without a leading zero",
		"items: [{on: \"yes\"}]":         "1:14: expected true or false, without quotes",
		"items: [{on: True}]":            "1:14: expected true or false, in lower case",
		"items: [{on: 1}]":               "1:14: expected true or false",
		"items: [{size: 0x1F, on: yes}]": "1:16: expected a number such as 1400, in decimal digits without a leading zero\nf:1:26: expected true or false",
		"items:\n- {siz: 1, name: bad}\n- {size: x, name: bad}": "2:4: unknown key 'siz': use name, size, on\nf:2:18: its name is bad\nf:3:10: expected a number such as 1400\nf:3:19: its name is bad",
		"items:\n- &a {name: bad, size: 13}\n- *a":              "2:3: it needs on\nf:2:13: its name is bad\nf:3:3: its name is bad\nf:3:3: it needs on",
		"text: a\n---\n---\ntext: b\n":                          "4:1: the file has more than one document: put all in one",
		"text: a\n...\n---\n# c\n---\n[]\n":                     "6:1: the file has more than one document: put all in one",
		"text: a\n---\n~\n":                                     "3:1: the file has more than one document: put all in one",
		"items: [{size: 99999999999999999999}":                  "1:8: sequence end token ']' not found",
		"items: [{size: 1_000}]":                                "1:16: expected a number such as 1400, in decimal digits without a leading zero",
		"text: *a":                                              "1:7: there is no anchor 'a'",
		"text: &a *a":                                           "1:10: unexpected scalar value type",
		"texts: &a\n- *a\n":                                     "2:3: expected a text",
		"texts: [&a x, &a y, *a]":                               "1:15: there is an anchor 'a' already: give each a name of its own",
		"text: a\n\xff: b":                                      "2:1: this is not UTF-8",
		"text: a\nb: \xc3(\n":                                   "2:4: this is not UTF-8",
		strings.Repeat(" ", 9<<20):                              "1:1: the file is larger than 8 MiB: split it",
	} {
		got, err := decode(text)
		if err == nil {
			t.Errorf("%.40q gave %+v", text, got)
		} else if want := "f:" + want; err.Error() != want {
			t.Errorf("%.40q:\ngot  %q\nwant %q", text, err, want)
		}
	}
}

// TestAliasesAreNoBomb checks that a small file of aliases costs little: what is
// read is no deeper than the struct, and a mistake counts once. Of very many
// mistakes the first are told.
func TestAliasesAreNoBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("texts: [&a0 [x]")
	for i := range 2000 {
		fmt.Fprintf(&b, ", &a%d [%s]", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	b.WriteString("]")
	_, err := decode(b.String())
	var mistakes strictyaml.Mistakes
	if !errors.As(err, &mistakes) || len(mistakes) != 1001 || mistakes[1000].Text != "there are more mistakes than these 1000" {
		t.Errorf("got %d mistakes: %v", len(mistakes), err)
	}
}

// TestDecodeKeepsTexts checks that what is written as JSON is read as it is.
func TestDecodeKeepsTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "texts")
		data, err := json.Marshal(map[string]any{"texts": want})
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(string(data))
		if err != nil && !strings.Contains(err.Error(), "bad") {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Texts); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzDecode checks that no file makes the reader stop the program, and that each
// mistake has a place.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"items: [&a {name: x}, *a]", "text: |\n  a\n", "{\"text\": \"\\ud83d\"}", "? a\n: b", "- &a *a", "text: !!binary x", "%TAG ! a\n---\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := decode(text)
		var mistakes strictyaml.Mistakes
		if errors.As(err, &mistakes); err != nil && len(mistakes) == 0 {
			t.Fatalf("got %v", err)
		}
		for _, one := range mistakes {
			if one.Line < 1 || one.Column < 1 {
				t.Errorf("%v has no place", one)
			}
		}
	})
}

// The memory that the parser takes grows with the square of the nesting.
func TestNestingIsBounded(t *testing.T) {
	for _, part := range []string{"[", "{a: ", "- ", "? ", "!!str "} {
		var into struct {
			A string `yaml:"a"`
		}
		err := strictyaml.Decode("file", []byte(strings.Repeat(part, 1000)), &into, nil)
		if err == nil || !strings.Contains(err.Error(), "nested deeper") {
			t.Errorf("%q: %.200v", part, err)
		}
	}
}

// A null says nothing of what may be left out.
func TestNullSaysNothing(t *testing.T) {
	got, err := decode("items: [{name: a, size: null, on: ~}, {name: b, size: }]\ntexts: null\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(file{Items: []item{{Name: "a"}, {Name: "b"}}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{`{"items": null}`, `{"items": [{"name": "a", "size": null}]}`} {
		if _, err := decode(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
