package model_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
)

// TestTheStoreNeverHolds has a desired state for each thing that must not be
// committed, whoever asks for it.
func TestTheStoreNeverHolds(t *testing.T) {
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint(i)] = ""
	}
	host := func(change func(*model.Host)) func(*model.Desired, model.ID, model.ID) {
		return func(d *model.Desired, host, _ model.ID) {
			h := d.Hosts[host]
			change(&h)
			d.Hosts[host] = h
		}
	}
	properties := func(p map[string]string) func(*model.Desired, model.ID, model.ID) {
		return func(d *model.Desired, host, red model.ID) {
			_, err := d.Attach(host, red, p)
			if err != nil {
				panic(err)
			}
		}
	}
	network := func(change func(*model.Network)) func(*model.Desired, model.ID, model.ID) {
		return func(d *model.Desired, _, red model.ID) {
			n := d.Networks[red]
			change(&n)
			d.Networks[red] = n
		}
	}
	for name, c := range map[string]struct {
		spoil func(d *model.Desired, host, red model.ID)
		kind  error
		want  string // the whole text
	}{
		"host name with a control character": {host(func(h *model.Host) { h.Name = "a\nb" }), model.ErrInvalid, "Host name must not have the character U+000A."},
		"host name that is not UTF-8":        {host(func(h *model.Host) { h.Name = "\xff" }), model.ErrInvalid, "Host name is not valid UTF-8."},
		"long host name":                     {host(func(h *model.Host) { h.Name = strings.Repeat("x", 256) }), model.ErrInvalid, "Host name has 256 characters; the limit is 255."},
		"no system-id":                       {host(func(h *model.Host) { h.SystemID = "" }), model.ErrInvalid, "Host 'one' lacks its id or system-id."},
		"NUL in a system-id":                 {host(func(h *model.Host) { h.SystemID = "a\x00" }), model.ErrInvalid, "Host system-id must not have the character U+0000."},
		"host label":                         {host(func(h *model.Host) { h.Labels = []string{"a b"} }), model.ErrInvalid, "Network label must be formed only from: English letters, numbers, hyphen or underscore."},
		"host label twice":                   {host(func(h *model.Host) { h.Labels = []string{"a", "a"} }), model.ErrInvalid, "Host 'one' has the label 'a' twice."},
		"eviction of nothing":                {host(func(h *model.Host) { h.Evicted = []model.ID{"x"} }), model.ErrInvalid, "Host 'one' has evicted 'x', which is not the id of a network."},
		"release of nothing":                 {host(func(h *model.Host) { h.Released = []model.ID{"x"} }), model.ErrInvalid, "Host 'one' has released 'x', which is not the id of a network."},
		"host under another id": {func(d *model.Desired, host, _ model.ID) {
			h := d.Hosts[host]
			h.ID = model.NewID()
			d.Hosts[host] = h
		}, model.ErrInvalid, "Host 'one' is filed under the id " + string(model.HostID("host-1")) + "."},
		"property without a name":               {properties(map[string]string{"": "x"}), model.ErrInvalid, "A property of the attachment has no name."},
		"property with a NUL":                   {properties(map[string]string{"a": "\x00"}), model.ErrInvalid, "The value of a property must not have the character U+0000."},
		"property name with a control":          {properties(map[string]string{"a\n": ""}), model.ErrInvalid, "The name of a property must not have the character U+000A."},
		"long property":                         {properties(map[string]string{"a": strings.Repeat("ü", 1025)}), model.ErrInvalid, "The value of a property has 1025 characters; the limit is 1024."},
		"many properties":                       {properties(many), model.ErrInvalid, "The attachment has 65 properties; the limit is 64."},
		"character that XML does not have":      {network(func(n *model.Network) { n.Comment = "a\ufffe" }), model.ErrInvalid, "Network comment must not have the character U+FFFE."},
		"escape in a description":               {network(func(n *model.Network) { n.Description = "\x1b" }), model.ErrInvalid, "Network description must not have the character U+001B."},
		"two networks of one name":              {network(func(n *model.Network) { n.Name = "blue" }), model.ErrConflict, "Two networks have the name 'blue': choose another name."},
		"two networks of one bridge":            {network(func(n *model.Network) { n.Name, n.VdsmName = "x y", "onblue" }), model.ErrConflict, "The bridge 'onblue' is that of another network."},
		"name of the bridge of another network": {network(func(n *model.Network) { n.Name = "onblue" }), model.ErrInvalid, "The name 'onblue' is that of a bridge of the network 'blue': choose another name."},
		"name and bridge of another":            {network(func(n *model.Network) { n.Name, n.VdsmName = "onblue", "onblue" }), model.ErrInvalid, "The name 'onblue' is that of a bridge of the network 'blue': choose another name."},
		"all that is wrong, once, in order": {
			func(d *model.Desired, host, red model.ID) {
				network(func(n *model.Network) { n.MTU, n.Label, n.Comment = 1, "a b", "\x00" })(d, host, red)
				properties(map[string]string{"a": "\x00", "b": "\x00"})(d, host, red)
			},
			model.ErrInvalid,
			"MTU 1 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes., Network comment must not have the character U+0000., Network label must be formed only from: English letters, numbers, hyphen or underscore., The value of a property must not have the character U+0000.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, host, ids := desired(t, "red", "blue")
			blue := d.Networks[ids["blue"]]
			blue.VdsmName = "onblue" // such as after a renaming
			d.Networks[blue.ID] = blue
			if err := d.Validate(); err != nil {
				t.Fatalf("spoilt from the start: %v", err)
			}
			c.spoil(d, host, ids["red"])
			err := d.Validate()
			if !errors.Is(err, c.kind) || err.Error() != c.want {
				t.Errorf("error %q, want %v: %q", err, c.kind, c.want)
			}
		})
	}
}

