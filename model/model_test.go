package model_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
)

// desired returns a state with one host and the named networks.
func desired(t *testing.T, names ...string) (*model.Desired, model.ID, map[string]model.ID) {
	t.Helper()
	d := model.NewDesired()
	host := model.HostID("host-1")
	d.Hosts[host] = model.Host{ID: host, SystemID: "host-1", Name: "one"}
	ids := map[string]model.ID{}
	for _, name := range names {
		n, err := d.AddNetwork(model.Network{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = n.ID
	}
	return d, host, ids
}

func TestIDs(t *testing.T) {
	const systemID = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
	if got, want := model.HostID(systemID), model.ID(strings.ToLower(systemID)); got != want {
		t.Errorf("HostID(%s) = %s, want the system-id itself", systemID, got)
	}
	if _, ok := model.ParseID(string(model.HostID("rack7/host3"))); !ok {
		t.Error("a system-id that is no UUID gives no UUID")
	}
	a, b := model.NewID(), model.NewID()
	if model.AttachmentID(a, b) == model.AttachmentID(b, a) {
		t.Error("the attachment id of a network on a host is that of the host on the network")
	}
	// API clients keep these ids: they must never change.
	const host, network = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	if got := model.AttachmentID(host, network); got != "e2583cab-8833-5551-92a8-3ee7a7b7bd09" {
		t.Errorf("AttachmentID = %s", got)
	}
	for _, bad := range []string{"", "x", "{6f9619ff-8b86-d011-b42d-00c04fc964ff}", "6f9619ff8b86d011b42d00c04fc964ff", "6f9619ff-8b86-d011-b42d-00c04fc964f\x00"} {
		if id, ok := model.ParseID(bad); ok {
			t.Errorf("ParseID(%q) = %s", bad, id)
		}
	}
}

func TestVdsmName(t *testing.T) {
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	for name, want := range map[string]string{
		"red":              "red",
		"fifteen-chars-x":  "fifteen-chars-x",
		"sixteen-chars-xx": "on0123456789abc",
		"größe":            "on0123456789abc",
		"two words":        "on0123456789abc",
		"default":          "on0123456789abc",
		"all":              "on0123456789abc",
		"lo":               "on0123456789abc",
		"ovs-system":       "on0123456789abc",
		"ovs-netdev":       "on0123456789abc",
		"vxlan_sys_4789":   "on0123456789abc",
		"later_sys_1":      "on0123456789abc",
		"sit0":             "on0123456789abc",
		"-x":               "on0123456789abc",
		"Default":          "Default",
		"all1":             "all1",
		"ovs-lab":          "ovs-lab",
		"gre_sysx":         "on0123456789abc",
		"my_system":        "my_system",
		"site0":            "site0",
	} {
		if got := model.VdsmName(id, name); got != want {
			t.Errorf("VdsmName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNetworkValidate(t *testing.T) {
	good := model.Network{ID: model.NewID(), Name: "red", VdsmName: "red", Revision: 1}
	for _, c := range []struct {
		name   string
		change func(*model.Network)
		want   string // part of the text; "" is valid
	}{
		{"plain", func(*model.Network) {}, ""},
		{"MTU 0", func(n *model.Network) { n.MTU = 0 }, ""},
		{"MTU 68", func(n *model.Network) { n.MTU = 68 }, ""},
		{"MTU 65521", func(n *model.Network) { n.MTU = 65521 }, ""},
		{"MTU 67", func(n *model.Network) { n.MTU = 67 }, "MTU 67 is not valid"},
		{"MTU -1", func(n *model.Network) { n.MTU = -1 }, "MTU -1 is not valid"},
		{"isolation by default", func(n *model.Network) { n.Isolation = "" }, ""},
		{"isolation report", func(n *model.Network) { n.Isolation = model.PolicyReport }, ""},
		{"isolation none", func(n *model.Network) { n.Isolation = "none" }, "use 'enforce', 'quarantine' or 'report'"},
		{"MAC lock", func(n *model.Network) { n.Strict, n.MACLock = true, true }, ""},
		{"MAC lock alone", func(n *model.Network) { n.MACLock = true }, "needs strict isolation"},
		{"MTU 65522", func(n *model.Network) { n.MTU = 65522 }, "MTU 65522 is not valid"},
		{"256 characters", func(n *model.Network) { n.Name = strings.Repeat("ü", 256) }, ""},
		{"257 characters", func(n *model.Network) { n.Name = strings.Repeat("ü", 257) }, "257 characters"},
		{"no name", func(n *model.Network) { n.Name = "" }, "must not be empty"},
		{"blank around", func(n *model.Network) { n.Name = " red" }, "blank"},
		{"bond", func(n *model.Network) { n.Name = "BonD1" }, "cannot start with 'bond'"},
		{"NUL", func(n *model.Network) { n.Name = "a\x00b" }, "U+0000"},
		{"newline in name", func(n *model.Network) { n.Name = "a\nb" }, "U+000A"},
		{"newline in comment", func(n *model.Network) { n.Comment = "a\nb" }, ""},
		{"NUL in comment", func(n *model.Network) { n.Comment = "a\x00" }, "U+0000"},
		{"not UTF-8", func(n *model.Network) { n.Description = "\xff" }, "UTF-8"},
		{"label", func(n *model.Network) { n.Label = "a_b-9" }, ""},
		{"label with blank", func(n *model.Network) { n.Label = "a b" }, "Network label must be formed only from"},
		{"bridge name", func(n *model.Network) { n.VdsmName = "a/b" }, "cannot name a bridge"},
		{"id", func(n *model.Network) { n.ID = "7" }, "not a UUID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := good
			c.change(&n)
			err := n.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (!errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want an invalid request that says %q", err, c.want)
			}
		})
	}
}

func TestAttachmentsHaveTwoCauses(t *testing.T) {
	d, host, ids := desired(t, "red", "blue", "green")
	check := func(step string, want map[string]string) {
		t.Helper()
		got := map[string]string{}
		for _, a := range d.On(host) {
			cause := a.Label
			if a.Explicit {
				cause += "+explicit"
			}
			got[d.Networks[a.Network].Name] = cause
			if a.ID != model.AttachmentID(host, a.Network) {
				t.Errorf("%s: attachment id %s changed", step, a.ID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", step, diff)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	attach := func(name string) {
		t.Helper()
		_, err := d.Attach(host, ids[name], nil)
		must(err)
	}
	check("nothing", map[string]string{})
	attach("red")
	check("explicit", map[string]string{"red": "+explicit"})
	red := d.Networks[ids["red"]]
	red.Label = "lab"
	must(d.UpdateNetwork(red))
	blue := d.Networks[ids["blue"]]
	blue.Label = "lab"
	must(d.UpdateNetwork(blue))
	check("network labels alone do nothing", map[string]string{"red": "+explicit"})
	must(d.AddLabel(host, "lab"))
	check("both causes", map[string]string{"red": "lab+explicit", "blue": "lab"})
	if err := d.Detach(host, ids["red"]); !errors.Is(err, model.ErrConflict) {
		t.Errorf("detach of a labelled network: %v, want a conflict", err)
	}
	must(d.RemoveLabel(host, "lab"))
	check("the explicit cause stays", map[string]string{"red": "+explicit"})
	must(d.Detach(host, ids["red"]))
	check("nothing again", map[string]string{})
	attach("green")
	must(d.RemoveNetwork(ids["green"]))
	check("removed network", map[string]string{})
	if len(d.Attachments) != 0 {
		t.Errorf("attachments left: %v", d.Attachments)
	}
	must(d.Validate())
}

func TestEvictionEndsWithANewAttachment(t *testing.T) {
	d, host, ids := desired(t, "red", "blue")
	d.Evict(host, ids["red"], ids["blue"], ids["red"])
	if got := len(d.Hosts[host].Evicted); got != 2 {
		t.Fatalf("%d evictions, want 2", got)
	}
	if _, err := d.Attach(host, ids["red"], nil); err != nil {
		t.Fatal(err)
	}
	if got := d.Hosts[host].Evicted; !slices.Equal(got, []model.ID{ids["blue"]}) {
		t.Errorf("evicted %v, want blue alone", got)
	}
}

func TestRefusals(t *testing.T) {
	d, host, ids := desired(t, "red", "a name that is much longer than a device's")
	if err := d.AddLabel(host, "lab"); err != nil {
		t.Fatal(err)
	}
	long := d.Networks[ids["a name that is much longer than a device's"]]
	for _, c := range []struct {
		name string
		do   func(*model.Desired) error
		kind error
	}{
		{"same name", func(d *model.Desired) error { _, err := d.AddNetwork(model.Network{Name: "red"}); return err }, model.ErrConflict},
		{"name is another's bridge", func(d *model.Desired) error {
			_, err := d.AddNetwork(model.Network{Name: long.VdsmName})
			return err
		}, model.ErrInvalid},
		{"rename to a taken name", func(d *model.Desired) error { long.Name = "red"; return d.UpdateNetwork(long) }, model.ErrConflict},
		{"update of an unknown network", func(d *model.Desired) error { return d.UpdateNetwork(model.Network{ID: model.NewID()}) }, model.ErrNotFound},
		{"removal of an unknown network", func(d *model.Desired) error { return d.RemoveNetwork(model.NewID()) }, model.ErrNotFound},
		{"attach on an unknown host", func(d *model.Desired) error { _, err := d.Attach(model.NewID(), ids["red"], nil); return err }, model.ErrNotFound},
		{"attach an unknown network", func(d *model.Desired) error { _, err := d.Attach(host, model.NewID(), nil); return err }, model.ErrInvalid},
		{"detach what is not attached", func(d *model.Desired) error { return d.Detach(host, ids["red"]) }, model.ErrNotFound},
		{"label again", func(d *model.Desired) error { return d.AddLabel(host, "lab") }, model.ErrConflict},
		{"bad label", func(d *model.Desired) error { return d.AddLabel(host, "a b") }, model.ErrInvalid},
		{"label of an unknown host", func(d *model.Desired) error { return d.AddLabel(model.NewID(), "x") }, model.ErrNotFound},
		{"remove an unknown label", func(d *model.Desired) error { return d.RemoveLabel(host, "x") }, model.ErrNotFound},
		{"rename an unknown host", func(d *model.Desired) error { return d.RenameHost(model.NewID(), "x") }, model.ErrNotFound},
		{"rename a host to nothing", func(d *model.Desired) error { return d.RenameHost(host, "") }, model.ErrInvalid},
		{"rename a host with a blank", func(d *model.Desired) error { return d.RenameHost(host, "a b") }, model.ErrInvalid},
		{"rename a host to a taken name", func(d *model.Desired) error {
			id := model.NewID()
			d.Hosts[id] = model.Host{ID: id, SystemID: "host-2", Name: "taken"}
			return d.RenameHost(host, "taken")
		}, model.ErrConflict},
		{"removal of an unknown host", func(d *model.Desired) error { return d.RemoveHost(model.NewID()) }, model.ErrNotFound},
		{"dangling attachment", func(d *model.Desired) error {
			n := model.NewID()
			id := model.AttachmentID(host, n)
			d.Attachments[id] = model.Attachment{ID: id, Host: host, Network: n}
			return nil
		}, model.ErrNotFound},
		{"two hosts of one system-id", func(d *model.Desired) error {
			id := model.NewID()
			d.Hosts[id] = model.Host{ID: id, SystemID: "host-1"}
			return nil
		}, model.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			clone := d.Clone()
			err := c.do(clone)
			if err == nil {
				err = clone.Validate()
			}
			if !errors.Is(err, c.kind) {
				t.Errorf("error %v, want kind %v", err, c.kind)
			}
		})
	}
	if err := d.Validate(); err != nil {
		t.Errorf("the clones' changes reached the original: %v", err)
	}
}

func TestRenamingKeepsTheBridge(t *testing.T) {
	d, _, ids := desired(t, "red")
	n := d.Networks[ids["red"]]
	n.Name, n.VdsmName = "blue", "ignored"
	if err := d.UpdateNetwork(n); err != nil {
		t.Fatal(err)
	}
	if got := d.Networks[n.ID]; got.VdsmName != "red" || got.Revision != 2 {
		t.Errorf("after renaming: bridge %s, revision %d; want red, 2", got.VdsmName, got.Revision)
	}
}

// edit does one random change; a refused one changes nothing that matters.
func edit(t *rapid.T, d *model.Desired, host model.ID) {
	names := []string{"a", "b", "c", "d"}
	labels := []string{"", "x", "y"}
	name := rapid.SampledFrom(names).Draw(t, "name")
	label := rapid.SampledFrom(labels).Draw(t, "label")
	n, exists := d.NetworkByName(name)
	switch rapid.IntRange(0, 8).Draw(t, "what") {
	case 0:
		_, _ = d.AddNetwork(model.Network{Name: name, Label: label})
	case 1:
		_ = d.RemoveNetwork(n.ID)
	case 2:
		if exists {
			n.Label, n.MTU = label, rapid.SampledFrom([]int{0, 1400}).Draw(t, "mtu")
			_ = d.UpdateNetwork(n)
		}
	case 3:
		_, _ = d.Attach(host, n.ID, map[string]string{"k": name})
	case 4:
		_ = d.Detach(host, n.ID)
	case 5:
		_ = d.AddLabel(host, label)
	case 6:
		_ = d.RemoveLabel(host, label)
	case 7:
		_ = d.Adopt(host, n.ID, n.VdsmName, string(model.DeriveID(name)))
	case 8:
		_ = d.Release(host, n.ID)
	}
}

func TestEditsKeepTheStateValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := model.NewDesired()
		host := model.HostID("h")
		d.Hosts[host] = model.Host{ID: host, SystemID: "h"}
		for range rapid.IntRange(1, 30).Draw(t, "edits") {
			edit(t, d, host)
			if err := d.Validate(); err != nil {
				t.Fatalf("invalid: %v", err)
			}
			for id, n := range d.Networks {
				_, explicit := d.Attachments[model.AttachmentID(host, id)]
				labelled := n.Label != "" && slices.Contains(d.Hosts[host].Labels, n.Label)
				if _, on := d.AttachmentOf(host, id); on != (explicit || labelled) {
					t.Fatalf("network %s: attached %v, explicit %v, labelled %v", n.Name, on, explicit, labelled)
				}
			}
		}
	})
}

func TestAHostIndexFindsWhatOnFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := model.NewDesired()
		hosts := []model.ID{model.HostID("h"), model.HostID("i")}
		for i, host := range hosts {
			d.Hosts[host] = model.Host{ID: host, SystemID: []string{"h", "i"}[i]}
		}
		for range rapid.IntRange(1, 30).Draw(t, "edits") {
			edit(t, d, rapid.SampledFrom(hosts).Draw(t, "host"))
		}
		index := model.NewHostIndex(d)
		for _, host := range append(hosts, "nobody") {
			if diff := cmp.Diff(d.On(host), index.On(host)); diff != "" {
				t.Fatalf("host %s (-On +index):\n%s", host, diff)
			}
		}
	})
}

