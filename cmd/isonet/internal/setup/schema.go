package setup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/isonet/isonet/model"
)

// part is a part of a JSON schema.
type part map[string]any

// Schema returns the JSON schema (draft 7) of setup files. It has the keys and types
// of Wanted and the rules of Parse, as far as a schema can say them: it knows no
// names that are there twice, and no way of writing a number.
func Schema() []byte {
	network := object(reflect.TypeFor[Network](), networkRules())
	network["required"] = []string{"name"}
	maps.Copy(network, needsStrict())
	label := part{
		"description": "A label that the host must have: it attaches all networks that have it.",
		"type":        []string{"string", "integer", "boolean"}, "minLength": 1, "maxLength": model.MaxLabel, "pattern": "^[0-9a-zA-Z_-]*$",
	}
	lists := map[string]part{
		"networks": {"description": "What networks there must be. Others stay as they are.", "items": network},
		"labels":   {"description": "Labels that the host must have. Others stay as they are.", "items": label, "uniqueItems": true},
	}
	file := object(reflect.TypeFor[Wanted](), lists)
	file["$schema"] = "http://json-schema.org/draft-07/schema#"
	file["title"] = "A setup file of isonet"
	file["anyOf"] = []part{
		{"required": []string{"networks"}, "properties": part{"networks": part{"type": "array"}}},
		{"required": []string{"labels"}, "properties": part{"labels": part{"type": "array"}}},
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(file); err != nil {
		panic(err) // it is made of texts, numbers and lists of them
	}
	var ascii strings.Builder
	for _, r := range b.String() {
		if r < 0x7f {
			ascii.WriteRune(r)
		} else {
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	return []byte(ascii.String())
}

// object is the schema of a struct: of all keys, with a rule for each.
func object(t reflect.Type, rules map[string]part) part {
	properties := part{}
	for _, field := range reflect.VisibleFields(t) {
		key := field.Tag.Get("yaml")
		if key == "" {
			continue
		}
		one := part{"type": types(field.Type)}
		if usage := field.Tag.Get("usage"); usage != "" {
			one["description"] = usage
		}
		maps.Copy(one, rules[key])
		properties[key] = one
	}
	return part{"type": "object", "additionalProperties": false, "properties": properties}
}

// types are those of the values that Parse takes for a member. What is written is a
// text, whatever YAML takes it for; a null says nothing of what may be left out.
func types(t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return append(types(t.Elem()), "null")
	case reflect.Slice:
		return []string{"array", "null"}
	case reflect.Int:
		return []string{"integer"}
	case reflect.Bool:
		return []string{"boolean"}
	}
	return []string{"string", "number", "boolean"}
}

// The characters that model refuses in texts, and those that a name may not begin or
// end with, as members of a class.
const (
	controls = `\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f` + "\uFFFD\uFFFE\uFFFF"
	lines    = `\t\n\r`
	blanks   = " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
)

func networkRules() map[string]part {
	text := func(description string) part {
		return part{"description": description, "maxLength": model.MaxDescription, "pattern": "^[^" + controls + "]*$"}
	}
	return map[string]part{
		"name": {
			"description": "The network's name.", "minLength": 1, "maxLength": model.MaxName, "pattern": "^[^" + controls + lines + "]*$",
			"not": part{"type": "string", "pattern": "^([bB][oO][nN][dD]|[" + blanks + "])|[" + blanks + "]$"},
		},
		"description": text("What the network is for."),
		"comment":     text("Free text."),
		"label": {
			"description": "Attaches the network to hosts that have this label. An empty one means none.",
			"type":        []string{"string", "integer", "boolean", "null"}, "maxLength": model.MaxLabel, "pattern": "^[0-9a-zA-Z_-]*$",
		},
		"mtu": {
			"description": "MTU in bytes; 0 means the default.",
			"anyOf":       []part{{"const": 0}, {"minimum": model.MinMTU, "maximum": model.MaxMTU}}, "default": 0,
		},
		"port_isolation":   {"description": "Keeps the ports from reaching each other."},
		"isolation_policy": {"type": []string{"string", "null"}, "enum": append([]any{nil}, anys(policies())...)},
		"broadcast_limit":  {"minimum": 0, "maximum": model.MaxBroadcastLimit},
		"attach":           {"description": "Whether the host has the network. Left out, it stays as it is."},
	}
}

// needsStrict refuses what needs a strict network where the file says that it is not.
func needsStrict() part {
	return part{
		"if": part{"required": []string{"strict"}, "properties": part{"strict": part{"const": false}}},
		"then": part{"properties": part{
			"mac_lock":        part{"not": part{"const": true}},
			"broadcast_limit": part{"not": part{"type": "integer", "exclusiveMinimum": 0}},
		}},
	}
}

func anys(list []string) []any {
	values := make([]any, len(list))
	for i, v := range list {
		values[i] = v
	}
	return values
}
