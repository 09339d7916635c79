package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
			remembers(h, "vnet0", "vnet1", "linux-noop")
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
					foreseen := h.Answer("POST", "/isonet/plan", fmt.Sprintf(`{"requests":[{"method":"POST","path":%q,"body":%s}]}`,
						h.Path()+"/setupnetworks", hosttest.Attaching("red"))).Text
					if strings.Count(foreseen, `"plug-port"`) != 2 {
						t.Errorf("of attaching it is foreseen: %s", foreseen)
					}
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
	remembers(h, "vnet1", "vnet2", "vnet3")
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

// remembers waits until isonetd has saved that it knows these ports: what is plugged
// in at the very moment of a crash it does not.
func remembers(h *hosttest.Host, ports ...string) {
	h.Helper()
	ovstest.Eventually(h, "the ports are remembered", func() error {
		text, err := os.ReadFile(filepath.Join(h.OVS.Dir(), "state", "ports"))
		for _, port := range ports {
			if err == nil && !strings.Contains(string(text), port) {
				err = fmt.Errorf("%s is not in %s", port, text)
			}
		}
		return err
	})
}

// TestCrashWhenABridgeIsTaken kills isonetd wherever it can be in plugging ports in
// again. After the next start, and one more removal, they are there.
func TestCrashWhenABridgeIsTaken(t *testing.T) {
	t.Parallel()
	host, stream := start(t)
	remembers(host, "vm-a", "vm-b")
	for _, p := range openVSwitch().points("the bridge", hosttest.Writes("Bridge")) {
		t.Run(p.name, func(t *testing.T) {
			h := host.For(t)
			p.die(h, func() <-chan error {
				h.OVS.Vsctl("--no-wait", "del-br", "red")
				nobody := make(chan error, 1)
				nobody <- errors.New("nobody asked")
				return nobody
			})
			h.Start()
			h.Converges("red")
			stream.Flows(t)
		})
	}
}

