package setup_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

//go:generate go test -count=1 -run ^TestSchemaFile$ . -update

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the schema anew")
	os.Exit(m.Run())
}

// TestSchemaFile holds the published schema against the reader's types.
func TestSchemaFile(t *testing.T) {
	const path = "../../../../docs/setup.schema.json"
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, setup.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, setup.Schema()) {
		t.Errorf("docs/setup.schema.json is not what the program prints (%v): run \"make generate\"", err)
	}
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(setup.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("setup.schema.json", document); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("setup.schema.json")
}

// decoded is a file as programs read it that know the schema only.
func decoded(t *testing.T, text string) (value any, readable bool) {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return nil, false
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, false
	}
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(data))
	return value, err == nil
}

// TestSchemaTakesExamples checks that the schema takes what the reader takes: the
// examples of the tests and of the documents.
func TestSchemaTakesExamples(t *testing.T) {
	examples := map[string]string{"YAML": wholeYAML, "JSON": wholeJSON, "nothing": "networks: []\nlabels: []\n"}
	files, err := filepath.Glob("../../testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		examples[path] = string(data)
	}
	for _, path := range []string{"cli.md", "howto.md", "first-use.md"} {
		data, err := os.ReadFile("../../../../docs/" + path)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?m)^(?:```yaml\n)?((?:#.*\n)?networks:\n(?:[ -].*\n|labels:.*\n)+)").FindAllStringSubmatch(string(data), -1) {
			examples[path+": "+block[1]] = block[1]
		}
	}
	if len(examples) < 7 {
		t.Errorf("there are %d examples only", len(examples))
	}
	for name, text := range examples {
		value, readable := decoded(t, text)
		if _, err := setup.Parse(name, []byte(text)); err != nil || !readable {
			t.Errorf("%s: %v", name, err)
		}
		if err := schema(t).Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unsaid are mistakes that no schema can say: they are about how a value is written,
// or about several values.
var unsaid = regexp.MustCompile(`is there already|more than one document|named twice|it cannot be detached|leading zero|in lower case|nested deeper|not found`)

// TestSchemaRefuses checks that the schema refuses what the reader refuses.
func TestSchemaRefuses(t *testing.T) {
	s, checked := schema(t), 0
	for _, tt := range refused() {
		value, readable := decoded(t, tt.text)
		said := slices.ContainsFunc(strings.Split(tt.want, "\n"), func(line string) bool { return !unsaid.MatchString(line) })
		if !readable || !said {
			continue
		}
		checked++
		if s.Validate(value) == nil {
			t.Errorf("%s: the schema takes\n%s", tt.name, tt.text)
		}
	}
	if checked < 25 {
		t.Errorf("%d files were checked only", checked)
	}
}

// anyValue draws what may stand in a file: values that are right somewhere, and others.
func anyValue() *rapid.Generator[any] {
	return rapid.SampledFrom([]any{
		nil, true, false, 0, 1, -1, 67, 68, 1500, 65521, 65522, 200_000_000, 200_000_001, 1.5, "", "x", "blue", "a b", " x", "x ", "x\u00a0", "\u2003x", "bond0", "BoNDage",
		"bon", "enforce", "quarantine", "report", "a\nb", "a\x7fb", "a\u0085", "\ufeffx", "\ufffe", "🚀", "on", "010", "-", strings.Repeat("ä", 256), strings.Repeat("a", 256), strings.Repeat("a", 257),
		strings.Repeat("ä", 4000), strings.Repeat("ä", 4001),
		[]any{},
		[]any{"x"},
		map[string]any{},
		map[string]any{"name": "x"},
	})
}

// TestSchemaAgreesWithReader draws files of right and wrong values and checks that
// schema and reader say the same of them.
func TestSchemaAgreesWithReader(t *testing.T) {
	s := schema(t)
	keys := append(strings.Split(networkKeys(), ", "), "vlan")
	rapid.Check(t, func(t *rapid.T) {
		file := map[string]any{}
		if rapid.Bool().Draw(t, "with networks") {
			file["networks"] = drawNetworks(t, keys)
		}
		if rapid.Bool().Draw(t, "with labels") {
			file["labels"] = rapid.OneOf(anyValue(), rapid.Map(rapid.SliceOfN(anyValue(), 0, 2), func(l []any) any { return l })).Draw(t, "labels")
		}
		if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
			file["lables"] = anyValue().Draw(t, "lables")
		}
		data, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		_, wrong := setup.Parse("f", data)
		if wrong != nil && !slices.ContainsFunc(strings.Split(wrong.Error(), "\n"), func(line string) bool {
			return !regexp.MustCompile("named twice|it cannot be detached").MatchString(line)
		}) {
			return
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if refused := s.Validate(value); (refused == nil) != (wrong == nil) {
			t.Fatalf("of %s\nthe reader says %v\nthe schema says %v", data, wrong, refused)
		}
	})
}

func drawNetworks(t *rapid.T, keys []string) any {
	if rapid.IntRange(0, 9).Draw(t, "no list") == 0 {
		return anyValue().Draw(t, "networks")
	}
	networks := []any{}
	for range rapid.IntRange(0, 2).Draw(t, "number") {
		if rapid.IntRange(0, 9).Draw(t, "no map") == 0 {
			networks = append(networks, anyValue().Draw(t, "network"))
			continue
		}
		network := map[string]any{"name": "x"}
		for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 0, 3, rapid.ID).Draw(t, "keys") {
			network[key] = anyValue().Draw(t, key)
		}
		networks = append(networks, network)
	}
	return networks
}
