package setup

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/isonet/isonet/client"
)

// Current is what the daemon has.
type Current struct {
	Networks []client.Network
	// Labels are those of the host.
	Labels []string
	// Attached holds the ids of the networks that are attached to the host by
	// themselves, not by a label.
	Attached map[string]bool
}

// Plan is what to do, in the order of its fields, as one change.
type Plan struct {
	Create       []client.NetworkChange
	Update       []Update
	Delete       []client.Network
	Attach       []string // names of networks
	Detach       []string // names of networks
	AddLabels    []string
	RemoveLabels []string
	// Kept are networks that the wish does not name, and that a label keeps on the
	// host.
	Kept []LabelledError
}

// Update changes one network.
type Update struct {
	ID, Name string
	Change   client.NetworkChange
	// Changes are the changed attributes for a reader, such as
	// "mtu 1500 -> 1400".
	Changes []string
}

// Step is one part of a plan, for a reader.
type Step struct {
	// Action is create, update, delete, attach, detach, add-label, remove-label,
	// adopt-bridge, release-bridge, release-device, remove-port, rename-host, drain-host, activate-host, register-host or remove-host.
	Action string `json:"action"`
	// Name is the name of the network, the label, the bridge, the port or the host.
	Name string `json:"name"`
	// Changes are the attributes that an update changes, and what is to be known
	// of a bridge.
	Changes []string `json:"changes,omitempty"`
}

// Make returns the plan that leads from what is to what is wanted. It returns
// an error if the wish contradicts itself.
func Make(have Current, want Wanted) (Plan, error) {
	byName := make(map[string]client.Network, len(have.Networks))
	for _, n := range have.Networks {
		byName[n.Name] = n
	}
	var p Plan
	p.AddLabels = missing(want.Labels, have.Labels)
	if want.Prune && want.Labels != nil {
		p.RemoveLabels = missing(have.Labels, want.Labels)
	}
	labels := slices.Concat(missing(have.Labels, p.RemoveLabels), p.AddLabels)
	if want.Prune && want.Networks != nil {
		p.prune(have, want, labels)
	}
	for _, w := range want.Networks {
		n, exists := byName[w.Name]
		label := n.Label
		if w.Label != nil {
			label = *w.Label
		}
		labelled := label != "" && slices.Contains(labels, label)
		if w.Attach != nil && !*w.Attach && labelled {
			return Plan{}, &LabelledError{Network: w.Name, Label: label}
		}
		if exists {
			if u := update(n, w); !u.Change.Empty() {
				p.Update = append(p.Update, u)
			}
		} else {
			p.Create = append(p.Create, w.create())
		}
		attached := labelled || (exists && have.Attached[n.ID])
		switch {
		case w.Attach == nil || *w.Attach == attached:
		case *w.Attach:
			p.Attach = append(p.Attach, w.Name)
		default:
			p.Detach = append(p.Detach, w.Name)
		}
	}
	return p, nil
}

// prune detaches the networks that are not named from the host. Those that its labels
// attach stay.
func (p *Plan) prune(have Current, want Wanted, labels []string) {
	named := make(map[string]bool, len(want.Networks))
	for _, w := range want.Networks {
		named[w.Name] = true
	}
	for _, n := range have.Networks {
		switch {
		case named[n.Name]:
		case n.Label != "" && slices.Contains(labels, n.Label):
			p.Kept = append(p.Kept, LabelledError{Network: n.Name, Label: n.Label})
		case have.Attached[n.ID]:
			p.Detach = append(p.Detach, n.Name)
		}
	}
}

// LabelledError says that a network must not be attached and must be, because
// of a label.
type LabelledError struct{ Network, Label string }

// Error tells how to get out of the contradiction.
func (e *LabelledError) Error() string {
	return fmt.Sprintf("network '%s' cannot be detached: the host's label '%s' attaches it; remove that label from the host or from the network",
		e.Network, e.Label)
}

