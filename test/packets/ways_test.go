package packets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/wire"
)

// ways are the ways out, for each line of the table, with a name each.
//
// Not every kernel has every kind of device, and no test can make a physical
// NIC: where a device stands in for them, it is one that frames leave by in the
// same way and that isonet treats in the same way. That the kernel's word on
// each kind is understood is shown by TestEveryKind (package device), and that
// each kind is judged as the table says by TestPorts (model/isolation).
func ways() map[isolation.Reason]map[string]way {
	one := func(w way) map[string]way { return map[string]way{"frames": w} }
	return map[isolation.Reason]map[string]way{
		isolation.PatchPort:   one(way{open: patch}),
		isolation.TunnelPort:  tunnels(),
		isolation.DPDKPort:    one(way{open: dpdk}),
		isolation.UnknownType: one(way{open: unknownType, refused: inKernel()}), // there are no other types there
		isolation.HostInternalPort: {
			"frames":                       {open: internalPort},
			"its name used and given back": {open: hiddenInternalPort, userspace: true},
			"fake bridge":                  {open: fakeBridge},
		},
		isolation.PhysicalNIC:    one(way{open: uplink, found: isolation.VethInHost}),
		isolation.LoopbackDevice: one(way{open: loopback, refused: true}),
		isolation.Bond:           one(way{open: uplink, found: isolation.VethInHost}),
		isolation.Team:           one(way{open: uplink, found: isolation.VethInHost}),
		isolation.VLANDevice:     one(way{open: macvlan, found: isolation.Macvlan}),
		isolation.Macvlan:        one(way{open: macvlan}),
		isolation.LinuxBridge:    one(way{open: linuxBridge}),
		isolation.KernelTunnel:   one(way{open: kernelTunnel}),
		isolation.VethInHost: {
			"frames":         {open: uplink},
			"by its altname": {open: uplinkByAltname, userspace: true},
			"renamed":        {open: renamedUplink, send: fromBeyond, userspace: true},
		},
		isolation.L3Tun: one(way{open: tun}),
		isolation.StackedDevice: {
			"frames":               {open: enslaved, refused: inKernel()}, // which takes frames where a Linux bridge does
			"in another namespace": {open: stackedElsewhere},
		},
		isolation.UnknownDevice: one(way{open: unknownDevice}),
		isolation.Controller:    one(way{open: controller}),
		isolation.Mirror:        one(way{open: mirror, send: unicast}),
		isolation.NetFlow:       one(way{open: netflow, send: ended}),
		isolation.SFlow:         one(way{open: sflow}),
		isolation.IPFIX:         one(way{open: ipfix}),
		isolation.FlowSampling:  one(way{open: sampling}),
		isolation.AutoAttach:    one(way{open: autoAttach, beat: lldpAgain, when: undisturbed}),
		isolation.STP:           one(way{open: spanningTree("stp_enable"), beat: twice}),
		isolation.RSTP:          one(way{open: spanningTree("rstp_enable"), beat: twice}),
		isolation.ForwardBPDU:   one(way{open: forwardBPDU, send: bpdu}),
		isolation.LocalPort: {
			"frames":           {open: openLocalPort},
			"second interface": {open: secondInterface, send: vlan4095},
		},
		isolation.OwnDevice:  one(way{open: ownDeviceElsewhere}),
		isolation.Protocols:  one(way{open: otherProtocol, send: forged, settings: locked()}),
		isolation.FlowTables: one(way{open: limitedTable, send: forged, settings: locked()}),
		isolation.LACP: {
			"active":  {open: lacp("active"), beat: twice},
			"passive": {open: lacp("passive"), send: speakLACP},
		},
		isolation.LLDP: one(way{open: lldp, beat: lldpAgain, when: undisturbed}),
		isolation.BFD: {
			"frames":                {open: bfd("true"), beat: twice},
			"in any other spelling": {open: bfd("tRUE"), beat: twice},
		},
		isolation.Restoring:    one(way{alone: restoring, when: single}),
		isolation.CFM:          one(way{open: cfm, beat: twice}),
		isolation.LocalUp:      one(way{open: localUp}),
		isolation.OtherDevice:  one(way{open: otherDevice, userspace: true}),
		isolation.UnseenDevice: one(way{alone: moved}),
		isolation.UnseenHost:   one(way{alone: blind, when: single}),
		isolation.PortAddress: one(byDatapath(
			way{open: portAddress, send: askHost},
			way{open: portOfHost, send: hostSpeaks},
		)),
		isolation.InBand:       one(way{open: inBand, send: toController, settings: locked()}),
		isolation.FailMode:     one(way{open: standalone, send: forged, settings: locked()}),
		isolation.ForeignFlows: one(way{open: foreignFlows, send: forged, settings: locked()}),
		isolation.Manager:      one(way{open: manager, send: toController, settings: locked()}),
		isolation.TunnelNearby: one(byDatapath(
			way{open: tunnelNearby, send: encapsulatedTo(underlayDevice)},
			// Tunnels are the host's there: only by its stack a VM gets at them.
			way{open: tunnelNearby, send: encapsulatedTo(ownDevice), found: isolation.LocalUp},
		)),
		isolation.NoMAC: one(way{open: noMAC, settings: locked()}),
	}
}

