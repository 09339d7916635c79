package packets

import (
	"os"
	"testing"

	"github.com/isonet/isonet/wire"
)

// What isolation.Columns says has no bearing gives nobody a frame, although isonet
// leaves it as it is.
func TestWhatHasNoBearing(t *testing.T) {
	w := newWorld(t, 30_000)
	for name, set := range map[string]func(*side) exit{
		"bond_fake_iface": fakeInterface,
		"flood_vlans":     onBridge("flood_vlans=0,4095"),
		"mac-table-size":  onBridge("other_config:mac-table-size=1", "other_config:mac-aging-time=1"),
		"hwaddr": func(s *side) exit {
			return onBridge(`other_config:hwaddr="`+s.atB.MAC.String()+`"`, "other_config:datapath-id=0000000000000001")(s)
		},
		"local port": func(s *side) exit {
			s.ovs.Vsctl("set", "port", s.bridge, "cvlans=0,1", "fake_bridge=true", "bond_fake_iface=true", "other_config:qinq-ethtype=802.1q", "other_config:priority-tags=always")
			return local(s)
		},
		"vlan-limit": func(s *side) exit {
			s.ovs.Vsctl("set", "Open_vSwitch", ".", "other_config:vlan-limit=0")
			s.Cleanup(func() { s.ovs.Vsctl("remove", "Open_vSwitch", ".", "other_config", "vlan-limit") })
			return local(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.For(t).network()
			out := set(s)
			s.applied()
			for range 5 {
				s.atA.Broadcast(s.mark(), 10)
				unicast(s)
			}
			s.barrier()
			out.knock()
			if n := out.count(); n != 0 {
				s.Errorf("%d frames left the network", n)
			}
			s.connected()
			if n, _ := s.status(); !n.Isolation.Isolated {
				s.Errorf("the network is not isolated: %+v", n.Isolation)
			}
		})
	}
}

func onBridge(settings ...string) func(*side) exit {
	return func(s *side) exit {
		s.Helper()
		s.ovs.Vsctl(append([]string{"set", "bridge", s.bridge}, settings...)...)
		return local(s)
	}
}

// fakeInterface makes a bond of two devices, which asks for a device of the host
// that has the bond's name.
func fakeInterface(s *side) exit {
	s.Helper()
	bond := s.name("bond")
	first, second := s.ovs.NewVM(s.name("vm"), "10.77.0.3/24"), s.ovs.NewVM(s.name("vm"), "10.77.0.4/24")
	s.ovs.Vsctl("--fake-iface", "add-bond", s.bridge, bond, first.Device, second.Device)
	s.until("isolated with a bond", func(n wire.NetworkStatus, _ []wire.Event) bool {
		return len(n.Ports) > 2 && n.Isolation.Isolated
	})
	if _, err := os.Stat("/sys/class/net/" + bond); err == nil {
		s.Errorf("Open vSwitch made a device '%s': show that no frame leaves by it", bond)
	}
	return local(s)
}