// missing returns the members of want that have lacks, each once.
func missing(want, have []string) []string {
	var list []string
	for _, s := range want {
		if !slices.Contains(have, s) && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

func (n Network) create() client.NetworkChange {
	return client.NetworkChange{
		Name: &n.Name, Description: n.Description, Comment: n.Comment, Label: n.Label,
		MTU: n.MTU, PortIsolation: n.PortIsolation, Settings: n.Settings,
	}
}

func update(have client.Network, want Network) Update {
	u := Update{ID: have.ID, Name: have.Name}
	log := &u.Changes
	u.Change.Description = differs(log, "description", have.Description, want.Description, strconv.Quote)
	u.Change.Comment = differs(log, "comment", have.Comment, want.Comment, strconv.Quote)
	u.Change.Label = differs(log, "label", have.Label, want.Label, strconv.Quote)
	u.Change.MTU = differs(log, "mtu", have.MTU, want.MTU, zeroIs("default"))
	u.Change.PortIsolation = differs(log, "port_isolation", have.PortIsolation, want.PortIsolation, strconv.FormatBool)
	u.Change.Settings = differing(log, have.Settings, want.Settings)
	return u
}

// differing returns what the settings have to become, and logs it for a reader. What
// the daemon does not have is off.
func differing(log *[]string, have, want client.Settings) (change client.Settings) {
	is, must, set := reflect.ValueOf(have), reflect.ValueOf(want), reflect.ValueOf(&change).Elem()
	for i := range must.NumField() {
		if must.Field(i).IsNil() {
			continue
		}
		before := reflect.Zero(must.Field(i).Type().Elem())
		if !is.Field(i).IsNil() {
			before = is.Field(i).Elem()
		}
		if after := must.Field(i).Elem(); !before.Equal(after) {
			set.Field(i).Set(must.Field(i))
			*log = append(*log, fmt.Sprintf("%s %s -> %s", must.Type().Field(i).Tag.Get("yaml"), settingText(before), settingText(after)))
		}
	}
	return change
}

func settingText(v reflect.Value) string {
	if v.Kind() == reflect.Int {
		return zeroIs("none")(int(v.Int()))
	}
	return fmt.Sprint(v)
}

// differs returns what an attribute has to become, nil if it may stay. It logs
// a change for a reader.
func differs[T comparable](log *[]string, field string, have T, want *T, text func(T) string) *T {
	if want == nil || *want == have {
		return nil
	}
	*log = append(*log, fmt.Sprintf("%s %s -> %s", field, text(have), text(*want)))
	return want
}

// zeroIs writes numbers, and a word for 0.
func zeroIs(word string) func(int) string {
	return func(n int) string {
		if n == 0 {
			return word
		}
		return strconv.Itoa(n)
	}
}

// Changes returns the plan as changes of the daemon, of which each is done as a whole:
// one, unless the plan has more networks than one may have. Host is the id of the host.
func (p Plan) Changes(host string, most int, force bool) []client.Change {
	var changes []client.Change
	last := client.Change{Force: force}
	next := func() {
		if len(last.Put)+len(last.Remove) == most {
			changes, last = append(changes, last), client.Change{Force: force}
		}
	}
	for _, n := range p.Create {
		next()
		last.Put = append(last.Put, client.PutNetwork{NetworkChange: n})
	}
	for _, u := range p.Update {
		next()
		last.Put = append(last.Put, client.PutNetwork{ID: u.ID, NetworkChange: u.Change})
	}
	for _, n := range p.Delete {
		next()
		last.Remove = append(last.Remove, n.ID)
	}
	if p.Host() {
		last.Host = host
		last.Setup = client.SetupNetworks{Attach: p.Attach, Detach: p.Detach, AddLabels: p.AddLabels, RemoveLabels: p.RemoveLabels}
	}
	if len(p.Steps()) == 0 {
		return nil
	}
	return append(changes, last)
}

// Host says whether the plan changes the host: its attachments or labels.
func (p Plan) Host() bool {
	return len(p.Attach)+len(p.Detach)+len(p.AddLabels)+len(p.RemoveLabels) > 0
}

// Steps lists the plan for a reader, in the order in which it is done.
func (p Plan) Steps() []Step {
	steps := []Step{}
	for _, n := range p.Create {
		steps = append(steps, Step{Action: "create", Name: *n.Name})
	}
	for _, u := range p.Update {
		steps = append(steps, Step{Action: "update", Name: u.Name, Changes: u.Changes})
	}
	for _, n := range p.Delete {
		steps = append(steps, Step{Action: "delete", Name: n.Name})
	}
	for _, part := range []struct {
		action string
		names  []string
	}{{"attach", p.Attach}, {"detach", p.Detach}, {"add-label", p.AddLabels}, {"remove-label", p.RemoveLabels}} {
		for _, name := range part.names {
			steps = append(steps, Step{Action: part.action, Name: name})
		}
	}
	return steps
}