// inKernel says that the tests run on the kernel's datapath.
func inKernel() bool { return ovstest.Datapath() == ovstest.Kernel }

// byDatapath returns that of two ways that there is on the datapath of the tests.
func byDatapath(userspace, kernel way) way {
	if inKernel() {
		return kernel
	}
	return userspace
}

// cable makes a veth pair with both ends in the host: frames that enter the
// first one arrive at the probe. It is what a NIC with a network behind it is.
func cable(s *side) (string, *ovstest.Probe) {
	s.Helper()
	near, far := s.name("up"), s.name("far")
	s.device(near, "type veth peer name "+far)
	s.up(far)
	return near, ovstest.NewProbe(s, thisHost(), far)
}

func uplink(s *side) exit {
	s.Helper()
	near, far := cable(s)
	s.ovs.Vsctl("add-port", s.bridge, near)
	return at(s, far)
}

func uplinkByAltname(s *side) exit {
	s.Helper()
	near, far := cable(s)
	other := "alt" + near // Open vSwitch 3.1 finds no long one
	s.ip("link property add dev " + near + " altname " + other)
	s.ovs.Vsctl("add-port", s.bridge, other)
	return at(s, far)
}

// renamedUplink lets another device, which is a VM's, have the name of one that
// was plugged in.
func renamedUplink(s *side) exit {
	s.Helper()
	near, far := cable(s)
	s.ovs.Vsctl("add-port", s.bridge, near)
	s.rename(near, s.name("was"))
	s.ip("link add " + near + " type veth peer name " + s.name("eth") + " netns " + s.a.Namespace())
	s.Cleanup(func() { s.ip("link delete " + near) })
	s.up(near)
	s.beyond = far // Open vSwitch sends to the other one, and receives from this one
	return at(s, s.atB)
}

func fromBeyond(s *side) {
	s.Helper()
	s.beyond.Broadcast(s.mark(), 10)
}

// rename renames a device that Open vSwitch may be about to open, and cleans up
// under its new name.
func (s *side) rename(before, after string) {
	s.Helper()
	s.applied()
	s.ip("link set " + before + " down")
	s.ip("link set " + before + " name " + after)
	s.up(after)
	s.Cleanup(func() {
		s.ip("link set " + after + " down")
		s.ip("link set " + after + " name " + before)
	})
}

// foreign makes a bridge of somebody else, whose own device the frames arrive at.
func foreign(s *side) (string, exit) {
	s.Helper()
	bridge := s.name("their")
	s.ovs.Vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type="+ovstest.Datapath())
	s.Cleanup(func() { s.ovs.Vsctl("del-br", bridge) })
	s.up(bridge)
	return bridge, at(s, ovstest.NewProbe(s, thisHost(), bridge))
}

func patch(s *side) exit {
	s.Helper()
	here, there := s.name("patch"), s.name("patch")
	theirs, out := foreign(s)
	s.ovs.Vsctl("add-port", theirs, there, "--", "set", "interface", there, "type=patch", "options:peer="+here,
		"--", "add-port", s.bridge, here, "--", "set", "interface", here, "type=patch", "options:peer="+there)
	return out
}

func tunnels() map[string]way {
	all := map[string]way{}
	for kind, options := range map[string][]string{
		"vxlan": nil, "geneve": nil, "gre": nil, "erspan": {"options:erspan_ver=1", "options:erspan_idx=1"},
	} {
		all[kind] = way{open: func(s *side) exit {
			s.Helper()
			name := s.name("tun")
			s.ovs.Vsctl(append([]string{
				"add-port", s.bridge, name, "--", "set", "interface", name, "type=" + kind,
				"options:remote_ip=" + collectorAddress, fmt.Sprintf("options:key=%d", s.names.Add(1)%1000), // ERSPAN has ten bits for it
			}, options...)...)
			return collected(s, s.mark())
		}}
	}
	return all
}

// dpdk needs a NIC that the test would have to take from the machine. A NIC of
// the kernel stands in for it without isonet.
func dpdk(s *side) exit {
	s.Helper()
	if s.id == "" {
		return uplink(s)
	}
	near, far := cable(s)
	s.ovs.Vsctl("add-port", s.bridge, near, "--", "set", "interface", near, "type=dpdk", "options:dpdk-devargs=0000:00:00.0")
	return at(s, far)
}

// unknownType is a port of Open vSwitch's own tests: its frames go to a file.
func unknownType(s *side) exit {
	s.Helper()
	name := s.name("dummy")
	file := filepath.Join(s.ovs.Dir(), name+".pcap")
	s.ovs.Vsctl("add-port", s.bridge, name, "--", "set", "interface", name, "type=dummy", "options:tx_pcap="+file)
	return exit{count: func() int {
		data, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // it is made when the port is
			s.Fatal(err)
		}
		return bytes.Count(data, []byte(s.mark()))
	}}
}

