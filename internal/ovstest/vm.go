package ovstest

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// VM is a network namespace that plays a virtual machine: its device eth0 is
// one end of a veth pair, and the other end is in the namespace of vswitchd.
type VM struct {
	t         testing.TB
	namespace string
	// Device is the end in vswitchd's namespace, which can be plugged in.
	Device string
	// Address is the VM's IPv4 address, without the prefix length.
	Address   string
	broadcast string
}

// NewVM makes a VM with an IPv4 address such as "10.0.0.1/24". It ends with the
// test. The instance must be in a network namespace.
func (o *OVS) NewVM(device, address string) *VM {
	o.t.Helper()
	prefix, err := netip.ParsePrefix(address)
	if err != nil || !prefix.Addr().Is4() {
		o.t.Fatalf("%q is no IPv4 address with a prefix length", address)
	}
	vm := &VM{
		t: o.t, namespace: Namespace(o.t),
		Device: device, Address: prefix.Addr().String(), broadcast: broadcastOf(prefix),
	}
	run := func(args ...string) {
		o.t.Helper()
		if out, err := exec.CommandContext(context.Background(), args[0], args[1:]...).CombinedOutput(); err != nil {
			o.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("ip", "-n", o.namespace, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", vm.namespace)
	if Datapath() == Userspace { // nobody fills in the checksums that the kernel leaves to a veth's peer
		run("ip", "netns", "exec", vm.namespace, "ethtool", "-K", "eth0", "tx", "off")
	}
	run("ip", "-n", vm.namespace, "address", "add", address, "dev", "eth0")
	run("ip", "-n", vm.namespace, "link", "set", "eth0", "up")
	// The host's own stack would speak IPv6 to the VM, past the bridge.
	run("ip", "netns", "exec", o.namespace, "sysctl", "-qw", "net.ipv6.conf."+device+".disable_ipv6=1")
	run("ip", "-n", o.namespace, "link", "set", device, "up")
	return vm
}

func broadcastOf(prefix netip.Prefix) string {
	ip := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		ip[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(ip).String()
}

// Plug plugs the VM into a bridge. Further arguments are of ovs-vsctl and come
// after its port exists.
func (o *OVS) Plug(vm *VM, bridge string, more ...string) {
	o.t.Helper()
	o.Vsctl(append([]string{"add-port", bridge, vm.Device}, more...)...)
}

// Command returns a command that runs in the VM.
func (vm *VM) Command(args ...string) *exec.Cmd {
	return exec.CommandContext(context.Background(), "ip", append([]string{"netns", "exec", vm.namespace}, args...)...)
}

// Pings reports whether the VM gets an answer from an address: one of three
// requests, each with a second to come back.
func (vm *VM) Pings(address string) bool {
	return vm.Command("ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", address).Run() == nil
}

// Shout sends a burst of broadcast frames.
func (vm *VM) Shout(frames int) {
	vm.t.Helper()
	// Nobody answers a broadcast, which ping calls a failure.
	_ = vm.Command("ping", "-n", "-q", "-b", "-l", strconv.Itoa(frames), "-c", strconv.Itoa(frames), "-W", "0.1", vm.broadcast).Run()
}

// Received returns how many frames the VM's device has received.
func (vm *VM) Received() int {
	vm.t.Helper()
	out, err := vm.Command("cat", "/sys/class/net/eth0/statistics/rx_packets").Output()
	if err != nil {
		vm.t.Fatalf("read the VM's counters: %v", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		vm.t.Fatalf("read the VM's counters: %v", err)
	}
	return n
}

// OFPort returns the OpenFlow port number of an interface.
func (o *OVS) OFPort(device string) int {
	o.t.Helper()
	var number int
	Eventually(o.t, "an OpenFlow port number for "+device, func() error {
		text := o.Vsctl("get", "Interface", device, "ofport")
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return fmt.Errorf("ofport is %s", text)
		}
		number = n
		return nil
	})
	return number
}

// Go starts f in the VM's network namespace. The channel yields what f returns.
func (vm *VM) Go(f func() error) <-chan error { return GoInside(vm.namespace, f) }
