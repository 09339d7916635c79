// Package setup turns what an operator wants of a host's networks into the
// steps that lead there.
package setup

import (
	"errors"
	"fmt"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/internal/strictyaml"
	"github.com/isonet/isonet/model"
)

// Wanted says how some networks and labels must be. What it does not name
// stays as it is.
type Wanted struct {
	Networks []Network `yaml:"networks" json:"networks"`
	// Labels are labels that the host must have.
	Labels []string `yaml:"labels" json:"labels"`
}

// Network says how one network must be; nil leaves an attribute as it is.
type Network struct {
	Name          string  `yaml:"name"`
	Description   *string `yaml:"description"`
	Comment       *string `yaml:"comment"`
	Label         *string `yaml:"label"`
	MTU           *int    `yaml:"mtu"`
	PortIsolation *bool   `yaml:"port_isolation"`
	client.Settings
	// IsolationPolicy is what the API calls Settings.Isolation. Parse makes it that.
	IsolationPolicy *string `yaml:"isolation_policy"`
	// Attach says whether the network is attached to the host, by itself or by
	// a label.
	Attach *bool `yaml:"attach"`
}

// Parse reads a setup file in YAML or JSON. It is strict: an unknown key, a
// wrong type or a value that no network can have is a mistake. All mistakes are
// told, each with its place in the file of that name: strictyaml.Mistakes.
func Parse(name string, data []byte) (Wanted, error) {
	var w Wanted
	seen := map[string]bool{}
	err := strictyaml.Decode(name, data, &w, func(item any) error {
		n, network := item.(*Network)
		if !network {
			return checkLabel(*item.(*string))
		}
		if seen[n.Name] {
			return fmt.Errorf("network '%s' is named twice", n.Name)
		}
		seen[n.Name] = true
		return errors.Join(n.translate(), n.validate())
	})
	if err == nil && w.Networks == nil && w.Labels == nil {
		err = strictyaml.Mistakes{{File: name, Position: strictyaml.Position{Line: 1, Column: 1}, Text: "the file has neither networks nor labels"}}
	}
	return w, hinted(err)
}

// hinted says to whoever gave a list, such as what 'isonet network list' prints,
// where a file comes from.
func hinted(err error) error {
	mistakes, _ := errors.AsType[strictyaml.Mistakes](err)
	for i, m := range mistakes {
		if m.Text == "expected a map with the keys networks, labels" {
			mistakes[i].Text += ": 'isonet export' writes such a file"
		}
	}
	return err
}

// translate takes the API's name of a member for the file's.
func (n *Network) translate() error {
	switch {
	case n.IsolationPolicy == nil:
		return nil
	case n.Isolation != nil:
		return fmt.Errorf("network '%s': isolation and isolation_policy are the same: give one of them", n.Name)
	}
	n.Isolation, n.IsolationPolicy = n.IsolationPolicy, nil
	return nil
}

func checkLabel(label string) error {
	if err := model.ValidateLabel(label); err != nil {
		return fmt.Errorf("label '%s': %w", label, err)
	}
	return nil
}

// validate is Validate for a network of a file.
func (n Network) validate() error {
	if n.Name == "" {
		return errors.New("a network needs a name")
	}
	if err := n.Validate(); err != nil {
		return fmt.Errorf("network '%s': %w", n.Name, err)
	}
	return nil
}

// Validate applies the daemon's own rules before the first request is sent. A
// network of which it is not said whether it is strict may be so already.
func (n Network) Validate() error {
	id := model.NewID()
	if n.Isolation != nil && *n.Isolation == "" {
		return errors.New("isolation is empty: leave it out, or use one of enforce, quarantine, report")
	}
	made := model.Network{
		ID: id, Name: n.Name, VdsmName: model.VdsmName(id, n.Name), Strict: true,
		Description: value(n.Description), Comment: value(n.Comment), Label: value(n.Label), MTU: value(n.MTU),
	}
	made.Apply(n.Settings)
	return made.Validate()
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
