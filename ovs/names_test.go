package ovs_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// Whatever a network is called, the kernel and Open vSwitch make its bridge.
func TestABridgeForEveryName(t *testing.T) {
	names := strings.Fields(`default all lo my_system ovs-system ovs-netdev ovs-dummy ovs-lab genev_sys genev_sys_6081 gre_sys gre_sysx gre64_sys
		vxlan_sys_4789 lisp_sys_1 stt_sys_1 erspan_sys ip6erspan_sys ip6gre_sys gtpu_sys_1 udp_sys_1 srv6_sys bareudp_sys_1
		LOCAL local in_port IN_PORT normal NORMAL flood controller none any max table unset drop 0 1 65534 _ __ - -x --help -1
		Default ALL LO x-_ system netdev internal patch tunl0 gre0 gretap0 erspan0 ip_vti0 sit0 ip6tnl0 ip6gre0 dummy0 ifb0 teql0
		dev up conf interface neigh bridge port true false null type group master eth0 vnet0 tap0 br0 fifteen-chars-x sixteen-chars-xx größe`)
	// The same names each time: a failure is one of the change that is tested.
	random := rand.New(rand.NewPCG(1, 0)) //nolint:gosec // a sequence that can be repeated
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	for range 100 {
		name := make([]byte, 3+random.IntN(13))
		for i := range name {
			name[i] = letters[random.IntN(len(letters))]
		}
		names = append(names, string(name))
	}
	private, sw, _ := startWith(t, ovstest.Datapath(), ovstest.InNamespace(ovstest.Namespace(t)))
	var want plan.Want
	for _, name := range names {
		n := network(name, 1400)
		if err := n.Validate(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		want.Networks = append(want.Networks, n)
	}
	realise(t, sw, want)
	if got := strings.Fields(private.Vsctl("--bare", "--columns=name", "list", "Bridge")); len(got) != len(names) {
		t.Errorf("%d bridges for %d names", len(got), len(names))
	}
}

// A port of somebody else that has the name keeps the network away, and no other.
func TestTheNameOfAPortIsTaken(t *testing.T) {
	private, sw, _ := start(t)
	private.Vsctl("add-br", "theirs", "--", "set", "Bridge", "theirs", "datapath_type="+ovstest.Datapath(), "--", "add-port", "theirs", "red",
		"--", "add-bond", "theirs", "pair", "blue", "green")
	waitFor(t, sw, "the ports are seen", func(a *plan.Actual) bool { return len(a.Bridges["theirs"].Endpoints()) == 2 })
	other := plan.Want{Networks: []model.Network{network("other", 0)}}
	for _, name := range []string{"red", "blue", "pair"} {
		want := plan.Want{Networks: []model.Network{network(name, 0), other.Networks[0]}}
		actual, _ := sw.Actual()
		p := plan.Diff(want, actual)
		if len(p.Conflicts) != 1 || !strings.Contains(p.Conflicts[0].Reason, "the bridge 'theirs' has a port") {
			t.Errorf("%s: conflicts %+v", name, p.Conflicts)
		}
		if _, err := sw.Apply(t.Context(), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		waitFor(t, sw, "the other network", func(a *plan.Actual) bool { return plan.Diff(other, a).Empty() })
	}
}

// Somebody moves a bridge's own port, or its device, to a bridge of his own. The
// bridge gets it back, and other repairs do not wait for that.
func TestTheLocalPortIsTakenBack(t *testing.T) {
	for name, move := range map[string][]string{
		"port": {"--", "remove", "Bridge", "red", "ports", "PORT", "--", "add", "Bridge", "theirs", "ports", "PORT"},
		"device": {
			"--", "remove", "Bridge", "red", "ports", "PORT",
			"--", "--id=@i", "get", "Interface", "red", "--", "--id=@p", "create", "Port", "name=other", "interfaces=@i", "--", "add", "Bridge", "theirs", "ports", "@p",
		},
	} {
		t.Run(name, func(t *testing.T) {
			private, sw, _ := start(t)
			private.Vsctl("add-br", "theirs", "--", "set", "Bridge", "theirs", "datapath_type="+ovstest.Datapath())
			want := plan.Want{Networks: []model.Network{network("red", 0), network("blue", 0)}}
			realise(t, sw, want)
			port := private.Vsctl("get", "Port", "red", "_uuid")
			for i := range move {
				move[i] = strings.ReplaceAll(move[i], "PORT", port)
			}
			private.Vsctl(append([]string{"--", "set", "Bridge", "blue", "stp_enable=true"}, move...)...)
			waitFor(t, sw, "the port is gone", func(a *plan.Actual) bool {
				_, there := a.Bridges["red"].Local()
				return !there && a.Bridges["blue"].STP
			})
			realise(t, sw, want)
			if got := private.Vsctl("list-ports", "theirs"); got != "" {
				t.Errorf("the other bridge has %s", got)
			}
			if got := private.Vsctl("get", "Port", "red", "trunks"); got != "[4095]" {
				t.Errorf("trunks are %s", got)
			}
		})
	}
}