func internalPort(s *side) exit {
	s.Helper()
	name := s.name("int")
	s.ovs.Vsctl("add-port", s.bridge, name, "--", "set", "interface", name, "type=internal")
	s.up(name)
	return at(s, ovstest.NewProbe(s, thisHost(), name))
}

// hiddenInternalPort is an internal port that nobody finds by its name. Open
// vSwitch, which sends only to what is up, has seen another device of that name
// come and go.
func hiddenInternalPort(s *side) exit {
	s.Helper()
	name, other := s.name("int"), s.name("hid")
	s.ovs.Vsctl("add-port", s.bridge, name, "--", "set", "interface", name, "type=internal")
	s.ip("link set " + name + " name " + other)
	s.ip("link add " + name + " type ifb")
	s.applied()
	s.ip("link delete " + name)
	s.applied()
	s.up(other)
	return at(s, ovstest.NewProbe(s, thisHost(), other))
}

// fakeBridge is a bridge of ovs-vsctl's on top of another one: its device is the
// host's.
func fakeBridge(s *side) exit {
	s.Helper()
	name := s.name("fake")
	s.ovs.Vsctl("add-br", name, s.bridge, "0")
	s.up(name)
	return at(s, ovstest.NewProbe(s, thisHost(), name))
}

// otherDevice is a VM's device that got the name of another VM's, which Open
// vSwitch opened.
func otherDevice(s *side) exit {
	s.Helper()
	first, second := s.ovs.NewVM(s.name("vm"), "10.77.0.3/24"), s.ovs.NewVM(s.name("vm"), "10.77.0.4/24")
	s.ovs.Plug(first, s.bridge)
	s.rename(first.Device, s.name("was"))
	s.rename(second.Device, first.Device)
	return at(s, second.Probe())
}

// loopback is refused by Open vSwitch 3.1, which takes Ethernet devices only.
// isonet removes the port all the same.
func loopback(s *side) exit {
	s.Helper()
	s.ovs.Vsctl("--may-exist", "add-port", s.bridge, "lo")
	if s.id == "" {
		if text := s.ovs.Vsctl("get", "interface", "lo", "ofport"); text != "-1" {
			s.Errorf("Open vSwitch took the loopback device as port %s: show that frames leave by it", text)
		}
		s.ovs.Vsctl("del-port", "lo") // a device is on one bridge only
	}
	return at(s, ovstest.NewProbe(s, thisHost(), "lo"))
}

func macvlan(s *side) exit {
	s.Helper()
	near, far := cable(s)
	name := s.name("macvlan")
	s.device(name, "link "+near+" type macvlan mode bridge")
	s.ovs.Vsctl("add-port", s.bridge, name)
	return at(s, far)
}

func linuxBridge(s *side) exit {
	s.Helper()
	near, far := cable(s)
	name := s.name("br")
	s.device(name, "type bridge")
	s.ip("link set " + near + " master " + name)
	s.ovs.Vsctl("add-port", s.bridge, name)
	return at(s, far)
}

func kernelTunnel(s *side) exit {
	s.Helper()
	name := s.name("vxlan")
	s.device(name, fmt.Sprintf("type vxlan id %d remote %s dstport 4789", s.names.Add(1), collectorAddress))
	s.ovs.Vsctl("add-port", s.bridge, name)
	return collected(s, s.mark())
}

// tun is the device of a program on the host that takes whole packets, such as a
// VPN.
func tun(s *side) exit {
	s.Helper()
	device := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: s.name("tun")}, Mode: netlink.TUNTAP_MODE_TUN,
		NonPersist: true, Queues: 1, Flags: netlink.TUNTAP_NO_PI,
	}
	if err := netlink.LinkAdd(device); err != nil {
		s.Fatalf("make a tun device: %v", err)
	}
	s.Cleanup(func() { _ = device.Fds[0].Close() }) // it ends the device
	s.up(device.Name)
	s.ovs.Vsctl("add-port", s.bridge, device.Name)
	return at(s, ovstest.NewProbe(s, thisHost(), device.Name))
}

// enslaved is a device that belongs to a Linux bridge of the host too.
func enslaved(s *side) exit {
	s.Helper()
	bridge := s.name("br")
	s.device(bridge, "type bridge")
	vm := s.ovs.NewVM(s.name("vm"), "10.77.0.3/24")
	s.ip("link set " + vm.Device + " master " + bridge)
	s.ovs.Plug(vm, s.bridge)
	return at(s, vm.Probe())
}

