package setup_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

func TestMake(t *testing.T) {
	have := setup.Current{
		Networks: []client.Network{
			{ID: "1", Name: "blue", MTU: 1400, Label: "lab", Description: "old", PortIsolation: true, Settings: client.Settings{Isolation: ptr("enforce"), Strict: ptr(false), MACLock: ptr(false), BroadcastLimit: ptr(0)}},
			{ID: "2", Name: "green", Settings: client.Settings{Isolation: ptr("report"), Strict: ptr(true), MACLock: ptr(true), BroadcastLimit: ptr(1000)}},
			{ID: "3", Name: "red", Label: "web"},
		},
		Labels:   []string{"web"},
		Attached: map[string]bool{"1": true},
	}
	tests := []struct {
		name string
		want setup.Wanted
		plan setup.Plan
	}{
		{"nothing", setup.Wanted{}, setup.Plan{}},
		{
			"as it is",
			setup.Wanted{
				Networks: []setup.Network{
					{Name: "blue", MTU: ptr(1400), Label: ptr("lab"), Description: ptr("old"), Comment: ptr(""), PortIsolation: ptr(true), Attach: ptr(true)},
					{
						Name: "green", MTU: ptr(0), Settings: client.Settings{Isolation: ptr("report"), Strict: ptr(true), MACLock: ptr(true), BroadcastLimit: ptr(1000)},
						Attach: ptr(false),
					},
				},
				Labels: []string{"web"},
			},
			setup.Plan{},
		},
		{
			"a new network with all",
			setup.Wanted{Networks: []setup.Network{
				{
					Name: "new", MTU: ptr(9000), Label: ptr("x"), Description: ptr("d"), Comment: ptr("c"), PortIsolation: ptr(false),
					Settings: client.Settings{Isolation: ptr("quarantine"), Strict: ptr(true), MACLock: ptr(true), BroadcastLimit: ptr(10)}, Attach: ptr(true),
				},
			}},
			setup.Plan{
				Create: []client.NetworkChange{
					{
						Name: ptr("new"), MTU: ptr(9000), Label: ptr("x"), Description: ptr("d"), Comment: ptr("c"), PortIsolation: ptr(false),
						Settings: client.Settings{Isolation: ptr("quarantine"), Strict: ptr(true), MACLock: ptr(true), BroadcastLimit: ptr(10)},
					},
				},
				Attach: []string{"new"},
			},
		},
		{
			"a new network that must not be attached",
			setup.Wanted{Networks: []setup.Network{{Name: "new", Attach: ptr(false)}}},
			setup.Plan{Create: []client.NetworkChange{{Name: ptr("new")}}},
		},
		{
			"only what differs is updated",
			setup.Wanted{Networks: []setup.Network{
				{Name: "blue", MTU: ptr(0), Label: ptr(""), Description: ptr("old"), PortIsolation: ptr(false)},
			}},
			setup.Plan{Update: []setup.Update{{
				ID: "1", Name: "blue",
				Change:  client.NetworkChange{MTU: ptr(0), Label: ptr(""), PortIsolation: ptr(false)},
				Changes: []string{`label "lab" -> ""`, "mtu 1400 -> default", "port_isolation true -> false"},
			}}},
		},
		{
			"only what differs of the isolation is updated",
			setup.Wanted{Networks: []setup.Network{
				{Name: "blue", Settings: client.Settings{Isolation: ptr("enforce"), Strict: ptr(true), BroadcastLimit: ptr(5)}},
				{Name: "green", Settings: client.Settings{Isolation: ptr("quarantine"), Strict: ptr(false), MACLock: ptr(false), BroadcastLimit: ptr(0)}},
			}},
			setup.Plan{Update: []setup.Update{{
				ID: "1", Name: "blue",
				Change:  client.NetworkChange{Settings: client.Settings{Strict: ptr(true), BroadcastLimit: ptr(5)}},
				Changes: []string{"strict false -> true", "broadcast_limit none -> 5"},
			}, {
				ID: "2", Name: "green",
				Change:  client.NetworkChange{Settings: client.Settings{Isolation: ptr("quarantine"), Strict: ptr(false), MACLock: ptr(false), BroadcastLimit: ptr(0)}},
				Changes: []string{"isolation_policy report -> quarantine", "strict true -> false", "mac_lock true -> false", "broadcast_limit 1000 -> none"},
			}}},
		},
		{
			"attach, detach and label",
			setup.Wanted{
				Networks: []setup.Network{{Name: "green", Attach: ptr(true)}, {Name: "blue", Attach: ptr(false)}},
				Labels:   []string{"web", "db", "db"},
			},
			setup.Plan{Attach: []string{"green"}, Detach: []string{"blue"}, AddLabels: []string{"db"}},
		},
		{
			"a label attaches as well",
			setup.Wanted{
				Networks: []setup.Network{{Name: "red", Attach: ptr(true)}, {Name: "new", Label: ptr("lab"), Attach: ptr(true)}},
				Labels:   []string{"lab"},
			},
			setup.Plan{
				Create:    []client.NetworkChange{{Name: ptr("new"), Label: ptr("lab")}},
				AddLabels: []string{"lab"},
			},
		},
		{
			"a label is taken from the network that must go",
			setup.Wanted{Networks: []setup.Network{{Name: "red", Label: ptr(""), Attach: ptr(false)}}},
			setup.Plan{
				Update: []setup.Update{{
					ID: "3", Name: "red", Change: client.NetworkChange{Label: ptr("")}, Changes: []string{`label "web" -> ""`},
				}},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := setup.Make(have, tt.want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.plan, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPrune takes from the host what is not named, as far as the wish is about it.
func TestPrune(t *testing.T) {
	have := setup.Current{
		Networks: []client.Network{{ID: "1", Name: "blue"}, {ID: "2", Name: "green", Label: "lab"}, {ID: "3", Name: "red", Label: "web"}, {ID: "4", Name: "grey"}},
		Labels:   []string{"lab", "web"},
		Attached: map[string]bool{"1": true, "2": true},
	}
	for _, tt := range []struct {
		name string
		want setup.Wanted
		plan setup.Plan
	}{
		{
			"networks only",
			setup.Wanted{Networks: []setup.Network{{Name: "grey", Attach: ptr(true)}}},
			setup.Plan{Attach: []string{"grey"}, Detach: []string{"blue"}, Kept: []setup.LabelledError{{Network: "green", Label: "lab"}, {Network: "red", Label: "web"}}},
		},
		{"labels only", setup.Wanted{Labels: []string{"web", "db"}}, setup.Plan{AddLabels: []string{"db"}, RemoveLabels: []string{"lab"}}},
		{
			"both",
			setup.Wanted{Networks: []setup.Network{{Name: "blue"}}, Labels: []string{"web"}},
			setup.Plan{Detach: []string{"green"}, RemoveLabels: []string{"lab"}, Kept: []setup.LabelledError{{Network: "red", Label: "web"}}},
		},
		{"nothing is named", setup.Wanted{Networks: []setup.Network{}, Labels: []string{}}, setup.Plan{Detach: []string{"blue", "green"}, RemoveLabels: []string{"lab", "web"}}},
		{
			"a network stays that a label attached",
			setup.Wanted{Networks: []setup.Network{{Name: "red", Attach: ptr(true)}, {Name: "green", Attach: ptr(false)}, {Name: "blue"}}, Labels: []string{}},
			setup.Plan{Attach: []string{"red"}, Detach: []string{"green"}, RemoveLabels: []string{"lab", "web"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Prune = true
			got, err := setup.Make(have, tt.want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.plan, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestChanges splits a plan into as few changes as may be, of which the last one
// changes the host.
func TestChanges(t *testing.T) {
	p := setup.Plan{
		Create: []client.NetworkChange{{Name: ptr("a")}, {Name: ptr("b")}}, Update: []setup.Update{{ID: "3", Change: client.NetworkChange{MTU: ptr(1400)}}},
		Delete: []client.Network{{ID: "4"}, {ID: "5"}}, Attach: []string{"a"},
	}
	want := []client.Change{
		{Put: []client.PutNetwork{{NetworkChange: p.Create[0]}, {NetworkChange: p.Create[1]}}, Force: true},
		{Put: []client.PutNetwork{{ID: "3", NetworkChange: p.Update[0].Change}}, Remove: []string{"4"}, Force: true},
		{Remove: []string{"5"}, Host: "h", Setup: client.SetupNetworks{Attach: []string{"a"}}, Force: true},
	}
	if diff := cmp.Diff(want, p.Changes("h", 2, true)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := p.Changes("h", 5, false); len(got) != 1 || got[0].Host != "h" {
		t.Errorf("got %+v", got)
	}
	if got := (setup.Plan{}).Changes("h", 2, true); got != nil {
		t.Errorf("nothing to do gave %+v", got)
	}
}

func TestMakeRefusesContradictions(t *testing.T) {
	have := setup.Current{
		Networks: []client.Network{{ID: "1", Name: "red", Label: "web"}, {ID: "2", Name: "blue", Label: "lab"}, {ID: "3", Name: "grey"}},
		Labels:   []string{"web"},
		Attached: map[string]bool{"1": true},
	}
	tests := []struct {
		name string
		want setup.Wanted
		err  setup.LabelledError
	}{
		{
			"the label is there",
			setup.Wanted{Networks: []setup.Network{{Name: "red", Attach: ptr(false)}}},
			setup.LabelledError{Network: "red", Label: "web"},
		},
		{
			"the host gets the label",
			setup.Wanted{Networks: []setup.Network{{Name: "blue", Attach: ptr(false)}}, Labels: []string{"lab"}},
			setup.LabelledError{Network: "blue", Label: "lab"},
		},
		{
			"the network gets the label",
			setup.Wanted{Networks: []setup.Network{{Name: "grey", Label: ptr("web"), Attach: ptr(false)}}},
			setup.LabelledError{Network: "grey", Label: "web"},
		},
		{
			"a new network gets the label",
			setup.Wanted{Networks: []setup.Network{{Name: "new", Label: ptr("web"), Attach: ptr(false)}}},
			setup.LabelledError{Network: "new", Label: "web"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := setup.Make(have, tt.want)
			var got *setup.LabelledError
			if !errors.As(err, &got) || *got != tt.err {
				t.Errorf("got the error %v, want %v", err, &tt.err)
			}
		})
	}
}

// TestMakeLeadsThere checks on random states and wishes that a plan, carried
// out, gives what was wanted and leaves the rest, and that a second plan is
// empty.
func TestMakeLeadsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawCurrent(t), drawWanted(t)
		plan, err := setup.Make(have, want)
		var labelled *setup.LabelledError
		if errors.As(err, &labelled) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		then := carryOut(have, plan)
		again, err := setup.Make(then, want)
		if err != nil {
			t.Fatalf("the second plan: %v", err)
		}
		if steps := again.Steps(); len(steps) > 0 {
			t.Fatalf("the second run would do %v", steps)
		}
		checkUntouched(t, have, then, want)
	})
}

// checkUntouched checks that only the named networks and labels changed.
func checkUntouched(t *rapid.T, have, then setup.Current, want setup.Wanted) {
	named := func(name string) bool {
		return slices.ContainsFunc(want.Networks, func(n setup.Network) bool { return n.Name == name })
	}
	for i, n := range have.Networks {
		stays := !want.Prune && then.Attached[n.ID] != have.Attached[n.ID]
		if !named(n.Name) && (then.Networks[i] != n || stays) {
			t.Fatalf("network %s was changed", n.Name)
		}
	}
	if want.Prune {
		checkPruned(t, then, want, named)
		return
	}
	for _, label := range have.Labels {
		if !slices.Contains(then.Labels, label) {
			t.Fatalf("label %s is gone", label)
		}
	}
}

// checkPruned checks that the host has nothing that was not named, but for what a
// label attaches.
func checkPruned(t *rapid.T, then setup.Current, want setup.Wanted, named func(string) bool) {
	for _, n := range then.Networks {
		labelled := n.Label != "" && slices.Contains(then.Labels, n.Label)
		if want.Networks != nil && !named(n.Name) && then.Attached[n.ID] && !labelled {
			t.Fatalf("the host still has %s", n.Name)
		}
	}
	if want.Labels != nil && len(then.Labels) != len(want.Labels) {
		t.Fatalf("the labels are %v", then.Labels)
	}
}

// carryOut does what the daemon would do.
func carryOut(have setup.Current, p setup.Plan) setup.Current {
	then := setup.Current{
		Networks: slices.Clone(have.Networks),
		Labels:   slices.DeleteFunc(slices.Concat(have.Labels, p.AddLabels), func(l string) bool { return slices.Contains(p.RemoveLabels, l) }),
		Attached: map[string]bool{},
	}
	for id, attached := range have.Attached {
		then.Attached[id] = attached
	}
	for _, c := range p.Create {
		n := client.Network{ID: "id of " + *c.Name}
		change(&n, c)
		then.Networks = append(then.Networks, n)
	}
	ids := map[string]string{}
	for i, n := range then.Networks {
		ids[n.Name] = n.ID
		for _, u := range p.Update {
			if u.ID == n.ID {
				change(&then.Networks[i], u.Change)
			}
		}
	}
	for _, name := range p.Attach {
		// The daemon leaves an attachment that a label causes as it is.
		i := slices.IndexFunc(then.Networks, func(n client.Network) bool { return n.Name == name })
		if label := then.Networks[i].Label; label == "" || !slices.Contains(then.Labels, label) {
			then.Attached[ids[name]] = true
		}
	}
	for _, name := range p.Detach {
		delete(then.Attached, ids[name])
	}
	return then
}

func change(n *client.Network, c client.NetworkChange) {
	set(&n.Name, c.Name)
	set(&n.Description, c.Description)
	set(&n.Comment, c.Comment)
	set(&n.Label, c.Label)
	set(&n.MTU, c.MTU)
	set(&n.PortIsolation, c.PortIsolation)
	from, to := reflect.ValueOf(c.Settings), reflect.ValueOf(&n.Settings).Elem()
	for i := range from.NumField() {
		if !from.Field(i).IsNil() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// drawSettings draws each setting, or leaves some out.
func drawSettings(t *rapid.T, some bool) (settings client.Settings) {
	v := reflect.ValueOf(&settings).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if some && rapid.Bool().Draw(t, "without "+name) {
			continue
		}
		switch p := v.Field(i).Addr().Interface().(type) {
		case **bool:
			*p = ptr(rapid.Bool().Draw(t, name))
		case **int:
			*p = ptr(rapid.SampledFrom([]int{0, 10, 1000}).Draw(t, name))
		case **string:
			*p = ptr(rapid.SampledFrom([]string{"enforce", "quarantine", "report"}).Draw(t, name))
		}
	}
	return settings
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func someNames() *rapid.Generator[[]string] {
	return rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), rapid.ID)
}

func someLabels() *rapid.Generator[string] { return rapid.SampledFrom([]string{"", "x", "y"}) }

func someMTUs() *rapid.Generator[int] { return rapid.SampledFrom([]int{0, 1400, 1500}) }

func hostLabels() *rapid.Generator[[]string] {
	return rapid.SliceOfDistinct(rapid.SampledFrom([]string{"x", "y"}), rapid.ID)
}

func drawCurrent(t *rapid.T) setup.Current {
	c := setup.Current{Labels: hostLabels().Draw(t, "labels"), Attached: map[string]bool{}}
	for _, name := range someNames().Draw(t, "names") {
		n := client.Network{
			ID: "id of " + name, Name: name, Label: someLabels().Draw(t, "label"), MTU: someMTUs().Draw(t, "mtu"),
			Comment: someLabels().Draw(t, "comment"), PortIsolation: rapid.Bool().Draw(t, "port isolation"),
			Settings: drawSettings(t, false),
		}
		c.Networks = append(c.Networks, n)
		if rapid.Bool().Draw(t, "attached") {
			c.Attached[n.ID] = true
		}
	}
	return c
}

func drawWanted(t *rapid.T) setup.Wanted {
	w := setup.Wanted{Labels: hostLabels().Draw(t, "wanted labels"), Prune: rapid.Bool().Draw(t, "prune")}
	for _, name := range someNames().Draw(t, "wanted names") {
		w.Networks = append(w.Networks, setup.Network{
			Name:          name,
			Description:   rapid.Ptr(someLabels(), true).Draw(t, "wanted description"),
			Comment:       rapid.Ptr(someLabels(), true).Draw(t, "wanted comment"),
			Label:         rapid.Ptr(someLabels(), true).Draw(t, "wanted label"),
			MTU:           rapid.Ptr(someMTUs(), true).Draw(t, "wanted mtu"),
			PortIsolation: rapid.Ptr(rapid.Bool(), true).Draw(t, "wanted port isolation"),
			Settings:      drawSettings(t, true),
			Attach:        rapid.Ptr(rapid.Bool(), true).Draw(t, "wanted attach"),
		})
	}
	return w
}