// TestALostPortIsTold takes away a port that cannot come back, because Open vSwitch
// destroys its device, and one whose device somebody uses otherwise: both are told,
// with the command that helps, until somebody settles it.
func TestALostPortIsTold(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red")
	h.Attach("red")
	vm := h.OVS.NewVM("vnet0", "10.0.0.1/24")
	h.OVS.Plug(vm, "red", "--", "set", "Interface", "vnet0", "external_ids:vm-id=33333333-3333-4333-8333-333333333333")
	h.OVS.Vsctl("add-port", "red", "inside", "--", "set", "Interface", "inside", "type=internal")
	container := ovstest.Namespace(t)
	run := func(args ...string) {
		t.Helper()
		if out, err := h.Command(args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	run("ip", "link", "set", "inside", "netns", container)
	lost := func() map[string]string {
		t.Helper()
		var status struct {
			Networks []struct {
				Isolation struct {
					Findings []struct{ Reason, Port, Detail string }
				}
			}
		}
		reply := h.Answer("GET", "/isonet/status", "")
		if err := json.Unmarshal([]byte(reply.Text), &status); err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, f := range status.Networks[0].Isolation.Findings {
			if f.Reason == "port_lost" {
				found[f.Port] = f.Detail
			}
		}
		return found
	}
	await := func(what string, ports ...string) {
		t.Helper()
		ovstest.Eventually(t, what, func() error {
			if got := slices.Sorted(maps.Keys(lost())); !slices.Equal(got, ports) {
				return fmt.Errorf("lost are %v", lost())
			}
			return nil
		})
	}
	h.Await("both are in use", func(s hosttest.Status) bool {
		return len(s.Networks[0].Ports) == 2 && s.Networks[0].Isolation.Isolated
	})
	remembers(h, "vnet0", "inside")
	h.Kill()
	h.OVS.Vsctl("del-br", "red")
	run("ip", "link", "add", "mv0", "link", "vnet0", "type", "macvlan")
	h.Start()
	await("both are told", "inside", "vnet0")
	for port, part := range map[string]string{
		"inside": "ovs-vsctl add-port red inside -- set Interface inside type=internal",
		"vnet0":  "external_ids:vm-id=33333333-3333-4333-8333-333333333333",
	} {
		if !strings.Contains(lost()[port], part) {
			t.Errorf("of %s it says %s", port, lost()[port])
		}
	}
	if text, err := h.Metrics(); err != nil || !strings.Contains(text, `isonet_network_notices{reason="port_lost"} 2`) {
		t.Errorf("%v: %s", err, text)
	}
	run("ip", "link", "delete", "mv0")
	await("the device that is free again is plugged in", "inside")
	h.Await("it is in use", func(s hosttest.Status) bool { return s.Live("red") == 1 })
	if text, err := h.Metrics(); err != nil || !strings.Contains(text, "isonet_ports_replugged_total 1") {
		t.Errorf("%v: %s", err, text)
	}
	h.Must("POST", "/isonet/prune", `{"network":"red"}`)
	await("the other one is forgotten")
	h.Converges("red")
}

// TestTheDatabaseIsPutBackFromACopy plugs in a VM after a copy was made of Open
// vSwitch's database, and puts the copy back as a file and by ovsdb-client: the VM is
// plugged in again, and bridges are the networks' still.
func TestTheDatabaseIsPutBackFromACopy(t *testing.T) {
	t.Parallel()
	for name, restore := range map[string]func(*testing.T, *hosttest.Host, string){
		"as a file": func(t *testing.T, h *hosttest.Host, copied string) {
			h.OVS.StopServer()
			write(t, h.OVS.Server().File(), read(t, copied))
			h.OVS.StartServer()
		},
		"by ovsdb-client": func(t *testing.T, h *hosttest.Host, copied string) {
			cmd := exec.Command("ovsdb-client", "--timeout=60", "restore", h.OVS.Endpoint())
			file, err := os.Open(copied)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close() //nolint:errcheck // it was read only
			cmd.Stdin = file
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, stream := start(t)
			h.Await("the ports are in use", func(s hosttest.Status) bool { return s.Live("red") == 2 })
			copied := filepath.Join(t.TempDir(), "copy")
			out, err := exec.Command("ovsdb-client", "--timeout=60", "backup", h.OVS.Endpoint()).Output()
			if err != nil {
				t.Fatal(err)
			}
			write(t, copied, out)
			h.OVS.Plug(h.OVS.NewVM("vm-c", "10.0.0.3/24"), "red")
			h.Await("the third is in use", func(s hosttest.Status) bool { return s.Live("red") == 3 })
			restore(t, h, copied)
			h.Await("all are in use", func(s hosttest.Status) bool { return s.Live("red") == 3 && !s.Stale })
			stream.Flows(t)
			h.Converges("red")
		})
	}
}

// TestTheMemoryIsDamaged starts isonetd with a file of ports that it cannot read, and
// without one: it knows its bridges still, cuts off nobody, and keeps the file aside.
func TestTheMemoryIsDamaged(t *testing.T) {
	t.Parallel()
	h, stream := start(t)
	remembers(h, "vm-a", "vm-b")
	path := filepath.Join(h.OVS.Dir(), "state", "ports")
	whole := read(t, path)
	for name, text := range map[string][]byte{
		"cut short": whole[:len(whole)/2], "empty": {}, "something else": []byte("hello"), "another format": []byte(strings.Replace(string(whole), "ports 1", "ports 2", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			h := h.For(t)
			h.Kill()
			write(t, path, text)
			h.Start()
			h.Converges("red")
			aside, err := filepath.Glob(path + ".broken-*")
			if err != nil || len(aside) == 0 || !strings.Contains(h.Logged(), "bridges are known by their marks again") {
				t.Errorf("kept aside are %v, %v; the log is\n%s", aside, err, h.Logged())
			}
		})
	}
	h.Kill()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.Converges("red")
	remembers(h, "vm-a", "vm-b")
	h.OVS.Vsctl("--no-wait", "del-br", "red")
	h.Await("the ports are back", func(s hosttest.Status) bool { return s.Live("red") == 2 })
	stream.Flows(t)
}
