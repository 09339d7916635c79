package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model/plan"
)

// hostile is a model of a bridge and of those who plug ports in, unplug them and
// take them away, with what has to be remembered of it.
type hostile struct {
	*rapid.T
	bridge, local int // numbers of the rows there are
	made          int // rows so far
	ports         map[string]int
	devices       map[string]int // ifindexes by name
	indexes       int
	waits         map[string]int // ifindexes of the ports that have to come back
	kept          plan.Kept
}

func (h *hostile) row() int { h.made++; return h.made }

func (h *hostile) links() *plan.Links {
	var devices []plan.Device
	for name, index := range h.devices {
		devices = append(devices, plan.Device{Name: name, Index: index, Kind: "tun"})
	}
	return plan.NewLinks(devices...)
}

func (h *hostile) endpoints() []plan.Port {
	var ports []plan.Port
	for name, row := range h.ports {
		ports = append(ports, plan.Port{
			UUID: fmt.Sprint(row), Name: name, Tag: row % 4, ExternalIDs: map[string]string{"row": fmt.Sprint(row)},
			Interfaces: []plan.Interface{{UUID: fmt.Sprint("i", row), Name: name, OFPort: row}},
		})
	}
	return ports
}

// look is what isonet does at every change.
func (h *hostile) look(replaced bool) {
	if h.bridge == 0 {
		h.kept = h.kept.Away()
	} else {
		b := plan.Bridge{UUID: fmt.Sprint(h.bridge), Name: "red", Ports: h.endpoints()}
		if h.local != 0 {
			b.Ports = append(b.Ports, plan.Port{UUID: fmt.Sprint(h.local), Name: "red", Interfaces: []plan.Interface{{Name: "red", Type: "internal"}}})
		}
		h.kept = h.kept.Remember(b, h.endpoints(), h.links(), replaced)
	}
	links := h.links()
	h.kept = h.kept.Without(func(p plan.KeptPort) bool { return p.Waiting && p.Gone(links, nil) })
	var want, got []string
	for name, index := range h.waits {
		if h.devices[name] == index {
			want = append(want, name)
		}
	}
	for _, p := range h.kept.Waits() {
		got = append(got, p.Name)
		again := p.Again(links)
		if again.Interfaces[0].IfIndex != h.waits[p.Name] || again.ExternalIDs["row"] == "" || again.Tag < 0 {
			h.Fatalf("the port is to come back as %+v", again)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		h.Fatalf("ports that wait (-want +got):\n%s", diff)
	}
}

// TestPortsThatWereTakenAwayWait lets ports, devices, the local port and the bridge
// come and go in any order: what was taken away with the bridge or the local port
// waits as long as its device is there, and what was unplugged by itself does not.
func TestPortsThatWereTakenAwayWait(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hostile{T: t, ports: map[string]int{}, devices: map[string]int{}, waits: map[string]int{}}
		take := func() {
			for name := range h.ports {
				h.waits[name] = h.devices[name]
			}
			h.ports = map[string]int{}
		}
		name := rapid.SampledFrom([]string{"v1", "v2", "v3"})
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { h.look(false) },
			"make the bridge": func(t *rapid.T) {
				if h.bridge != 0 {
					t.Skip()
				}
				h.bridge, h.local = h.row(), h.row()
			},
			"remove the bridge": func(*rapid.T) {
				take()
				h.bridge, h.local = 0, 0
			},
			"remove the bridge and make it again": func(t *rapid.T) {
				if h.bridge == 0 {
					t.Skip()
				}
				take()
				h.bridge, h.local = h.row(), h.row()
			},
			"clear the ports": func(*rapid.T) {
				take()
				h.local = 0
			},
			"make the local port": func(t *rapid.T) {
				if h.bridge == 0 || h.local != 0 {
					t.Skip()
				}
				h.local = h.row()
			},
			"plug in": func(t *rapid.T) {
				n := name.Draw(t, "port")
				if h.bridge == 0 || h.ports[n] != 0 || h.local == 0 {
					t.Skip()
				}
				if h.devices[n] == 0 {
					h.indexes++
					h.devices[n] = h.indexes
				}
				h.ports[n] = h.row()
				delete(h.waits, n)
			},
			"unplug": func(t *rapid.T) {
				n := name.Draw(t, "port")
				delete(h.ports, n)
			},
			"the device goes": func(t *rapid.T) {
				n := name.Draw(t, "port")
				if h.ports[n] != 0 {
					t.Skip()
				}
				delete(h.devices, n)
				delete(h.waits, n)
			},
			"another database": func(*rapid.T) {
				take()
				h.look(true)
			},
		})
	})
}

