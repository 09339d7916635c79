// Package setup turns what an operator wants of a host's networks into the
// steps that lead there.
package setup

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

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
	// Prune takes from the host what the wish does not name: if it has Networks, other
	// networks, and if it has Labels, other labels. Nothing is deleted.
	Prune bool `json:"-"`
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
	// Attach says whether the network is attached to the host, by itself or by
	// a label.
	Attach *bool `yaml:"attach"`
}

// Parse reads a setup file in YAML or JSON. It is strict: an unknown key, a
// wrong type or a value that no network can have is a mistake. All mistakes are
// told, each with its place in the file of that name: strictyaml.Mistakes.
func Parse(name string, data []byte) (Wanted, error) {
	var w Wanted
	err := strictyaml.Decode(name, data, &w, func() []error { return w.check() })
	if err == nil && w.Networks == nil && w.Labels == nil {
		err = strictyaml.Mistakes{{File: name, Position: strictyaml.Position{Line: 1, Column: 1}, Text: "the file has neither networks nor labels"}}
	}
	return w, hinted(err)
}

// hints says more where somebody follows another form.
var hints = map[string]string{
	// What 'isonet network list' prints.
	"expected a map with the keys networks, labels": "'isonet export' writes such a file",
	"unknown key 'isolation'":                       "it is called isolation_policy",
	"unknown key 'id'":                              "a file has names only: leave it out",
	"unknown key 'bridge'":                          "isonetd names bridges: leave it out",
}

func hinted(err error) error {
	mistakes, _ := errors.AsType[strictyaml.Mistakes](err)
	for i, m := range mistakes {
		what, _, unknown := strings.Cut(m.Text, ": use ")
		if hint := hints[what]; hint != "" && (unknown || what == m.Text) {
			mistakes[i].Text = what + ": " + hint
		}
	}
	return err
}

// check applies the daemon's own rules before the first request is sent.
func (w Wanted) check() []error {
	var wrong []error
	seen := map[string]bool{}
	for i, n := range w.Networks {
		for _, err := range n.check(w.Labels) {
			wrong = append(wrong, strictyaml.At(fmt.Errorf("network '%s': %w", n.Name, err.error), "networks", i, err.key))
		}
		if n.Name == "" {
			wrong = append(wrong, strictyaml.At(errors.New("a network needs a name"), "networks", i, "name"))
		} else if seen[n.Name] {
			wrong = append(wrong, strictyaml.At(fmt.Errorf("network '%s' is named twice", n.Name), "networks", i, "name"))
		}
		seen[n.Name] = true
	}
	clear(seen)
	for i, label := range w.Labels {
		if err := model.ValidateLabel(label); err != nil {
			wrong = append(wrong, strictyaml.At(fmt.Errorf("label '%s': %w", label, err), "labels", i))
		} else if seen[label] {
			wrong = append(wrong, strictyaml.At(fmt.Errorf("label '%s' is named twice", label), "labels", i))
		}
		seen[label] = true
	}
	return wrong
}

// memberError says what is wrong with a member of a network.
type memberError struct {
	key string
	error
}

// check tells all that is wrong with a network but for its name being missing. Labels
// are those that the host must have.
func (n Network) check(labels []string) (wrong []memberError) {
	about := func(key string, set func(*model.Network)) {
		made := sound()
		set(&made)
		for _, err := range refusals(made.Validate()) {
			if !slices.ContainsFunc(wrong, func(told memberError) bool { return told.Error() == err.Error() }) {
				wrong = append(wrong, memberError{key, err})
			}
		}
	}
	about("name", func(made *model.Network) { made.Name = cmp.Or(n.Name, made.Name) })
	about("description", func(made *model.Network) { made.Description = value(n.Description) })
	about("comment", func(made *model.Network) { made.Comment = value(n.Comment) })
	about("label", func(made *model.Network) { made.Label = value(n.Label) })
	about("mtu", func(made *model.Network) { made.MTU = value(n.MTU) })
	each := reflect.ValueOf(n.Settings)
	for i := range each.NumField() {
		if key := each.Type().Field(i).Tag.Get("yaml"); key != "strict" {
			var one client.Settings
			reflect.ValueOf(&one).Elem().Field(i).Set(each.Field(i))
			about(key, func(made *model.Network) { made.Apply(one) })
		}
	}
	if n.Isolation != nil && *n.Isolation == "" {
		wrong = append(wrong, memberError{"isolation_policy", errors.New("the policy is empty: leave it out, or use one of " + strings.Join(policies(), ", "))})
	}
	about("strict", func(made *model.Network) {
		made.Name = cmp.Or(n.Name, made.Name)
		made.Apply(n.Settings)
	})
	if label := value(n.Label); label != "" && slices.Contains(labels, label) && n.Attach != nil && !*n.Attach {
		wrong = append(wrong, memberError{"attach", fmt.Errorf("it cannot be detached: the label '%s' of this file attaches it", label)})
	}
	return wrong
}

// Validate applies the daemon's own rules to what is said of a network. A network of
// which it is not said whether it is strict may be so already.
func (n Network) Validate() error {
	var wrong []error
	for _, one := range n.check(nil) {
		wrong = append(wrong, one.error)
	}
	return model.Join(wrong...)
}

func refusals(err error) []error {
	if several, ok := errors.AsType[model.Refusals](err); ok {
		return several
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// sound is a network with which nothing is wrong. It is strict: a network whose file
// does not say so may be that already.
func sound() model.Network {
	id := model.NewID()
	return model.Network{ID: id, Name: "x", VdsmName: model.VdsmName(id, "x"), Strict: true}
}

func policies() []string {
	var list []string
	for _, p := range model.Policies() {
		list = append(list, string(p))
	}
	return list
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
