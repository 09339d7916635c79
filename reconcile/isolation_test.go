package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// links are the devices that the kernel would tell of: the dummy datapath has
// none.
type fakeLinks struct {
	mu      sync.Mutex
	devices *plan.Links
	changed chan struct{}
}

func newLinks() *fakeLinks {
	return &fakeLinks{devices: plan.NewLinks(plan.Device{Index: 1, Name: "lo", Loopback: true}, plan.Device{Index: 1 << 20, Name: "taken", Kind: "dummy"}), changed: make(chan struct{})}
}

func (l *fakeLinks) Links() *plan.Links {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.devices
}

func (l *fakeLinks) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// set makes devices what they are from now on. They are known by their names.
func (l *fakeLinks) set(devices ...plan.Device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.devices = named(l.devices, devices...)
	close(l.changed)
	l.changed = make(chan struct{})
}

// named returns links with some more devices. One of a new name gets the next
// ifindex.
func named(links *plan.Links, devices ...plan.Device) *plan.Links {
	for _, d := range devices {
		before, known := links.Named(d.Name)
		if d.Index = before.Index; !known {
			d.Index = links.Len() + 1
		}
		links = links.Change(nil, []plan.Device{d})
	}
	return links
}

func tap(name string) plan.Device {
	return plan.Device{Name: name, Kind: "tun", Tap: true, Ethernet: true, Promiscuous: true}
}

// uplink is a physical NIC.
func uplink() plan.Device { return plan.Device{Name: "eth9", Ethernet: true} }

// under attaches a network with a policy.
func (s *system) under(name string, policy model.Policy) model.ID {
	s.Helper()
	revision, ids := s.attach(name)
	s.realised(revision, ids...)
	s.policy(ids[0], policy)
	return ids[0]
}

func (s *system) policy(id model.ID, policy model.Policy) {
	s.Helper()
	revision := s.update(func(d *model.Desired) error {
		n := d.Networks[id]
		n.Isolation = policy
		return d.UpdateNetwork(n)
	})
	s.realised(revision, id)
}

// ports returns the names of the ports of the bridge red.
func (s *system) ports() string { return s.ovs.Vsctl("--no-wait", "list-ports", "red") }

// findings waits until the findings of a network have these reasons.
func (s *system) findings(id model.ID, reasons ...isolation.Reason) report.Isolation {
	s.Helper()
	status := s.until(fmt.Sprintf("the findings %v", reasons), func(st report.Status) bool {
		var found []isolation.Reason
		for _, f := range st.Networks[id].Isolation.Findings {
			if f.Reason != isolation.OpenChecksums { // the VMs of tests talk by frames of their own
				found = append(found, f.Reason)
			}
		}
		return slices.Equal(found, reasons)
	})
	v := status.Networks[id].Isolation
	v.Findings = slices.DeleteFunc(slices.Clone(v.Findings), func(f isolation.Finding) bool { return f.Reason == isolation.OpenChecksums })
	return v
}

func (s *system) repaired(reason isolation.Reason, times uint64) {
	s.Helper()
	s.until(fmt.Sprintf("repair %d of %s", times, reason), func(st report.Status) bool {
		return st.IsolationRepairs[reason] == times
	})
}