// stackedElsewhere is a device that a container has another one on: a macvlan or,
// where that and the kernel's datapath exclude each other, a VLAN.
func stackedElsewhere(s *side) exit {
	s.Helper()
	vm, container := s.ovs.NewVM(s.name("vm"), "10.77.0.3/24"), ovstest.Namespace(s)
	name, kind := s.name("upper"), "macvlan mode bridge"
	if inKernel() {
		kind = "vlan id 7"
	}
	s.ip("link add link " + vm.Device + " name " + name + " type " + kind)
	s.ip("link set " + name + " netns " + container)
	s.ip("-n " + container + " link set " + name + " up")
	s.ovs.Plug(vm, s.bridge)
	return at(s, vm.Probe())
}

func unknownDevice(s *side) exit {
	s.Helper()
	name := s.name("ifb")
	s.device(name, "type ifb")
	s.ovs.Vsctl("add-port", s.bridge, name)
	return at(s, ovstest.NewProbe(s, thisHost(), name))
}

// controller listens outside and speaks as much OpenFlow 1.0 as it needs to be
// sent frames.
func controller(s *side) exit {
	s.Helper()
	var listener net.Listener
	ovstest.Inside(s, s.collector.Namespace(), func() (err error) {
		listener, err = net.Listen("tcp", collectorAddress+":0")
		return err
	})
	var open atomic.Int32 // connections
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = connection.Write([]byte{1, 0, 0, 8, 0, 0, 0, 1}) // OFPT_HELLO; the frames tell whether it came
			s.Cleanup(func() { _ = connection.Close() })
			open.Add(1)
			go func() {
				_, _ = io.Copy(io.Discard, connection)
				open.Add(-1)
			}()
		}
	}()
	s.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	s.ovs.Vsctl("set-controller", s.bridge, "tcp:"+listener.Addr().String())
	if s.id == "" {
		// A flow for frames that came before the connection would go on dropping.
		ovstest.Eventually(s, "Open vSwitch is connected to the controller", func() error {
			if text := s.ovs.Vsctl("--bare", "--columns=is_connected", "find", "controller", "is_connected=true"); text == "" {
				return errors.New("it is not")
			}
			return nil
		})
	}
	out := collected(s, s.mark())
	return exit{count: out.count, knock: func() {
		// What Open vSwitch wrote before it closed a connection may still be under
		// way, or be sent again, until the connection has ended here too.
		ovstest.Eventually(s, "no connection to the controller is open", func() error {
			if n := open.Load(); n > 0 {
				return fmt.Errorf("%d are", n)
			}
			return nil
		})
		out.knock()
	}}
}

// mirror copies to a third VM what a sends to b.
func mirror(s *side) exit {
	s.Helper()
	third, probe := s.plugVM(3)
	s.ovs.Vsctl("--", "--id=@p", "get", "port", third.Device,
		"--", "--id=@m", "create", "mirror", "name=m", "select_all=true", "output_port=@p",
		"--", "set", "bridge", s.bridge, "mirrors=@m")
	s.ovs.Appctl("revalidator/purge") // flows that are in use would go uncopied for a while
	probe.Watch("copy", func(frame []byte) bool {
		return bytes.HasPrefix(frame, s.atB.MAC) && bytes.Contains(frame, []byte(s.mark()+">"))
	})
	return watched(s, probe, "copy")
}

func unicast(s *side) {
	s.Helper()
	s.atA.SendTo(s.atB.MAC, s.mark(), 10)
}

// collects is an exit at the collector, for datagrams to a port with something
// in them.
func collects(s *side, port uint16, something []byte) exit {
	what := fmt.Sprintf("port %d of %s", port, s.bridge)
	s.outside.Watch(what, func(frame []byte) bool {
		const destination = 14 + 20 + 2
		return len(frame) > destination+2 && frame[23] == unix.IPPROTO_UDP &&
			binary.BigEndian.Uint16(frame[destination:]) == port && bytes.Contains(frame[destination:], something)
	})
	return collected(s, what)
}

// collected is an exit at the collector. What Open vSwitch or the host sends there
// goes through the host's network stack, out of the underlay's own device and
// through its bridge: so does the knock, which comes after all of it.
func collected(s *side, what string) exit {
	return exit{
		count: func() int { return s.outside.Count(what) },
		knock: func() {
			s.Helper()
			mark := s.name("knock")
			const discard = ":9"
			host, err := net.Dial("udp", collectorAddress+discard)
			if err != nil {
				s.Fatal(err)
			}
			defer func() { _ = host.Close() }() // nothing is held back
			ovstest.Eventually(s, "a datagram of the host at the collector", func() error {
				if s.outside.Count(mark) > 0 {
					return nil
				}
				// Nobody listens, and the host is told so.
				if _, err := host.Write(s.outside.Frame(s.outside.MAC, mark)); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
					return err
				}
				return errors.New("it has not come")
			})
		},
	}
}

// port returns a port of the collector that nothing else uses.
func (s *side) port() uint16 { return uint16(10000 + s.names.Add(1)) }

// export makes a row of a flow export to the collector.
func export(s *side, table string, port uint16, options ...string) {
	s.Helper()
	args := append([]string{"--", "--id=@x", "create", table, fmt.Sprintf(`targets="%s:%d"`, collectorAddress, port)}, options...)
	s.ovs.Vsctl(append(args, "--", "set", "bridge", s.bridge, table+"=@x")...)
}

