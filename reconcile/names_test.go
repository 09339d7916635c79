package reconcile_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
)

// violations returns what breaks the isolation of a network.
func violations(st report.Status, id model.ID) []isolation.Finding {
	return slices.DeleteFunc(slices.Clone(st.Networks[id].Isolation.Findings), func(f isolation.Finding) bool { return f.Notice })
}

// A device that was plugged in while isonet was down is renamed, and a VM's
// device has its name when isonet comes back: Open vSwitch, which tells of the
// VM's, goes on receiving from the other one.
func TestANameThatAnotherDeviceTookWhileIsonetWasDown(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red"})
	vms := s.vms("vm-a", "vm-b")
	a, b := vms[0], vms[1]
	reaches(t, a, b)
	s.stop()
	stranger, decoy := s.ovs.NewVM("up0", "10.0.0.9/24"), s.ovs.NewVM("decoy", "10.0.0.10/24")
	s.ovs.Plug(stranger, "red")
	reaches(t, a, stranger)
	for _, rename := range [][2]string{{"up0", "was-up0"}, {"decoy", "up0"}} {
		s.ip("link", "set", rename[0], "down")
		s.ip("link", "set", rename[0], "name", rename[1])
		s.ip("link", "set", rename[1], "up")
	}
	before := a.Received()
	ovstest.Eventually(t, "the stranger's frames get in", func() error {
		stranger.Shout(1)
		if a.Received() == before {
			return errors.New("none came")
		}
		return nil
	})
	s.start()
	s.until("the port is cut off", func(st report.Status) bool {
		f := violations(st, id)
		return len(f) == 1 && f[0].Reason == isolation.OtherDevice && f[0].Port == "up0" && f[0].Quarantined
	})
	// A flag that somebody sets lets nobody in.
	s.ip("link", "set", "up0", "promisc", "on")
	s.ovs.Vsctl("add-port", "red", "patch", "--", "set", "interface", "patch", "type=patch", "options:peer=none")
	s.until("a later change was judged", func(st report.Status) bool { return st.IsolationRepairs[isolation.PatchPort] == 1 })
	if f := violations(s.loop.Status(), id); len(f) != 1 || !f[0].Quarantined {
		t.Errorf("found: %v", f)
	}
	reaches(t, a, b)
	received := a.Received()
	stranger.Shout(50)
	reaches(t, stranger, stranger) // what it sent has been sent
	reaches(t, b, a)
	if leaked := a.Received() - received; leaked >= 50 {
		t.Errorf("%d frames were received, 50 of them the stranger's", leaked)
	}
	// Plugged in again, it is a VM's as any other.
	s.ovs.Vsctl("del-port", "up0")
	s.ovs.Vsctl("add-port", "red", "up0")
	reaches(t, a, decoy)
	s.until("isolated", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
}

// Whatever name it has, an internal port that is with the host is no member of a
// strict network. It is one when its device has left.
func TestAnInternalPortIsNoMemberBeforeItHasLeft(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red", Strict: true})
	vms := s.vms("vm-a", "vm-b")
	reaches(t, vms[0], vms[1])
	container := s.ovs.NewVM("other", "10.0.0.77/24") // for its namespace
	s.ovs.Vsctl("add-port", "red", "int0", "--", "set", "interface", "int0", "type=internal")
	s.ip("link", "set", "int0", "name", "hidden")
	s.ip("address", "add", "10.0.0.9/24", "dev", "hidden")
	s.ip("link", "set", "hidden", "up")
	s.until("the port is cut off", func(st report.Status) bool {
		f := violations(st, id)
		return len(f) == 1 && f[0].Reason == isolation.HostInternalPort && f[0].Quarantined
	})
	if vms[0].Pings("10.0.0.9") {
		t.Error("a VM reaches the host")
	}
	for _, args := range [][]string{{"link", "set", "hidden", "down"}, {"address", "flush", "dev", "hidden"}, {"link", "set", "hidden", "netns", container.Namespace()}} {
		s.ip(args...)
	}
	s.until("the port has left", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	// Open vSwitch lost sight of that one when it was renamed. Another one stays
	// what it is.
	s.ovs.Vsctl("add-port", "red", "int1", "--", "set", "interface", "int1", "type=internal")
	s.ip("link", "set", "int1", "netns", container.Namespace())
	s.inside(container, "address", "add", "10.0.0.9/24", "dev", "int1")
	s.inside(container, "link", "set", "int1", "up")
	s.inside(container, "link", "set", "eth0", "down")
	reaches(t, vms[0], &ovstest.VM{Device: "int1", Address: "10.0.0.9"})
}

// inside runs ip(8) in the namespace of a VM.
func (s *site) inside(vm *ovstest.VM, args ...string) {
	s.Helper()
	if out, err := vm.Command(append([]string{"ip"}, args...)...).CombinedOutput(); err != nil {
		s.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// Container tools plug the end of a veth in and move the other one afterwards.
func TestAVethThatIsMovedAfterItWasPluggedIn(t *testing.T) {
	for name, strict := range map[string]bool{"ordinary": false, "strict": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			id := s.attachNetwork(model.Network{Name: "red", Strict: strict})
			vms := s.vms("vm-a", "vm-b")
			reaches(t, vms[0], vms[1])
			container := s.ovs.NewVM("other", "10.0.0.77/24") // for its namespace
			s.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
			s.ip("link", "set", "v0", "addrgenmode", "none")
			s.ip("link", "set", "v0", "up")
			s.ip("link", "set", "v1", "up")
			s.ovs.Vsctl("add-port", "red", "v0")
			s.until("it is cut off", func(st report.Status) bool {
				f := violations(st, id)
				return len(f) == 1 && f[0].Reason == isolation.VethInHost && f[0].Quarantined
			})
			s.ip("link", "set", "v1", "netns", container.Namespace())
			s.inside(container, "address", "add", "10.0.0.9/24", "dev", "v1")
			s.inside(container, "link", "set", "v1", "up")
			s.inside(container, "link", "set", "eth0", "down")
			reaches(t, vms[0], &ovstest.VM{Device: "v1", Address: "10.0.0.9"})
			s.until("isolated", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
		})
	}
}

// An internal port that a container had comes back to the host under another name,
// while isonet is down, or after it was started anew in between.
func TestAnInternalPortThatComesBackByAnotherName(t *testing.T) {
	for name, down := range map[string]bool{"while isonet is down": true, "after isonet was started anew": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			id := s.attachNetwork(model.Network{Name: "red", Strict: true})
			vms := s.vms("vm-a", "vm-b")
			reaches(t, vms[0], vms[1])
			container := s.ovs.NewVM("other", "10.0.0.77/24") // for its namespace
			s.ovs.Vsctl("add-port", "red", "int0", "--", "set", "interface", "int0", "type=internal")
			ovstest.Eventually(t, "its device is known", func() error {
				if opened := s.loop.Memory().Opened[id]; len(opened) != 3 {
					return fmt.Errorf("the devices are %v", opened)
				}
				return nil
			})
			s.ip("link", "set", "int0", "netns", container.Namespace())
			s.inside(container, "link", "set", "eth0", "down")
			s.inside(container, "address", "add", "10.0.0.9/24", "dev", "int0")
			s.inside(container, "link", "set", "int0", "up")
			reaches(t, vms[0], &ovstest.VM{Device: "int0", Address: "10.0.0.9"})
			s.stop()
			if !down {
				s.start()
				s.until("isolated", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
			}
			s.inside(container, "link", "set", "int0", "down")
			s.inside(container, "link", "set", "int0", "name", "hidden")
			s.inside(container, "link", "set", "hidden", "netns", s.namespace)
			s.ip("address", "add", "10.0.0.9/24", "dev", "hidden")
			s.ip("link", "set", "hidden", "up")
			if down {
				s.start()
			}
			s.until("the port is cut off", func(st report.Status) bool {
				f := violations(st, id)
				return len(f) == 1 && f[0].Reason == isolation.HostInternalPort && f[0].Quarantined && st.Networks[id].Strict // without it
			})
			if vms[0].Pings("10.0.0.9") {
				t.Error("a VM reaches the host")
			}
			reaches(t, vms[0], vms[1])
		})
	}
}

// A VM's device leaves for another network namespace and comes back: it has the
// flag that Open vSwitch set, and Open vSwitch does not receive from it any more.
func TestADeviceThatWasAwayIsNotReceivedFrom(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red"})
	vms := s.vms("vm-a", "vm-b")
	reaches(t, vms[0], vms[1])
	elsewhere := ovstest.Namespace(t)
	s.ip("link", "set", "vm-b", "netns", elsewhere)
	s.ip("-n", elsewhere, "link", "set", "vm-b", "netns", s.namespace)
	s.ip("link", "set", "vm-b", "addrgenmode", "none") // it was forgotten
	s.ip("link", "set", "vm-b", "up")
	s.until("it is told", func(st report.Status) bool {
		f := violations(st, id)
		return len(f) == 1 && f[0].Reason == isolation.OtherDevice && f[0].Port == "vm-b"
	})
	s.ovs.Vsctl("del-port", "vm-b")
	s.ovs.Vsctl("add-port", "red", "vm-b")
	reaches(t, vms[0], vms[1])
	s.until("isolated", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	// A flag that somebody switches off is no reason to cut a VM off.
	s.ip("link", "set", "vm-b", "promisc", "off")
	s.ovs.Vsctl("add-port", "red", "up0", "--", "set", "interface", "up0", "type=patch", "options:peer=none")
	s.until("a later change was judged", func(st report.Status) bool { return st.IsolationRepairs[isolation.PatchPort] == 1 })
	reaches(t, vms[0], vms[1])
	if f := violations(s.loop.Status(), id); len(f) > 0 {
		t.Errorf("found: %v", f)
	}
}