func TestAWayOutIsRemoved(t *testing.T) {
	s := start(t)
	s.links.set(uplink(), tap("vm1"))
	id := s.under("red", "")
	s.ovs.Vsctl("add-port", "red", "vm1")
	s.ovs.Vsctl("add-br", "theirs")
	for reason, add := range map[isolation.Reason][]string{
		isolation.PhysicalNIC: {"add-port", "red", "eth9"},
		isolation.PatchPort:   {"add-port", "red", "p", "--", "set", "interface", "p", "type=patch", "options:peer=q"},
		isolation.TunnelPort:  {"add-port", "red", "x", "--", "set", "interface", "x", "type=vxlan", "options:remote_ip=127.0.0.1"},
		isolation.DPDKPort:    {"add-port", "red", "d", "--", "set", "interface", "d", "type=dpdk"},
	} {
		s.ovs.Vsctl(append([]string{"--no-wait"}, add...)...)
		s.repaired(reason, 1)
		status := s.until("quiet", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
		last := status.Events[len(status.Events)-1]
		if last.Deed != report.Removed || last.Reason != reason || last.NetworkID != id || last.Network != "red" || last.Port != add[2] || last.Detail == "" {
			t.Errorf("%s: the last event is %+v", reason, last)
		}
		if got := s.ports(); got != "vm1" {
			t.Errorf("%s: ports %q, want the VM's", reason, got)
		}
	}
	if status := s.loop.Status(); status.Networks[id].State != report.Active {
		t.Errorf("the network is %s", status.Networks[id].State)
	}
}

// Container tools plug a veth in and move its other end afterwards. It is cut off
// meanwhile, and removed only when its end does not move.
func TestAVethIsCutOffUntilItsEndHasLeft(t *testing.T) {
	s := start(t)
	stays, moves := plan.Device{Name: "stays", Kind: "veth", Ethernet: true, Promiscuous: true}, plan.Device{Name: "moves", Kind: "veth", Ethernet: true, Promiscuous: true}
	s.links.set(stays, moves)
	id := s.under("red", "")
	s.ovs.Vsctl("--no-wait", "add-port", "red", "moves", "--", "add-port", "red", "stays")
	verdict := s.until("both are cut off", func(st report.Status) bool {
		f := st.Networks[id].Isolation.Findings
		return len(f) == 2 && f[0].Quarantined && f[1].Quarantined
	}).Networks[id].Isolation
	if f := verdict.Findings[0]; f.Reason != isolation.VethInHost || f.Action != isolation.Quarantine || f.Port != "moves" {
		t.Errorf("findings %+v", verdict.Findings)
	}
	moves.PeerElsewhere = true
	s.links.set(moves)
	s.until("one is released", func(st report.Status) bool {
		f := st.Networks[id].Isolation.Findings
		return len(f) == 1 && f[0].Port == "stays"
	})
	s.until("the other one is removed", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	if got := s.ports(); got != "moves" {
		t.Errorf("ports %q, want the one whose end has left", got)
	}
	if got := s.ovs.Vsctl("get", "port", "moves", "trunks"); got != "[]" {
		t.Errorf("the trunks of the one that was released are %s", got)
	}
	// Who plugs it in again gets no new grace time.
	s.ovs.Vsctl("--no-wait", "add-port", "red", "stays")
	status := s.until("removed again", func(st report.Status) bool {
		return len(bridge(st, "red").Ports) == 1 && st.IsolationRepairs[isolation.VethInHost] == 4
	})
	if last := status.Events[len(status.Events)-1]; last.Deed != report.Removed || last.Port != "stays" {
		t.Errorf("the last event is %+v", last)
	}
}

func TestTheUnknownIsQuarantinedUntilItIsKnown(t *testing.T) {
	s := start(t)
	s.links.set(plan.Device{Name: "odd", Kind: "ifb", Ethernet: true})
	id := s.under("red", "")
	s.ovs.Vsctl("--no-wait", "add-port", "red", "odd", "tag=7", "--", "set", "port", "odd", "external_ids:theirs=1")
	s.repaired(isolation.UnknownDevice, 1)
	verdict := s.until("quarantined", func(st report.Status) bool {
		f := st.Networks[id].Isolation.Findings
		return len(f) == 1 && f[0].Quarantined
	}).Networks[id].Isolation
	if verdict.Isolated() || verdict.Findings[0].Port != "odd" || verdict.Findings[0].Remedy() == "" {
		t.Errorf("verdict %+v", verdict)
	}
	for column, want := range map[string]string{
		"vlan_mode": "trunk", "trunks": "[4095]", "tag": "[]", "external_ids:theirs": `"1"`,
		"external_ids:isonet-quarantine": "unknown_device",
	} {
		if got := s.ovs.Vsctl("get", "port", "odd", column); got != want {
			t.Errorf("in quarantine %s is %s, want %s", column, got, want)
		}
	}

	// Who wipes the marks and opens the port has changed nothing.
	s.ovs.Vsctl("--no-wait", "clear", "port", "odd", "trunks", "vlan_mode", "--", "remove", "port", "odd", "external_ids", "isonet-quarantine")
	s.repaired(isolation.UnknownDevice, 2)

	s.links.set(tap("odd"))
	status := s.until("released", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	if last := status.Events[len(status.Events)-1]; last.Deed != report.Released || last.Port != "odd" {
		t.Errorf("the last event is %+v", last)
	}
	for column, want := range map[string]string{"vlan_mode": "[]", "trunks": "[]", "tag": "7", "external_ids": `{theirs="1"}`} {
		if got := s.ovs.Vsctl("get", "port", "odd", column); got != want {
			t.Errorf("after the release %s is %s, want %s", column, got, want)
		}
	}
}

func TestPolicies(t *testing.T) {
	s := start(t)
	s.links.set(uplink())
	id := s.under("red", model.PolicyReport)
	before := s.ovs.NextCfg()
	s.ovs.Vsctl("add-port", "red", "eth9", "--", "set", "bridge", "red", "stp_enable=true")
	verdict := s.findings(id, isolation.PhysicalNIC, isolation.STP)
	if verdict.Isolated() || verdict.Findings[0].Action != isolation.Report {
		t.Errorf("report: verdict %+v", verdict)
	}
	status := s.loop.Status()
	if got := s.ovs.NextCfg(); got != before+1 || len(status.IsolationRepairs) != 0 {
		t.Errorf("report: next_cfg went from %d to %d, repairs %v; want only ovs-vsctl's write", before, got, status.IsolationRepairs)
	}
	if n := len(status.Events); n != 2 || status.Events[0].Deed != report.Reported {
		t.Errorf("report: events %+v, want both findings once", status.Events)
	}

	s.policy(id, model.PolicyQuarantine)
	s.repaired(isolation.STP, 1)
	s.repaired(isolation.PhysicalNIC, 1)
	if got := s.ovs.Vsctl("get", "port", "eth9", "trunks"); got != "[4095]" {
		t.Errorf("quarantine: the uplink's trunks are %s", got)
	}
	s.policy(id, model.PolicyReport)
	s.until("let go", func(st report.Status) bool {
		return slices.ContainsFunc(st.Events, func(e report.Event) bool { return e.Deed == report.Released })
	})
	if got := s.ovs.Vsctl("get", "port", "eth9", "trunks"); got != "[]" {
		t.Errorf("report: the uplink's trunks are %s; isonet cut it off, so it lets it go", got)
	}
	s.policy(id, model.PolicyEnforce)
	s.until("isolated", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	if got := s.ports(); got != "" {
		t.Errorf("enforce: ports %q", got)
	}
}

// Somebody puts an uplink back as fast as it goes. The repairs are counted, not
// timed: only the first ones are free.
func TestAFightIsContested(t *testing.T) {
	s := start(t)
	s.links.set(uplink())
	id := s.under("red", "")
	other := s.under("blue", "")
	before := s.seen.committed()
	ctx, stop := context.WithCancel(t.Context())
	var operator sync.WaitGroup
	operator.Go(func() {
		for ctx.Err() == nil {
			s.ovs.Vsctl("--no-wait", "--may-exist", "add-port", "red", "eth9")
		}
	})
	status := s.until("contested", func(st report.Status) bool {
		return st.Networks[id].Isolation.Contested && len(st.Networks[id].Isolation.Findings) == 1
	})
	stop()
	operator.Wait()
	if status.Networks[other].Isolation.Contested {
		t.Error("the other network is contested too")
	}
	if got := s.seen.committed() - before; got < 5 || got > 8 {
		t.Errorf("%d transactions, want the free repairs and hardly more", got)
	}
	if !slices.ContainsFunc(status.Events, func(e report.Event) bool { return e.Deed == report.Contested && e.NetworkID == id }) {
		t.Errorf("no event tells that it is contested: %+v", status.Events)
	}
	// It is left for a while, not for ever.
	s.until("removed after all", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	if got := s.ports(); got != "" {
		t.Errorf("ports %q", got)
	}
}

// A network that is gone from the desired state stays isolated as long as VMs
// hold its bridge.
func TestABridgeThatIsHeldStaysIsolated(t *testing.T) {
	s := start(t)
	s.links.set(uplink(), tap("vm1"))
	id := s.under("red", "")
	s.ovs.Vsctl("add-port", "red", "vm1")
	s.until("the port is open", func(st report.Status) bool { return open(st, "red") })
	s.update(func(d *model.Desired) error { return d.RemoveNetwork(id) })
	s.until("held", func(st report.Status) bool { return len(st.Held) == 1 })
	s.ovs.Vsctl("--no-wait", "add-port", "red", "eth9", "--", "set", "bridge", "red", "stp_enable=true")
	s.repaired(isolation.PhysicalNIC, 1)
	s.repaired(isolation.STP, 1)
	if got := s.ports(); got != "vm1" {
		t.Errorf("ports %q, want the VM's", got)
	}
	status := s.until("still held", func(st report.Status) bool { return len(st.Held) == 1 && len(st.Held[0].Ports) == 1 })
	if last := status.Events[len(status.Events)-1]; last.Network != "red" || last.NetworkID != id {
		t.Errorf("the last event is %+v", last)
	}
}

func TestRSTPIsLeftWithoutLosingPorts(t *testing.T) {
	s := start(t)
	s.links.set(tap("vm1"), tap("vm2"))
	id := s.under("red", "")
	s.ovs.Vsctl("add-port", "red", "vm1", "tag=7", "--", "add-port", "red", "vm2", "--", "set", "interface", "vm1", "external_ids:iface-id=1")
	ports := s.ovs.Vsctl("--columns=_uuid,name,tag,interfaces", "list", "port")
	s.ovs.Vsctl("--no-wait", "set", "bridge", "red", "rstp_enable=true")
	s.repaired(isolation.RSTP, 1)
	s.until("up again", func(st report.Status) bool {
		return st.Networks[id].State == report.Active && st.Networks[id].Isolation.Isolated() && !bridge(st, "red").Unsettled
	})
	if got := s.ovs.Vsctl("--columns=_uuid,name,tag,interfaces", "list", "port"); got != ports {
		t.Errorf("ports are\n%s\nand were\n%s", got, ports)
	}
	if got := s.ovs.Vsctl("get", "bridge", "red", "rstp_enable", "datapath_type"); !strings.HasPrefix(got, "false") {
		t.Errorf("rstp_enable and datapath_type: %s", got)
	}
}

// A daemon that dies between the two transactions leaves a bridge that the next
// one takes up again.
func TestAResetThatWasCutShortIsFinished(t *testing.T) {
	s := start(t)
	s.links.set(tap("vm1"))
	id := s.under("red", "")
	s.ovs.Vsctl("add-port", "red", "vm1")
	s.ovs.Vsctl("--no-wait", "set", "bridge", "red", "datapath_type="+plan.ResetDatapath)
	s.until("up again", func(st report.Status) bool {
		return st.Repairs == 1 && st.Networks[id].State == report.Active && !bridge(st, "red").Unsettled
	})
	if got := s.ports(); got != "vm1" {
		t.Errorf("ports %q", got)
	}
}
