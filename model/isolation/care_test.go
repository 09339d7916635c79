package isolation_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
)

// vm plugs a VM into the network of the input.
func vm(in isolation.Input, name string, d plan.Device, ids map[string]string) isolation.Input {
	in.Bridge.Ports = append(slices.Clone(in.Bridge.Ports), plan.Port{
		UUID: "p" + name, Name: name, Tag: -1,
		Interfaces: []plan.Interface{{UUID: "i" + name, Name: name, OFPort: len(in.Bridge.Ports) + 1, ExternalIDs: ids}},
	})
	in.Devices = with(in.Devices, name, d)
	return in
}

func headed() plan.Device {
	d := tap()
	d.VnetHeader = true
	return d
}

// segmented is a tap whose holder takes open checksums, and no TCP to be cut.
func segmented() plan.Device {
	d := headed()
	d.NoTSO = true
	return d
}

// details are the evidence of all findings with a reason, by port.
func details(v isolation.Verdict, r isolation.Reason) map[string]string {
	found := map[string]string{}
	for _, f := range v.Findings {
		if f.Reason == r {
			found[f.Port] = f.Detail
		}
	}
	return found
}

func TestOpenChecksums(t *testing.T) {
	two := func(a, b plan.Device) isolation.Input {
		return vm(vm(healthy(), "vnet0", a, map[string]string{"vm-name": "web", "vm-id": "1"}), "vnet1", b, map[string]string{"vm-id": "2"})
	}
	set := func(in isolation.Input, local plan.Device) isolation.Input {
		in.Host.Offloads = true
		in.Devices = with(in.Devices, "red", local)
		return in
	}
	kernel := two(headed(), headed())
	kernel.Bridge.DatapathType, kernel.DatapathType = "system", "system"
	const unset, late = "other_config:userspace-tso-enable is not set, ", "ovs-vswitchd was not restarted since other_config:userspace-tso-enable was set, "
	const both = "and these can leave checksums open: vnet0 (VM web), vnet1 (VM 2)"
	for name, test := range map[string]struct {
		in   isolation.Input
		want string
	}{
		"taps":                       {two(headed(), headed()), unset + both},
		"veths":                      {two(veth(true), veth(true)), unset + both},
		"one of two":                 {two(tap(), veth(true)), unset + "and these can leave checksums open: vnet1 (VM 2)"},
		"taps without headers":       {two(tap(), tap()), ""},
		"one VM has nobody to reach": {vm(healthy(), "vnet0", headed(), nil), ""},
		"the kernel's datapath":      {kernel, ""},
		"set":                        {set(two(headed(), headed()), headed()), ""},
		"set, and VMs without TSO":   {set(two(segmented(), segmented()), headed()), ""},
		"set after the start":        {set(two(headed(), headed()), tap()), late + both},
		"so in a later Open vSwitch": {set(two(headed(), headed()), segmented()), late + both},
		"set, and no tap is seen":    {set(two(headed(), headed()), veth(true)), ""},
	} {
		v := isolation.Judge(test.in)
		if got := details(v, isolation.OpenChecksums)[""]; got != test.want || !v.Isolated() {
			t.Errorf("%s: %q, isolated %t; want %q", name, got, v.Isolated(), test.want)
		}
	}
}

func TestDuplicateMAC(t *testing.T) {
	mac := func(m string) map[string]string {
		return map[string]string{"attached-mac": m, "vm-name": "of-" + m[len(m)-2:]}
	}
	in := vm(healthy(), "a", tap(), mac("52:54:00:00:00:01"))
	in = vm(in, "b", tap(), mac("52:54:00:00:00:02"))
	in = vm(in, "c", tap(), mac("52:54:00:00:00:AA"))
	in = vm(in, "d", tap(), mac("no address"))
	in = vm(in, "e", tap(), mac("no address"))
	if got := details(isolation.Judge(in), isolation.DuplicateMAC); len(got) != 0 {
		t.Errorf("without duplicates: %v", got)
	}
	in = vm(in, "f", tap(), mac("52:54:00:00:00:aa"))
	v := isolation.Judge(in)
	got := details(v, isolation.DuplicateMAC)
	if len(got) != 2 || got["c"] != "52:54:00:00:00:aa is the address of c (VM of-AA) and of f (VM of-aa)" || got["f"] != got["c"] || !v.Isolated() {
		t.Errorf("%v, isolated %t", got, v.Isolated())
	}
	for _, f := range v.Findings {
		if !f.Notice || f.Action != isolation.Report || !strings.Contains(f.Remedy(), "another MAC address") {
			t.Errorf("%+v", f)
		}
	}
}

func TestWhatIsCountedAndKeptIsTold(t *testing.T) {
	in := vm(healthy(), "vnet0", tap(), map[string]string{"attached-mac": "52:54:00:00:00:01", "vm-name": "web"})
	in = vm(in, "vnet1", tap(), nil)
	in.Network.Strict, in.Network.MACLock, in.Network.BroadcastLimit = true, true, 7
	in.Bridge.FailMode = "secure"
	in.Denied = map[string]plan.MemberCounters{"ivnet0": {WrongMAC: 3, OverLimit: 4}, "another": {WrongMAC: 9}}
	in.Larger = map[string]int{"vnet1": 9000, "another": 9000}
	v := isolation.Judge(in)
	for reason, want := range map[isolation.Reason]map[string]string{
		isolation.WrongMAC:   {"vnet0": "vnet0 (VM web) sent from other addresses than 52:54:00:00:00:01; frames dropped so far: 3"},
		isolation.OverLimit:  {"vnet0": "vnet0 (VM web) sent more than 7 broadcasts and multicasts in a second; frames dropped so far: 4"},
		isolation.MTULowered: {"vnet1": "vnet1 was plugged in with an MTU of 9000 bytes, and the network has 1500"},
	} {
		if got := details(v, reason); !maps.Equal(got, want) || !v.Isolated() {
			t.Errorf("%s: %v, isolated %t; want %v", reason, got, v.Isolated(), want)
		}
	}
}