func netflow(s *side) exit {
	s.Helper()
	port := s.port()
	export(s, "netflow", port)
	return collects(s, port, ovstest.FrameSource())
}

// ended sends frames whose flow ends at once: NetFlow tells of it then.
func ended(s *side) {
	s.Helper()
	s.atA.Broadcast(s.mark(), 10)
	s.barrier()
	s.ovs.Appctl("revalidator/purge")
}

func sflow(s *side) exit {
	s.Helper()
	export(s, "sflow", s.port(), "sampling=1", "header=128", "agent="+underlay)
	return collected(s, s.mark()) // the frames themselves
}

func ipfix(s *side) exit {
	s.Helper()
	port := s.port()
	export(s, "ipfix", port, "sampling=1")
	return collects(s, port, s.atA.MAC)
}

func sampling(s *side) exit {
	s.Helper()
	port, set := s.port(), s.names.Add(1)
	s.ovs.Vsctl("--", "--id=@b", "get", "bridge", s.bridge,
		"--", "--id=@i", "create", "ipfix", fmt.Sprintf(`targets="%s:%d"`, collectorAddress, port),
		"--", "create", "flow_sample_collector_set", fmt.Sprintf("id=%d", set), "bridge=@b", "ipfix=@i")
	flow := fmt.Sprintf("priority=9,actions=sample(probability=65535,collector_set_id=%d,obs_domain_id=1,obs_point_id=1),NORMAL", set)
	if out, err := s.ovs.OfctlCommand("add-flow", s.bridge, flow).CombinedOutput(); err != nil {
		s.Fatalf("ovs-ofctl: %v\n%s", err, out)
	}
	return collects(s, port, s.atA.MAC)
}

// frames of what kind Open vSwitch sends by itself.
const (
	etherTypeLLDP = 0x88cc
	etherTypeCFM  = 0x8902
	portBFD       = 3784
)

// hears is an exit at b, for frames of an EtherType.
func hears(s *side, etherType uint16, something []byte) exit {
	what := fmt.Sprintf("EtherType %#x", etherType)
	s.atB.Watch(what, func(frame []byte) bool {
		return len(frame) > 14 && binary.BigEndian.Uint16(frame[12:]) == etherType && bytes.Contains(frame, something)
	})
	return watched(s, s.atB, what)
}

func lldp(s *side) exit {
	s.Helper()
	out := hears(s, etherTypeLLDP, nil)
	s.ovs.Vsctl("set", "interface", s.b.Device, "lldp:enable=true")
	return out
}

// autoAttach adds what it tells to the frames of LLDP.
func autoAttach(s *side) exit {
	s.Helper()
	system := s.name("system")
	out := hears(s, etherTypeLLDP, []byte(system))
	s.ovs.Vsctl("--", "--id=@a", "create", "autoattach", "system_name="+system, "--", "set", "bridge", s.bridge, "auto_attach=@a",
		"--", "set", "interface", s.b.Device, "lldp:enable=true")
	return out
}

// lldpAgain has LLDP begin anew on the bridge without isonet, so that its next
// frame is due after one on the network would have been.
func lldpAgain(plain *side, out exit) {
	plain.Helper()
	before := out.count()
	plain.ovs.Vsctl("clear", "interface", plain.b.Device, "lldp")
	plain.ovs.Vsctl("set", "interface", plain.b.Device, "lldp:enable=true")
	more(plain, out, before, 1)
}

// twice waits for two more frames, so that one was due on the other bridge too.
func twice(plain *side, out exit) {
	plain.Helper()
	more(plain, out, out.count(), 2)
}

func more(s *side, out exit, before, frames int) {
	s.Helper()
	ovstest.Eventually(s, "Open vSwitch sends frames of its own", func() error {
		if n := out.count() - before; n < frames {
			return fmt.Errorf("%d frames", n)
		}
		return nil
	})
}

func bridgeGroup() net.HardwareAddr { return net.HardwareAddr{0x01, 0x80, 0xc2, 0, 0, 0} }

func spanningTree(column string) func(*side) exit {
	return func(s *side) exit {
		s.Helper()
		s.atB.Watch("BPDU", func(frame []byte) bool { return bytes.HasPrefix(frame, bridgeGroup()) })
		s.ovs.Vsctl("set", "bridge", s.bridge, column+"=true")
		return watched(s, s.atB, "BPDU")
	}
}

func forwardBPDU(s *side) exit {
	s.Helper()
	s.ovs.Vsctl("set", "bridge", s.bridge, "other_config:forward-bpdu=true")
	return at(s, s.atB)
}

func bpdu(s *side) {
	s.Helper()
	s.atA.SendTo(bridgeGroup(), s.mark(), 10)
}

