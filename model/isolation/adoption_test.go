package isolation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
)

// someones is a bridge that nothing forbids to adopt: as ovs-vsctl makes it, with
// a VM's tap.
func someones() isolation.Input {
	in := healthy()
	in.Bridge.ExternalIDs, in.Bridge.OtherConfig = nil, nil
	in.Bridge.Ports = slices.Clone(in.Bridge.Ports)
	in.Bridge.Ports[0].VLANMode, in.Bridge.Ports[0].Trunks = "", nil
	return plugged(in, plan.Interface{OFPort: 3, MTU: 1500}, tap())
}

// TestObjections has what forbids an adoption, and what does not.
func TestObjections(t *testing.T) {
	bridge := func(change func(*plan.Bridge)) isolation.Input {
		in := someones()
		change(&in.Bridge)
		return in
	}
	iface := func(i plan.Interface, devices ...plan.Device) isolation.Input {
		in := someones()
		in.Bridge.Ports = in.Bridge.Ports[:1]
		gone, _ := in.Devices.Named("p")
		in.Devices = in.Devices.Change([]int{gone.Index}, nil)
		return plugged(in, i, devices...)
	}
	up := someones()
	local := tap()
	local.Up = true
	up.Devices = with(up.Devices, "red", local)
	report := iface(plan.Interface{OFPort: 3}, veth(false))
	report.Network.Isolation = model.PolicyReport
	blind := someones()
	blind.Devices = nil
	manager := someones()
	manager.Host.Managers = 1
	for name, c := range map[string]struct {
		in   isolation.Input
		says []string
	}{
		"nothing":             {someones(), nil},
		"open local port":     {bridge(func(b *plan.Bridge) { b.Ports[0].Tag = 7 }), nil},
		"in-band":             {bridge(func(b *plan.Bridge) { b.OtherConfig = map[string]string{"disable-in-band": "false"} }), nil},
		"link-local address":  {iface(plan.Interface{OFPort: 3}, addressed(tap(), "fe80::1/64")), nil},
		"stale port":          {iface(plan.Interface{OFPort: -1, Error: "No such device"}), nil},
		"a manager":           {manager, nil},
		"container":           {iface(internal(7)), nil},
		"uplink":              {iface(plan.Interface{OFPort: 3, IfIndex: 2}, kind("")), []string{"port 'p': the kernel says that its device is a physical NIC (it has no kind) (physical_nic): unplug it ('ovs-vsctl del-port red p'). Find out who"}},
		"way out, reported":   {report, []string{"(veth_in_host)"}},
		"address of the host": {iface(plan.Interface{OFPort: 3}, addressed(tap(), "10.0.0.1/24")), []string{"(port_address): Remove the address"}},
		"internal with host":  {iface(plan.Interface{Type: "internal", OFPort: 3}, tap()), []string{"(host_internal_port)"}},
		"unseen device":       {iface(plan.Interface{OFPort: 3, MTU: 1500}), []string{"(unseen_device)"}},
		"vanished device":     {iface(plan.Interface{OFPort: 3}), nil},
		"unseen host":         {blind, []string{"(unseen_host): Run isonetd in the network namespace"}},
		"not opened yet":      {iface(plan.Interface{}), []string{"port 'p': too little is known of it"}},
		"local port in use":   {up, []string{"(local_up), and the host would be cut off: 'ip link set red down'"}},
		"controller":          {bridge(func(b *plan.Bridge) { b.Controllers = 1 }), []string{"(controller): 'ovs-vsctl clear Bridge red controller'"}},
		"mirror":              {bridge(func(b *plan.Bridge) { b.Mirrors = 1 }), []string{"'ovs-vsctl clear Bridge red mirrors'"}},
		"flow export":         {bridge(func(b *plan.Bridge) { b.NetFlow, b.SFlow, b.IPFIX = 1, 1, 1 }), []string{"red netflow'", "red sflow'", "red ipfix'"}},
		"sampling":            {bridge(func(b *plan.Bridge) { b.FlowSamples = []string{"x"} }), []string{"(flow_sampling): remove these rows"}},
		"auto attach":         {bridge(func(b *plan.Bridge) { b.AutoAttach = 1 }), []string{"red auto_attach'"}},
		"spanning trees":      {bridge(func(b *plan.Bridge) { b.STP, b.RSTP = true, true }), []string{"'ovs-vsctl set Bridge red stp_enable=false'", "'ovs-vsctl set Bridge red rstp_enable=false'"}},
		"BPDUs":               {bridge(func(b *plan.Bridge) { b.OtherConfig = map[string]string{"forward-bpdu": "true"} }), []string{"'ovs-vsctl remove Bridge red other_config forward-bpdu'"}},
		"noise": {iface(plan.Interface{OFPort: 3, LLDP: true, BFD: true, CFM: true}, tap()), []string{
			"'ovs-vsctl remove Interface p lldp enable'", "'ovs-vsctl remove Interface p bfd enable'", "'ovs-vsctl clear Interface p cfm_mpid'",
		}},
		"what it disturbs": {bridge(func(b *plan.Bridge) { b.FailMode = "secure" }), []string{"fail_mode is secure"}},
		"several":          {bridge(func(b *plan.Bridge) { b.Mirrors, b.DatapathType = 1, "system" }), []string{"(mirror)", "its datapath_type is system"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isolation.Objections(c.in); !slices.EqualFunc(got, c.says, strings.Contains) {
				t.Errorf("objections %q, want %q", got, c.says)
			}
		})
	}
}

// TestNothingThatIsEnforcedIsAdopted holds the objections against the whole table
// of ports: whatever isonet would act upon, or knows too little of, forbids it.
func TestNothingThatIsEnforcedIsAdopted(t *testing.T) {
	for _, c := range portCases() {
		objections := isolation.Objections(c.in)
		e, found := isolation.Find(c.reason)
		if found && e.Enforce != isolation.Report && len(objections) == 0 {
			t.Errorf("%s: nothing forbids to adopt it", c.name)
		}
	}
}
