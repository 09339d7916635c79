package fleet

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// fabric is the network between the machines of a fleet: a router, to which each has a
// link of its own. It ends with the test.
type fabric struct {
	testing.TB
	router string
	nodes  int
}

// node is a machine: a network namespace with an address in the fabric.
type node struct {
	fabric             *fabric
	namespace, address string
}

func newFabric(t testing.TB) *fabric {
	t.Helper()
	f := &fabric{TB: t, router: ovstest.Namespace(t)}
	f.run("ip", "netns", "exec", f.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	f.nft(`add table ip fabric
add set ip fabric gone { type ipv4_addr; }
add set ip fabric cut { type ipv4_addr . ipv4_addr; }
add chain ip fabric forward { type filter hook forward priority 0; }
add rule ip fabric forward ip saddr @gone drop
add rule ip fabric forward ip daddr @gone drop
add rule ip fabric forward ip saddr . ip daddr @cut drop`)
	return f
}

// add connects another machine.
func (f *fabric) add() node {
	f.Helper()
	f.nodes++
	n := node{f, ovstest.Namespace(f), fmt.Sprintf("10.99.%d.2", f.nodes)}
	device, gateway := fmt.Sprintf("node%d", f.nodes), fmt.Sprintf("10.99.%d.1", f.nodes)
	f.run("ip", "-n", f.router, "link", "add", device, "type", "veth", "peer", "name", "fabric", "netns", n.namespace)
	f.run("ip", "-n", f.router, "address", "add", gateway+"/30", "dev", device)
	f.run("ip", "-n", f.router, "link", "set", device, "up")
	f.run("ip", "-n", n.namespace, "address", "add", n.address+"/30", "dev", "fabric")
	f.run("ip", "-n", n.namespace, "link", "set", "fabric", "up")
	f.run("ip", "-n", n.namespace, "route", "add", "default", "via", gateway)
	return n
}

// isolate drops whatever a machine sends to others, and they to it.
func (f *fabric) isolate(n node) { f.nft("add element ip fabric gone { " + n.address + " }") }

// cut drops what two machines send each other.
func (f *fabric) cut(a, b node) {
	f.nft(fmt.Sprintf("add element ip fabric cut { %s . %s, %s . %s }", a.address, b.address, b.address, a.address))
}

// heal ends all that isolate and cut began.
func (f *fabric) heal() { f.nft("flush set ip fabric gone\nflush set ip fabric cut") }

func (f *fabric) nft(commands string) {
	cmd := exec.CommandContext(f.Context(), "ip", "netns", "exec", f.router, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(commands)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Fatalf("nft: %v\n%s\n%s", err, commands, out)
	}
}

func (f *fabric) run(args ...string) {
	f.Helper()
	if out, err := exec.CommandContext(f.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		f.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
