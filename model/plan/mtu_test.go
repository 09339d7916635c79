package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The greatest MTU of a device counts as long as the same device is plugged in.
func TestTheGreatestMTUIsKept(t *testing.T) {
	links := NewLinks(Device{Index: 4, Name: "vnet0", Kind: "tun", MTU: 1500}, Device{Index: 5, Name: "vnet1", Kind: "tun", MTU: 1500})
	bridge := func(ports ...Port) Bridge {
		return Bridge{UUID: "b", Name: "red", Ports: append([]Port{{UUID: "l", Name: "red"}}, ports...)}
	}
	port := func(name string, index, mtu int) Port {
		return Port{UUID: name, Name: name, Tag: -1, Interfaces: []Interface{{UUID: "i" + name, Name: name, IfIndex: index, MTU: mtu}}}
	}
	remember := func(k Kept, links *Links, ports ...Port) Kept {
		return k.Remember(bridge(ports...), ports, links, false)
	}
	both := remember(Kept{}, links, port("vnet0", 4, 0), port("vnet1", 5, 9000)) // vswitchd does not know one of them yet
	smaller := links.Change(nil, []Device{{Index: 4, Name: "vnet0", Kind: "tun", MTU: 1400}, {Index: 5, Name: "vnet1", Kind: "tun", MTU: 1400}})
	lowered := remember(both, smaller, port("vnet0", 4, 1400), port("vnet1", 5, 1400))
	another := smaller.Change([]int{4}, []Device{{Index: 6, Name: "vnet0", Kind: "tun", MTU: 1400}})
	for name, test := range map[string]struct {
		kept Kept
		mtu  int
		want map[string]int
	}{
		"before":          {both, 1500, map[string]int{"vnet1": 9000}},
		"lowered":         {lowered, 1400, map[string]int{"vnet0": 1500, "vnet1": 9000}},
		"raised in part":  {lowered, 1500, map[string]int{"vnet1": 9000}},
		"raised":          {lowered, 9000, nil},
		"unplugged":       {remember(lowered, smaller, port("vnet0", 4, 1400)), 1400, map[string]int{"vnet0": 1500}},
		"another device":  {remember(lowered, another, port("vnet0", 6, 1400), port("vnet1", 5, 1400)), 1400, map[string]int{"vnet1": 9000}},
		"without devices": {remember(Kept{}, nil, port("vhost0", 0, 1500)), 1400, nil},
		"of an older one": {Kept{Ports: []KeptPort{{Port: port("vnet0", 4, 0)}}}, 1400, nil},
	} {
		if diff := cmp.Diff(test.want, test.kept.LargerThan(test.mtu)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