func bfd(on string) func(*side) exit {
	return func(s *side) exit {
		s.Helper()
		s.atB.Watch("BFD", func(frame []byte) bool {
			return len(frame) > 38 && frame[23] == unix.IPPROTO_UDP && binary.BigEndian.Uint16(frame[36:]) == portBFD
		})
		s.ovs.Vsctl("set", "interface", s.b.Device, "bfd:enable="+on, "bfd:min_tx=100")
		return watched(s, s.atB, "BFD")
	}
}

// slowProtocols is where LACP goes (IEEE 802.1AX, annex B).
func slowProtocols() net.HardwareAddr { return net.HardwareAddr{0x01, 0x80, 0xc2, 0, 0, 2} }

func lacp(mode string) func(*side) exit {
	return func(s *side) exit {
		s.Helper()
		s.atB.Watch("LACP", func(frame []byte) bool {
			return bytes.HasPrefix(frame, slowProtocols()) && !bytes.Equal(frame[6:12], s.atB.MAC)
		})
		s.ovs.Vsctl("set", "port", s.b.Device, "lacp="+mode, "other_config:lacp-time=fast")
		return watched(s, s.atB, "LACP")
	}
}

// speakLACP is what b says as the active end of a LAG (IEEE 802.1AX, 6.4.2).
func speakLACP(s *side) {
	s.Helper()
	pdu := make([]byte, 110)
	copy(pdu, []byte{1, 1, 1, 20, 0x80, 0})                  // LACP, version 1, the actor and its priority
	copy(pdu[6:], s.atB.MAC)                                 // its system,
	copy(pdu[12:], []byte{0, 1, 0x80, 0, 0, 1, 0b0000_0111}) // key, port and state: active, fast, may aggregate
	copy(pdu[22:], []byte{2, 20})                            // the partner,
	copy(pdu[42:], []byte{3, 16})                            // the collector
	s.atB.Send(append(ovstest.EthernetHeader(s.atB.MAC, slowProtocols(), unix.ETH_P_SLOW), pdu...))
}

func cfm(s *side) exit {
	s.Helper()
	out := hears(s, etherTypeCFM, nil)
	s.ovs.Vsctl("set", "interface", s.b.Device, "cfm_mpid=1", "other_config:cfm_interval=100")
	return out
}

// local is an exit at the bridge's own device.
func local(s *side) exit {
	s.Helper()
	s.up(s.bridge)
	return at(s, ovstest.NewProbe(s, thisHost(), s.bridge))
}

func openLocalPort(s *side) exit {
	s.Helper()
	out := local(s)
	s.ovs.Vsctl("clear", "port", s.bridge, "vlan_mode", "trunks")
	return out
}

// secondInterface makes the bridge's own port a bond with an uplink.
func secondInterface(s *side) exit {
	s.Helper()
	near, far := cable(s)
	s.ovs.Vsctl("--", "--id=@i", "create", "interface", "name="+near, "--", "add", "port", s.bridge, "interfaces", "@i",
		"--", "set", "port", s.bridge, "bond_mode=active-backup", "other_config:bond-primary="+near)
	return at(s, far)
}

// vlan4095 sends in the VLAN of the bridge's own port.
func vlan4095(s *side) {
	s.Helper()
	frame := s.atA.Frame(everybody(), s.mark())
	frame = slices.Insert(frame, 12, 0x81, 0, 0x0f, 0xff)
	for range 10 {
		s.atA.Send(frame)
	}
}

// ownDeviceElsewhere puts the bridge's own device into a port of another name,
// which carries all VLANs.
func ownDeviceElsewhere(s *side) exit {
	s.Helper()
	return late(s, func(s *side) exit { // its device is made anew
		own := s.ovs.Vsctl("get", "port", s.bridge, "_uuid")
		s.ovs.Vsctl("--", "--id=@i", "get", "interface", s.bridge,
			"--", "--id=@p", "create", "port", "name="+s.name("other"), "interfaces=@i",
			"--", "remove", "bridge", s.bridge, "ports", own, "--", "add", "bridge", s.bridge, "ports", "@p")
		return exit{}
	})
}

func localUp(s *side) exit {
	s.Helper()
	out := local(s)
	s.ip("address replace 203.0.113.1/32 dev " + s.bridge)
	return out
}

// moved is a device that went to another namespace after Open vSwitch had opened
// it. Open vSwitch 3.1 goes on showing the port, has no device of it and sends
// nothing: there is nothing to find but a stale port. One of which Open vSwitch
// had the device although isonetd does not see it, nobody has seen yet.
func moved(w *world) {
	w.Helper()
	s := w.network()
	vm := s.ovs.NewVM(s.name("vm"), "10.77.0.3/24")
	s.ovs.Plug(vm, s.bridge)
	s.ovs.OFPort(vm.Device)
	s.ip("link set " + vm.Device + " netns " + vm.Namespace())
	s.ip("-n " + vm.Namespace() + " link set " + vm.Device + " up")
	s.until("isolated with a stale port", func(n wire.NetworkStatus, _ []wire.Event) bool {
		stale := slices.ContainsFunc(n.Ports, func(p wire.Port) bool { return p.Name == vm.Device && p.Stale })
		return stale && n.Isolation.Isolated
	})
	out := at(s, vm.Probe())
	s.atA.Broadcast(s.mark(), 10)
	s.barrier()
	out.knock()
	if n := out.count(); n != 0 {
		s.Errorf("%d frames left the network", n)
	}
	s.connected()
}

