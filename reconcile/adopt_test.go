package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/store"
)

// foreign makes a bridge red that isonet did not make, with VMs, and returns the
// UUID of its row.
func (s *site) foreign(vms ...string) (string, []*ovstest.VM) {
	s.Helper()
	s.ovs.Vsctl("add-br", "red", "--", "set", "Bridge", "red", "datapath_type="+ovstest.Datapath(), "external_ids:theirs=1")
	plugged := s.vms(vms...)
	for _, vm := range plugged {
		s.ovs.OFPort(vm.Device)
	}
	return s.ovs.Vsctl("get", "Bridge", "red", "_uuid"), plugged
}

// permit lets a new network adopt a bridge red.
func (s *site) permit(uuid string) func(*model.Desired) error {
	return func(d *model.Desired) error {
		n, err := d.AddNetworkOf(model.Network{Name: "the old one"}, "red")
		if err != nil {
			return err
		}
		return d.Adopt(s.host, n.ID, "red", uuid)
	}
}

// network returns the one that permit made.
func (s *site) network() model.ID {
	s.Helper()
	n, _ := s.store.Snapshot().NetworkByName("the old one")
	return n.ID
}

// whileDown changes the desired state while isonet does not run, as a crash
// does that comes between this change and Open vSwitch's.
func (s *site) whileDown(change func(*model.Desired) error) {
	s.Helper()
	s.stop()
	down := store.New(store.Config{StateDir: s.stateDir, RunDir: s.ovs.Dir(), Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := down.Run(ctx); err != nil {
			s.Errorf("run the store: %v", err)
		}
	})
	<-down.Ready()
	if _, err := down.Update(ctx, change); err != nil {
		s.Errorf("change the desired state: %v", err)
	}
	cancel()
	running.Wait()
}

func (s *site) bridge(column string) string {
	s.Helper()
	return s.ovs.Vsctl("get", "Bridge", "red", column)
}

// refused waits until the network cannot be made for the given reason, and
// shows that the bridge is still somebody else's.
func (s *site) refused(id model.ID, says string) {
	s.Helper()
	s.until("the network is refused because of "+says, func(st report.Status) bool {
		n := st.Networks[id]
		return n.State == report.Failed && strings.Contains(n.Reason, says)
	})
	if got := s.bridge("external_ids"); got != `{theirs="1"}` {
		s.Errorf("external_ids of the bridge are %s", got)
	}
	if got := s.ovs.Vsctl("get", "Port", "red", "trunks"); got != "[]" {
		s.Errorf("trunks of its local port are %s", got)
	}
}

func TestABridgeIsAdoptedAndReleased(t *testing.T) {
	s := newSite(t, nil)
	uuid, vms := s.foreign("vm-a", "vm-b")
	before := s.ovs.NextCfg()
	revision := s.update(s.permit(uuid))
	id := s.network()
	s.realised(revision, id)
	if got := s.bridge("external_ids:isonet-network-id"); !strings.Contains(got, string(id)) || s.bridge("external_ids:theirs") != `"1"` {
		t.Errorf("external_ids of the adopted bridge are %s", s.bridge("external_ids"))
	}
	if got := s.bridge("_uuid"); got != uuid {
		t.Errorf("the bridge is %s, and was %s", got, uuid)
	}
	for column, want := range map[string]string{"trunks": "[4095]", "external_ids:owner": "isonet"} {
		if got := s.ovs.Vsctl("get", "Port", "red", column); got != want {
			t.Errorf("the local port's %s is %s, want %s", column, got, want)
		}
	}
	if got := s.bridge("other_config:disable-in-band"); got != `"true"` {
		t.Errorf("disable-in-band is %s", got)
	}
	if got := s.ovs.NextCfg() - before; got != 2 {
		t.Errorf("%d transactions, want 2: the adoption, and the MTU of the ports", got)
	}
	if got := s.loop.Status().Repairs; got != 0 {
		t.Errorf("%d repairs: an adoption is none", got)
	}
	reaches(t, vms[0], vms[1])

	// The permission outlasts the adoption: marks that somebody wipes come back.
	s.ovs.Vsctl("clear", "Bridge", "red", "external_ids", "--", "clear", "Port", "red", "external_ids")
	s.until("the marks are back", func(st report.Status) bool { return st.Repairs == 1 })
	s.realised(revision, id)

	s.realised(s.update(func(d *model.Desired) error { return d.Release(s.host, id) }), id)
	if got := s.bridge("external_ids"); got != "{}" {
		t.Errorf("external_ids of the released bridge are %s", got)
	}
	if got := s.ovs.Vsctl("get", "Port", "red", "external_ids"); got != "{}" {
		t.Errorf("external_ids of its local port are %s", got)
	}
	reaches(t, vms[0], vms[1])

	// From now on it is not isonet's to put right.
	s.ovs.Vsctl("set", "Bridge", "red", "stp_enable=true", "external_ids:theirs=2")
	released := s.ovs.Vsctl("list", "Bridge", "red") + s.ovs.Vsctl("list", "Port", "red")
	s.stop()
	s.start()
	if got := s.ovs.Vsctl("list", "Bridge", "red") + s.ovs.Vsctl("list", "Port", "red"); got != released {
		t.Errorf("after a restart the released bridge is\n%s\nand was\n%s", got, released)
	}
}

