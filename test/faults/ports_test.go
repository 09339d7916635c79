package faults

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// columns are those of VMs' ports that have to be the same after the ports were
// plugged in again.
func columns(h *hosttest.Host, devices ...string) string {
	h.Helper()
	var text strings.Builder
	for _, device := range devices {
		text.WriteString(h.OVS.Vsctl("--columns=name,tag,trunks,vlan_mode,other_config,external_ids,protected", "list", "Port", device))
		text.WriteString(h.OVS.Vsctl("--columns=name,type,options,mtu_request,other_config,external_ids,ofport_request,ingress_policing_rate,ingress_policing_burst",
			"list", "Interface", device))
		text.WriteString(h.OVS.Vsctl("--columns=type,other_config,external_ids", "list", "QoS", h.OVS.Vsctl("get", "Port", device, "qos")))
	}
	return text.String()
}

// plugLikeLibvirt plugs in a VM with all that libvirt and operators set.
func plugLikeLibvirt(h *hosttest.Host, vm *ovstest.VM, bridge, mac string) {
	h.Helper()
	device := vm.Device
	h.OVS.Vsctl("--", "--if-exists", "del-port", device, "--", "add-port", bridge, device,
		"--", "set", "Interface", device, `external_ids:attached-mac="`+mac+`"`,
		"--", "set", "Interface", device, "external_ids:iface-id=11111111-2222-4333-8444-555555555555",
		"--", "set", "Interface", device, "external_ids:vm-id=33333333-3333-4333-8333-333333333333",
		"--", "set", "Interface", device, "external_ids:iface-status=active")
	h.OVS.Vsctl("set", "Port", device, "tag=7", "other_config:priority-tags=always", "external_ids:theirs=a b",
		"--", "set", "Interface", device, "ingress_policing_rate=900000", "ingress_policing_burst=90000", "other_config:theirs=1",
		"--", "set", "Port", device, "qos=@q", "--", "--id=@q", "create", "QoS", "type=linux-noop", "other_config:max-rate=1000000", "queues:5=@u",
		"--", "--id=@u", "create", "Queue", "other_config:max-rate=500000", "dscp=3")
}

// TestPortsComeBack takes VMs' ports away with their bridge in each way that there
// is: frames flow again, and the ports have all that they had.
func TestPortsComeBack(t *testing.T) {
	t.Parallel()
	for kind, network := range map[string]string{
		"ordinary": `{"name":"red","data_center":{"name":"Default"}}`,
		"strict":   `{"name":"red","data_center":{"name":"Default"},"strict":true,"mac_lock":true}`,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.Start()
			h.Must("POST", "/networks", network)
			h.Attach("red")
			a, b := h.OVS.NewVM("vnet0", "10.0.0.1/24"), h.OVS.NewVM("vnet1", "10.0.0.2/24")
			plugLikeLibvirt(h, a, "red", mac(t, a))
			plugLikeLibvirt(h, b, "red", mac(t, b))
			before := ""
			reach := func(what string) {
				t.Helper()
				h.Await(what, func(s hosttest.Status) bool { return s.Live("red") == 2 })
				ovstest.Eventually(t, what+": the VMs reach each other", func() error {
					if !a.Pings(b.Address) || !b.Pings(a.Address) {
						return errors.New("they do not")
					}
					return nil
				})
				if now := columns(h, "vnet0", "vnet1"); before != "" && now != before {
					t.Errorf("%s: the ports were\n%s\nand are\n%s", what, before, now)
				}
			}
			reach("in the beginning")
			before = columns(h, "vnet0", "vnet1")
			for _, way := range []struct {
				name string
				do   func()
			}{
				{"the bridge is removed", func() { h.OVS.Vsctl("--no-wait", "del-br", "red") }},
				{"the bridge is removed and isonetd was killed", func() {
					h.Kill()
					h.OVS.Vsctl("--no-wait", "del-br", "red")
					h.Start()
				}},
				{"its ports are cleared", func() { h.OVS.Vsctl("--no-wait", "clear", "Bridge", "red", "ports") }},
				{"its ports are cleared and isonetd was killed", func() {
					h.Kill()
					h.OVS.Vsctl("clear", "Bridge", "red", "ports")
					h.Start()
				}},
				{"somebody makes another bridge of its name, and removes that", func() {
					h.OVS.Vsctl("--no-wait", "del-br", "red", "--", "add-br", "red")
					h.Await("the network is refused", func(s hosttest.Status) bool { return s.Networks[0].State == "error" })
					h.OVS.Vsctl("--no-wait", "del-br", "red")
				}},
				{"Open vSwitch's database is emptied", func() {
					id := h.OVS.Vsctl("get", "Open_vSwitch", ".", "external_ids:system-id")
					h.OVS.StopServer()
					h.OVS.Server().Create(ovstest.Schema)
					h.OVS.StartServer()
					h.OVS.Vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "external_ids:system-id="+id)
				}},
				{"the network is detached by force, and attached", func() {
					h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching("red"))
					h.Attach("red")
				}},
			} {
				way.do()
				reach(way.name)
			}
			h.Converges("red")
		})
	}
}

func mac(t *testing.T, vm *ovstest.VM) string {
	t.Helper()
	out, err := vm.Command("cat", "/sys/class/net/eth0/address").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestAPortThatIsUnpluggedStaysUnplugged removes ports one by one and all at once by
// their names, while isonetd runs and while it does not: that is meant.
func TestAPortThatIsUnpluggedStaysUnplugged(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red")
	h.Attach("red")
	for n := range 4 {
		h.OVS.Plug(h.OVS.NewVM(fmt.Sprintf("vnet%d", n), fmt.Sprintf("10.0.0.%d/24", n+1)), "red")
	}
	h.Await("the ports are in use", func(s hosttest.Status) bool { return s.Live("red") == 4 })
	h.OVS.Vsctl("del-port", "red", "vnet0")
	h.Await("one is gone", func(s hosttest.Status) bool { return s.Live("red") == 3 })
	h.Kill()
	h.OVS.Vsctl("del-port", "red", "vnet1")
	h.Start()
	h.OVS.Vsctl("del-br", "red") // the others come back, and those do not
	h.Await("two are back", func(s hosttest.Status) bool { return s.Live("red") == 2 })
	h.OVS.Vsctl("del-port", "red", "vnet2", "--", "del-port", "red", "vnet3")
	h.Converges("red")
	if got := h.OVS.Vsctl("list-ports", "red"); got != "" {
		t.Errorf("the bridge has the ports %s", got)
	}
}