// blind is an isonetd that runs in another namespace than vswitchd. It can keep
// nothing out that it does not see, and it must not call the network isolated.
func blind(w *world) {
	w.Helper()
	other := &world{T: w.T, ovs: ovstest.Start(w, ovstest.InNamespace(ovstest.Namespace(w))), names: w.names, blind: true}
	other.startDaemon()
	s := other.network(`"strict":"false"`) // a strict one admits nothing that is not seen
	s.judged(isolation.UnseenHost)
	if n, _ := s.status(); n.Isolation.Isolated {
		s.Errorf("the network is called isolated: %+v", n.Isolation)
	}
	s.connected()
}

func hostOnPort() [4]byte { return [4]byte{203, 0, 113, 9} }

// portAddress gives the host an address on the port of a. Its answers are what
// must not come.
func portAddress(s *side) exit {
	s.Helper()
	host := hostOnPort()
	s.atA.Watch("answer", func(frame []byte) bool {
		const reply = 2 // ARP: operation
		return len(frame) >= 42 && binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_ARP &&
			binary.BigEndian.Uint16(frame[20:]) == reply && bytes.Equal(frame[28:32], host[:])
	})
	s.ip("address add " + net.IP(host[:]).String() + "/32 dev " + s.a.Device)
	return watched(s, s.atA, "answer")
}

// portOfHost gives the host an address on the port of a too. On the kernel's
// datapath it is not asked for it: it speaks.
func portOfHost(s *side) exit {
	s.Helper()
	host := hostOnPort()
	s.ip("address add " + net.IP(host[:]).String() + "/32 dev " + s.a.Device)
	return at(s, s.atA)
}

// hostSpeaks has the host's stack send datagrams out of the device of a.
func hostSpeaks(s *side) {
	s.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, s.a.Device),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
		})
		return errors.Join(failed, err)
	}}
	host, err := dialer.DialContext(s.Context(), "udp4", "255.255.255.255:9")
	if err != nil {
		s.Fatal(err)
	}
	defer host.Close() //nolint:errcheck // nothing is held back
	for range 10 {
		_, _ = host.Write(s.atA.Frame(everybody(), s.mark())) // the host may be kept from it
	}
}

// askHost asks who has the host's address (ARP, RFC 826).
func askHost(s *side) {
	s.Helper()
	host := hostOnPort()
	request := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	request = append(append(request, s.atA.MAC...), 10, 77, 0, 1)
	request = append(append(request, make([]byte, 6)...), host[:]...)
	s.atA.Send(append(ovstest.EthernetHeader(s.atA.MAC, everybody(), unix.ETH_P_ARP), request...))
}

func everybody() net.HardwareAddr { return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// locked is a strict network whose VMs are held to their addresses: what the
// pipeline drops and Open vSwitch by itself would forward tells them apart.
func locked() []string { return []string{`"strict":"true"`, `"mac_lock":"true"`} }

func stranger() net.HardwareAddr { return net.HardwareAddr{2, 0xbd, 0, 0, 0, 1} }

// forged sends from an address that a does not have.
func forged(s *side) {
	s.Helper()
	frame := s.atA.Frame(everybody(), s.mark())
	copy(frame[6:], stranger())
	for range 10 {
		s.atA.Send(frame)
	}
}

func standalone(s *side) exit {
	s.Helper()
	s.ovs.Vsctl("set", "bridge", s.bridge, "fail_mode=standalone")
	return at(s, s.atB)
}

func foreignFlows(s *side) exit {
	s.Helper()
	if out, err := s.ovs.OfctlCommand("add-flow", s.bridge, "priority=65000,actions=FLOOD").CombinedOutput(); err != nil {
		s.Fatalf("ovs-ofctl: %v\n%s", err, out)
	}
	return at(s, s.atB)
}

// otherProtocol has the bridge speak a version that isonet does not speak, and
// gives it a flow.
func otherProtocol(s *side) exit {
	s.Helper()
	s.ovs.Vsctl("set", "bridge", s.bridge, "protocols=OpenFlow10")
	// Putting the column back ends connections that are just being made.
	ovstest.Eventually(s, "the flow is added", func() error {
		command := s.ovs.OfctlCommand("add-flow", s.bridge, "priority=65000,actions=FLOOD")
		command.Args[1] = "--protocols=OpenFlow10"
		out, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("ovs-ofctl: %w\n%s", err, out)
		}
		return nil
	})
	if s.id != "" {
		s.judged(isolation.ForeignFlows) // now isonet can see them
	}
	return at(s, s.atB)
}