func TestAnAdoptionGoesOnAfterACrash(t *testing.T) {
	for name, c := range map[string]struct {
		// meanwhile happens while isonet is down.
		meanwhile func(*site)
		refused   string // "" if the bridge is adopted
	}{
		"as it was": {func(*site) {}, ""},
		"made anew by somebody": {func(s *site) {
			s.ovs.Vsctl("del-br", "red")
			s.ovs.Vsctl("add-br", "red", "--", "set", "Bridge", "red", "datapath_type="+ovstest.Datapath(), "external_ids:theirs=1")
		}, "somebody created it again since"},
		"with an uplink": {func(s *site) {
			s.ip("link", "add", "uplink", "type", "veth", "peer", "name", "peer")
			s.ovs.Vsctl("add-port", "red", "uplink")
			s.ovs.OFPort("uplink")
		}, "port 'uplink': both ends of the veth"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			uuid, _ := s.foreign("vm-a")
			s.whileDown(s.permit(uuid))
			c.meanwhile(s)
			s.start()
			id := s.network()
			if c.refused != "" {
				s.refused(id, c.refused)
				return
			}
			s.until("the bridge is adopted", func(st report.Status) bool { return st.Networks[id].State == report.Active })
			if got := s.bridge("external_ids:owner"); got != "isonet" {
				t.Errorf("the bridge's owner is %s", got)
			}
		})
	}
}

func TestAReleaseGoesOnAfterACrash(t *testing.T) {
	s := newSite(t, nil)
	uuid, vms := s.foreign("vm-a", "vm-b")
	revision := s.update(s.permit(uuid))
	id := s.network()
	s.realised(revision, id)
	s.whileDown(func(d *model.Desired) error { return d.Release(s.host, id) })
	if got := s.bridge("external_ids:owner"); got != "isonet" {
		t.Fatalf("the bridge's owner is %s before the restart", got)
	}
	s.start()
	s.until("the bridge is released", func(st report.Status) bool {
		_, marked := st.Host.BridgeOf(id)
		return !marked
	})
	if got := s.bridge("external_ids"); got != `{theirs="1"}` {
		t.Errorf("external_ids are %s", got)
	}
	reaches(t, vms[0], vms[1])
}

func TestFlowsOfSomebodyForbidAnAdoption(t *testing.T) {
	s := newSite(t, nil)
	uuid, _ := s.foreign("vm-a")
	out, err := s.ovs.OfctlCommand("add-flow", "red", "priority=9,in_port=1,actions=LOCAL").CombinedOutput()
	if err != nil {
		t.Fatalf("add a flow: %v\n%s", err, out)
	}
	s.update(s.permit(uuid))
	s.refused(s.network(), "somebody gave the bridge 'red' flows of its own: flows that isonet did not make or that were changed: 1")
}

func TestAReleaseOpensTheQuarantine(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red", Isolation: model.PolicyQuarantine, PortIsolation: true})
	s.ip("link", "add", "uplink", "type", "veth", "peer", "name", "peer")
	s.ovs.Vsctl("add-port", "red", "uplink", "tag=7")
	s.until("the uplink is cut off", func(st report.Status) bool {
		f := st.Networks[id].Isolation.Findings
		return len(f) == 1 && f[0].Quarantined
	})
	s.realised(s.update(func(d *model.Desired) error { return d.Release(s.host, id) }), id)
	for column, want := range map[string]string{
		"tag": "7", "trunks": "[]", "vlan_mode": "[]", "external_ids": "{}",
		"protected": "true", // forwarding is as it was
	} {
		if got := s.ovs.Vsctl("get", "Port", "uplink", column); got != want {
			t.Errorf("%s of the port is %s, want %s", column, got, want)
		}
	}
}

// unplug takes a VM's device away, as its end does, and waits until Open
// vSwitch has noticed.
func (s *site) unplug(id model.ID, vm *ovstest.VM) {
	s.Helper()
	s.ip("link", "del", vm.Device)
	s.until(vm.Device+" is stale", func(st report.Status) bool {
		return slices.Contains(st.StalePorts(id), vm.Device)
	})
}

func TestStalePortsAreRemovedOnRequest(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red"})
	vms := s.vms("vm-a", "vm-b", "vm-c")
	for _, vm := range vms {
		s.ovs.OFPort(vm.Device)
	}
	// From Open vSwitch 3.6 on ovs-vsctl fails if it waits for a port that has no device.
	s.ovs.Vsctl("--no-wait", "add-br", "theirs", "--", "set", "Bridge", "theirs", "datapath_type="+ovstest.Datapath(), "--", "--may-exist", "add-port", "theirs", "nosuch1")
	s.ovs.Vsctl("set", "Bridge", "theirs", "external_ids:theirs=1") // waits for vswitchd
	prune := func(want string) {
		t.Helper()
		names, err := s.loop.Prune(t.Context(), id)
		if got := fmt.Sprint(names); err != nil || got != want {
			t.Errorf("pruned %s, %v, want %s", got, err, want)
		}
	}
	prune("[]")
	s.unplug(id, vms[0])
	s.unplug(id, vms[1])
	// One VM comes back in time.
	s.ip("link", "add", vms[1].Device, "type", "veth", "peer", "name", "eth0", "netns", vms[1].Namespace())
	s.until("one is back", func(st report.Status) bool { return len(st.StalePorts(id)) == 1 })
	prune("[vm-a]")
	if got := s.ovs.Vsctl("list-ports", "red"); got != "vm-b\nvm-c" {
		t.Errorf("ports left: %q", got)
	}
	if got := s.ovs.Vsctl("list-ports", "theirs"); got != "nosuch1" {
		t.Errorf("ports of a foreign bridge: %q", got)
	}
	s.ip("link", "del", vms[1].Device)
	s.until("it is stale again", func(st report.Status) bool { return len(st.StalePorts(id)) == 1 })
	s.realised(s.update(func(d *model.Desired) error { return d.Release(s.host, id) }), id)
	prune("[]") // the bridge is somebody else's
	if got := s.ovs.Vsctl("list-ports", "red"); got != "vm-b\nvm-c" {
		t.Errorf("ports of the released bridge: %q", got)
	}
}
