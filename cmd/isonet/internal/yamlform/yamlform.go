// Package yamlform turns JSON into YAML, so that one set of field names serves
// both forms.
package yamlform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds the nesting that FromJSON accepts.
const maxDepth = 100

// Marshal writes a value in YAML with the names and the order of its JSON form.
func Marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	node, err := FromJSON(data)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

// FromJSON returns one JSON value as a YAML node. Each node has the line of the
// JSON text that it ends in; duplicate keys are kept.
func FromJSON(data []byte) (*yaml.Node, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	r := reader{data: data, decoder: decoder}
	node, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return node, nil
}

type reader struct {
	data    []byte
	decoder *json.Decoder
	counted int // offset up to which lines are counted
	lines   int
}

// line returns the line of the text that was read last.
func (r *reader) line() int {
	offset := int(r.decoder.InputOffset())
	r.lines += bytes.Count(r.data[r.counted:offset], []byte("\n"))
	r.counted = offset
	return r.lines + 1
}

func (r *reader) value(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: nested more than %d times", r.line(), maxDepth)
	}
	token, err := r.decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", r.line(), err)
	}
	line := r.line()
	switch t := token.(type) {
	case json.Delim:
		return r.composite(t, line, depth)
	case string:
		node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t, Line: line}
		if strings.Contains(t, "\t") {
			node.Style = yaml.DoubleQuotedStyle // else it could be written as a block, which a tab must not begin
		}
		return node, nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(t.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: t.String(), Line: line}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(t), Line: line}, nil
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null", Line: line}, nil
	}
}

// composite reads the members of a list or, keys included, of a map.
func (r *reader) composite(open json.Delim, line, depth int) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: line}
	if open == '{' {
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
	}
	for r.decoder.More() {
		child, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, child)
	}
	if len(node.Content) == 0 {
		node.Style = yaml.FlowStyle // [] and {}
	}
	if _, err := r.decoder.Token(); err != nil {
		return nil, fmt.Errorf("line %d: %w", r.line(), err)
	}
	return node, nil
}