// limitedTable makes the flow that would drop a stranger's frames one too many.
func limitedTable(s *side) exit {
	s.Helper()
	s.ovs.Vsctl("--", "--id=@t", "create", "flow_table", "flow_limit=1", "--", "set", "bridge", s.bridge, "flow_tables:0=@t")
	if err := s.ovs.OfctlCommand("add-flow", s.bridge, "priority=65000,dl_src="+stranger().String()+",actions=drop").Run(); err == nil && s.id == "" {
		s.Error("Open vSwitch took the flow")
	}
	return at(s, s.atB)
}

// restoring is a setting that opens nothing, and that is told of because frames
// stop at Open vSwitch's next start.
func restoring(w *world) {
	w.Helper()
	s := w.network()
	w.ovs.Vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=True")
	defer w.ovs.Vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
	s.judged(isolation.Restoring)
	s.connected()
}

// controllerPort is where OpenFlow controllers listen. Nobody does here.
const controllerPort = 6653

// inBand lets frames to a controller pass although the bridge has no flows.
func inBand(s *side) exit {
	s.Helper()
	args := []string{"set-controller", s.bridge, fmt.Sprintf("tcp:%s:%d", collectorAddress, controllerPort)}
	if s.id == "" {
		args = append(args, "--", "set", "bridge", s.bridge, "fail_mode=secure")
	}
	s.ovs.Vsctl(append(args, "--", "remove", "bridge", s.bridge, "other_config", "disable-in-band")...)
	return at(s, s.atB)
}

// manager does the same on all bridges with in-band control.
func manager(s *side) exit {
	s.Helper()
	s.ovs.Vsctl("set-manager", fmt.Sprintf("tcp:%s:%d", collectorAddress, controllerPort))
	if s.id == "" {
		s.ovs.Vsctl("set", "bridge", s.bridge, "fail_mode=secure")
		s.Cleanup(func() { s.ovs.Vsctl("del-manager") })
	}
	return at(s, s.atB)
}

// toController sends what in-band control lets pass, from an address that a does
// not have.
func toController(s *side) {
	s.Helper()
	segment := make([]byte, 20, 64) // RFC 9293, section 3.1
	binary.BigEndian.PutUint16(segment, controllerPort+1)
	binary.BigEndian.PutUint16(segment[2:], controllerPort)
	segment[12] = 5 << 4
	marked := s.atA.Frame(everybody(), s.mark())
	segment = append(segment, marked[14+20+8:]...)
	packet := ovstest.IPv4([4]byte{10, 77, 0, 1}, [4]byte{192, 0, 2, 2}, unix.IPPROTO_TCP, segment)
	for range 10 {
		s.atA.Send(append(ovstest.EthernetHeader(stranger(), everybody(), unix.ETH_P_IP), packet...))
	}
}

// tunnelNearby is a tunnel on another bridge. With an address on a port of its
// own bridge a VM can send into it.
func tunnelNearby(s *side) exit {
	s.Helper()
	theirs, out := foreign(s)
	name := s.name("tun")
	s.ovs.Vsctl("add-port", theirs, name, "--", "set", "interface", name, "type=vxlan",
		"options:remote_ip="+collectorAddress, fmt.Sprintf("options:key=%d", s.key()))
	s.up(s.bridge)
	s.ip("address replace 203.0.113.1/32 dev " + s.bridge)
	return out
}

// key returns a number of a side's own.
func (s *side) key() int {
	var n int
	if _, err := fmt.Sscanf(strings.TrimLeft(s.bridge, "abcdefghijklmnopqrstuvwxyz"), "%d", &n); err != nil {
		s.Fatalf("%s: %v", s.bridge, err)
	}
	return n
}

func underlayDevice(*side) string { return underlay }
func ownDevice(s *side) string    { return s.bridge }

// encapsulatedTo sends to a device of the host what looks as if it came from the
// other end of the tunnel (VXLAN, RFC 7348).
func encapsulatedTo(device func(*side) string) func(*side) {
	return func(s *side) {
		s.Helper()
		to, err := net.InterfaceByName(device(s))
		if err != nil {
			s.Fatal(err)
		}
		encapsulated(s, to.HardwareAddr)
	}
}

func encapsulated(s *side, to net.HardwareAddr) {
	s.Helper()
	header := make([]byte, 8, 128)
	header[0] = 1 << 3 // the VNI is valid
	binary.BigEndian.PutUint32(header[4:], uint32(s.key())<<8)
	const vxlan = 4789
	packet := ovstest.UDP([4]byte{192, 0, 2, 2}, [4]byte{192, 0, 2, 1}, vxlan, append(header, s.atA.Frame(everybody(), s.mark())...))
	for range 10 {
		s.atA.Send(append(ovstest.EthernetHeader(s.atA.MAC, to, unix.ETH_P_IP), packet...))
	}
}

// noMAC is a VM that nobody told the address of.
func noMAC(s *side) exit {
	s.Helper()
	vm := s.ovs.NewVM(s.name("vm"), "10.77.0.3/24")
	s.ovs.Plug(vm, s.bridge)
	return at(s, vm.Probe())
}
