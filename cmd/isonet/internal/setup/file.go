// Package setup turns what an operator wants of a host's networks into the
// steps that lead there.
package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/isonet/isonet/cmd/isonet/internal/yamlform"
	"github.com/isonet/isonet/model"
)

// Wanted says how some networks and labels must be. What it does not name
// stays as it is.
type Wanted struct {
	Networks []Network `yaml:"networks"`
	// Labels are labels that the host must have.
	Labels []string `yaml:"labels"`
}

// Network says how one network must be; nil leaves an attribute as it is.
type Network struct {
	Name           string  `yaml:"name"`
	Description    *string `yaml:"description"`
	Comment        *string `yaml:"comment"`
	Label          *string `yaml:"label"`
	MTU            *int    `yaml:"mtu"`
	PortIsolation  *bool   `yaml:"port_isolation"`
	Isolation      *string `yaml:"isolation"` // a model.Policy
	Strict         *bool   `yaml:"strict"`
	MACLock        *bool   `yaml:"mac_lock"`
	BroadcastLimit *int    `yaml:"broadcast_limit"`
	// Attach says whether the network is attached to the host, by itself or by
	// a label.
	Attach *bool `yaml:"attach"`
}

// Parse reads a setup file in YAML or JSON. It is strict: an unknown key, a
// wrong type or a value that no network can have is an error.
func Parse(data []byte) (Wanted, error) {
	root, err := parseNode(data)
	if err != nil {
		return Wanted{}, err
	}
	if err := checkKeys(root); err != nil {
		return Wanted{}, err
	}
	var w Wanted
	if err := root.Decode(&w); err != nil {
		return Wanted{}, typeError(err)
	}
	return w, w.validate()
}

// parseNode reads JSON with a JSON parser, because YAML does not know JSON's
// surrogate escapes; the line numbers of the source are kept either way.
func parseNode(data []byte) (*yaml.Node, error) {
	if json.Valid(data) {
		return yamlform.FromJSON(data)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: name networks or labels in it")
	} else if err != nil {
		return nil, syntaxError(err)
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, errors.New("the file has more than one document: put all networks in one")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(err)
	}
	return document.Content[0], nil
}

func syntaxError(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
}

// typeError says in words of the file what the YAML package says in words of
// Go types. One error of several is enough.
func typeError(err error) error {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) || len(wrong.Errors) == 0 {
		return syntaxError(err)
	}
	where, what, ok := strings.Cut(wrong.Errors[0], ": cannot unmarshal ")
	if !ok {
		return errors.New(wrong.Errors[0])
	}
	expected := "a list"
	switch _, kind, _ := strings.Cut(what, " into "); kind {
	case "int":
		expected = "a number"
	case "bool":
		expected = "true or false"
	case "string":
		expected = "a text"
	case "setup.Network":
		expected = "a map with the key 'name'"
	}
	return fmt.Errorf("%s: expected %s", where, expected)
}

func checkKeys(root *yaml.Node) error {
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: expected the keys 'networks' and 'labels'", root.Line)
	}
	if err := onlyKeys(root, "networks", "labels"); err != nil {
		return err
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "networks" {
			continue
		}
		for _, n := range root.Content[i+1].Content {
			if err := onlyKeys(n, "name", "description", "comment", "label", "mtu",
				"port_isolation", "isolation", "strict", "mac_lock", "broadcast_limit", "attach"); err != nil {
				return err
			}
		}
	}
	return nil
}

func onlyKeys(node *yaml.Node, known ...string) error {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return nil // the decoder tells what it expected
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if !slices.Contains(known, key.Value) {
			return fmt.Errorf("line %d: unknown key '%s': use %s", key.Line, key.Value, strings.Join(known, ", "))
		}
	}
	return nil
}

func (w Wanted) validate() error {
	if len(w.Networks) == 0 && len(w.Labels) == 0 {
		return errors.New("the file names no network and no label")
	}
	seen := map[string]bool{}
	for i, n := range w.Networks {
		if n.Name == "" {
			return fmt.Errorf("network number %d has no name", i+1)
		}
		if seen[n.Name] {
			return fmt.Errorf("network '%s' is named twice", n.Name)
		}
		seen[n.Name] = true
		if err := n.validate(); err != nil {
			return fmt.Errorf("network '%s': %w", n.Name, err)
		}
	}
	for _, label := range w.Labels {
		if err := model.ValidateLabel(label); err != nil {
			return fmt.Errorf("label '%s': %w", label, err)
		}
	}
	return nil
}

// validate applies the daemon's own rules before the first request is sent. A
// network whose file does not say whether it is strict may be so already.
func (n Network) validate() error {
	id := model.NewID()
	policy := model.Policy(value(n.Isolation))
	if n.Isolation != nil && policy == "" {
		return errors.New("isolation is empty: leave it out, or use one of enforce, quarantine, report")
	}
	return model.Network{
		ID: id, Name: n.Name, VdsmName: model.VdsmName(id, n.Name),
		Description: value(n.Description), Comment: value(n.Comment), Label: value(n.Label), MTU: value(n.MTU),
		Isolation: policy, Strict: n.Strict == nil || *n.Strict, MACLock: value(n.MACLock), BroadcastLimit: value(n.BroadcastLimit),
	}.Validate()
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