// TestWhatComesBack tells ports that can be plugged in again from those that
// cannot.
func TestWhatComesBack(t *testing.T) {
	tap := plan.Device{Name: "v1", Index: 7, Kind: "tun"}
	port := plan.Port{Name: "v1", Tag: -1, Interfaces: []plan.Interface{{Name: "v1"}}}
	b := plan.Bridge{UUID: "b", Name: "red", Ports: []plan.Port{port}}
	kept := plan.Kept{}.Remember(b, []plan.Port{port}, plan.NewLinks(tap), false).Away().Waits()[0]
	for name, c := range map[string]struct {
		devices []plan.Device
		plugged map[string]bool
		gone    bool
		comes   string
	}{
		"the same device":             {devices: []plan.Device{tap}, comes: "v1"},
		"renamed":                     {devices: []plan.Device{{Name: "v2", Index: 7, Kind: "tun"}}, comes: "v2"},
		"the name is an altname":      {devices: []plan.Device{{Name: "v2", AltNames: []string{"v1"}, Index: 7, Kind: "tun"}}, comes: "v1"},
		"gone":                        {gone: true},
		"another of the same name":    {devices: []plan.Device{{Name: "v1", Index: 8, Kind: "tun"}}, gone: true},
		"another of the same ifindex": {devices: []plan.Device{{Name: "v1", Index: 7, Kind: "veth"}}, gone: true},
		"plugged in elsewhere":        {devices: []plan.Device{tap}, plugged: map[string]bool{"v1": true}, gone: true},
		"another one is plugged in":   {devices: []plan.Device{tap}, plugged: map[string]bool{"v9": true}, comes: "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			links := plan.NewLinks(c.devices...)
			if gone := kept.Gone(links, c.plugged); gone != c.gone {
				t.Fatalf("gone: %t, want %t", gone, c.gone)
			}
			if got := kept.Again(links).Interfaces[0].Name; !c.gone && got != c.comes {
				t.Errorf("it comes back as %q, want %q", got, c.comes)
			}
		})
	}
}

// TestQuarantineIsNotKept remembers a port that is about to leave its quarantine
// with the VLANs that it had before.
func TestQuarantineIsNotKept(t *testing.T) {
	port := plan.Port{
		Name: "v1", VLANMode: "trunk", Trunks: plan.DeadTrunks(), Tag: -1, Interfaces: []plan.Interface{{Name: "v1"}},
		ExternalIDs: map[string]string{plan.QuarantineKey: "x", plan.QuarantineWasKey: `{"tag":5}`, "theirs": "1"},
	}
	b := plan.Bridge{UUID: "b", Name: "red", Ports: []plan.Port{port}}
	got := plan.Kept{}.Remember(b, []plan.Port{port}, plan.NewLinks(), false).Ports[0].Port
	want := plan.Port{Name: "v1", Tag: 5, Interfaces: []plan.Interface{{Name: "v1"}}, ExternalIDs: map[string]string{"theirs": "1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestCommand(t *testing.T) {
	tag := plan.Port{
		Name: "vnet0", Tag: 7, VLANMode: "access", Trunks: []int{1, 2}, ExternalIDs: map[string]string{"a b": "it's"}, Rest: plan.Columns{"cvlans": `["set",[3,4]]`},
		QoS: &plan.QoS{Rest: plan.Columns{"type": `"linux-htb"`}, Queues: map[int]plan.Columns{5: {"dscp": "3"}}},
		Interfaces: []plan.Interface{{
			Name: "vnet0", ExternalIDs: map[string]string{"attached-mac": "52:54:00:00:00:01", "vm-id": "v"},
			Rest: plan.Columns{"options": `["map",[["k","v w"]]]`, "ingress_policing_rate": "1000"},
		}},
	}
	bond := plan.Port{Name: "b0", Tag: -1, Rest: plan.Columns{"bond_mode": `"active-backup"`}, Interfaces: []plan.Interface{{Name: "v1"}, {Name: "v2", Type: "tap"}}}
	for _, c := range []struct {
		port plan.Port
		want []string
	}{
		{tag, []string{
			"ovs-vsctl add-port red vnet0 -- set Port vnet0 vlan_mode=access tag=7 trunks=1,2 cvlans=3,4", `'external_ids:"a b"="it'\''s"'`,
			"-- set Port vnet0 qos=@qos -- --id=@qos create QoS type=linux-htb queues:5=@queue5 -- --id=@queue5 create Queue dscp=3",
			`-- set Interface vnet0 ingress_policing_rate=1000 'options:k="v w"' 'external_ids:attached-mac="52:54:00:00:00:01"' external_ids:vm-id=v`,
		}},
		{bond, []string{"ovs-vsctl add-bond red b0 v1 v2 -- set Port b0 bond_mode=active-backup -- set Interface v2 type=tap"}},
	} {
		if got := c.port.Command("red"); got != strings.Join(c.want, " ") {
			t.Errorf("the command is\n%s\nwant\n%s", got, strings.Join(c.want, " "))
		}
	}
}