func TestUndoTakesBackOneChangeAndKeepsOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := model.NewDesired()
		host := model.HostID("h")
		before.Hosts[host] = model.Host{ID: host, SystemID: "h"}
		for range rapid.IntRange(0, 10).Draw(t, "before") {
			edit(t, before, host)
		}
		after := before.Clone()
		edit(t, after, host)

		now := after.Clone()
		now.Undo(before, after)
		if diff := cmp.Diff(summary(before, host), summary(now, host)); diff != "" {
			t.Fatalf("undone at once (-before +now):\n%s", diff)
		}

		now = after.Clone()
		other, err := now.AddNetwork(model.Network{Name: "somebody else's"})
		if err != nil {
			t.Fatal(err)
		}
		now.Undo(before, after)
		if _, ok := now.Networks[other.ID]; !ok {
			t.Fatal("undo removed what somebody else made since")
		}
		if err := now.Validate(); err != nil {
			t.Fatalf("undo left an invalid state: %v", err)
		}
	})
}

func TestUndoOfLabelsKeepsWhatOthersDidSince(t *testing.T) {
	before, host, _ := desired(t)
	label := func(d *model.Desired, labels ...string) *model.Desired {
		d = d.Clone()
		h := d.Hosts[host]
		h.Labels = labels
		d.Hosts[host] = h
		return d
	}
	before = label(before, "both", "removed", "theirs-removed")
	after := label(before, "added", "both", "theirs-removed")
	now := label(after, "added", "both", "theirs-added")
	now.Undo(before, after)
	if diff := cmp.Diff([]string{"both", "removed", "theirs-added"}, now.Hosts[host].Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

// A host that is registered and could not be realised must not stay without its labels and
// networks: it would lose its bridges.
func TestUndoOfARegistration(t *testing.T) {
	after, host, _ := desired(t)
	h := after.Hosts[host]
	h.Labels = []string{"label"}
	after.Hosts[host] = h
	before := after.Clone()
	if err := before.RemoveHost(host); err != nil {
		t.Fatal(err)
	}
	now := after.Clone()
	h.Name = "by its machine since"
	now.Hosts[host] = h
	now.Undo(before, after)
	if diff := cmp.Diff(before, now); diff != "" {
		t.Errorf("undone (-before +now):\n%s", diff)
	}
}

func TestAHostThatIsGoneIsNotEvicted(t *testing.T) {
	d := model.NewDesired()
	d.Evict("gone", model.NewID())
	if len(d.Hosts) != 0 {
		t.Errorf("there are hosts: %v", d.Hosts)
	}
}

func summary(d *model.Desired, host model.ID) []string {
	lines := append([]string{}, d.Hosts[host].Labels...)
	for _, n := range d.Networks {
		lines = append(lines, fmt.Sprintf("network %s %s %d", n.Name, n.Label, n.MTU))
	}
	for id, a := range d.Attachments {
		lines = append(lines, "attachment "+string(id)+" adopts "+a.Adopts)
	}
	for _, id := range d.Hosts[host].Released {
		lines = append(lines, "released "+string(id))
	}
	slices.Sort(lines)
	return lines
}