func TestSeveralLabelsAreAddedOrNone(t *testing.T) {
	d, host, _ := desired(t)
	if err := d.AddLabel(host, "b", "a"); err != nil {
		t.Fatal(err)
	}
	err := d.AddLabel(host, "c", "a", "x y")
	if want := "Network label must be formed only from: English letters, numbers, hyphen or underscore., The host 'one' has the label 'a' already."; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
	if err := d.AddLabel(host, "c", "c"); !errors.Is(err, model.ErrConflict) {
		t.Errorf("the same label twice: %v, want a conflict", err)
	}
	if got := fmt.Sprint(d.Hosts[host].Labels); got != "[a b]" {
		t.Errorf("labels are %s", got)
	}
}

// TestNetworksArePutWithoutALookAtTheirNames swaps two names, which no order of
// single updates can.
func TestNetworksArePutWithoutALookAtTheirNames(t *testing.T) {
	d, host, ids := desired(t, "the first network", "the second network")
	put := func(n model.Network) model.Network {
		t.Helper()
		got, err := d.PutNetwork(n)
		if err != nil || d.Networks[got.ID] != got {
			t.Fatalf("put %+v: %v, there is %+v", got, err, d.Networks[got.ID])
		}
		return got
	}
	first, second := d.Networks[ids["the first network"]], d.Networks[ids["the second network"]]
	if got := put(first); got != first {
		t.Errorf("nothing changed, and it is %+v", got)
	}
	first.Name, second.Name = second.Name, first.Name
	if got := put(first); got.Revision != 2 || got.VdsmName != first.VdsmName {
		t.Errorf("renamed it is %+v", got)
	}
	if err := d.ValidateNames(); !errors.Is(err, model.ErrConflict) {
		t.Errorf("two networks with one name: %v", err)
	}
	put(second)
	d.Evict(host, first.ID)
	if err := d.AddLabel(host, "lab"); err != nil {
		t.Fatal(err)
	}
	first.Label = "lab"
	put(first)
	if evicted := d.Hosts[host].Evicted; len(evicted) > 0 {
		t.Errorf("the label attaches the network, and evicted are %v", evicted)
	}
	if made := put(model.Network{Name: "new"}); made.VdsmName != "new" || made.Revision != 1 {
		t.Errorf("the new one is %+v", made)
	}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := d.PutNetwork(model.Network{ID: host}); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
}

func TestJoin(t *testing.T) {
	invalid, conflict := model.Invalidf("b"), model.Conflictf("a")
	if err := model.Join(nil, nil); err != nil {
		t.Errorf("nothing is %v", err)
	}
	if err := model.Join(nil, invalid, model.Join(invalid)); !errors.Is(err, invalid) || err.Error() != "b" {
		t.Errorf("one, twice, is %v", err)
	}
	err := model.Join(model.Join(invalid, conflict), model.NotFoundf("c"), invalid)
	if err.Error() != "a, b, c" {
		t.Errorf("all are %q", err)
	}
	for _, kind := range []error{model.ErrInvalid, model.ErrConflict, model.ErrNotFound} {
		if !errors.Is(err, kind) {
			t.Errorf("%v is not found in it", kind)
		}
	}
}
