package ovs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	flowtext "github.com/digitalocean/go-openvswitch/ovs"
	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
)

// flowsOf waits until what is known of a bridge's flows is as it must be.
func flowsOf(t *testing.T, sw *ovs.Switch, bridge, what string, is func(plan.Flows) bool) plan.Flows {
	t.Helper()
	var state plan.Flows
	ovstest.Eventually(t, what, func() error {
		state = sw.Flows()[bridge]
		if !is(state) {
			return fmt.Errorf("flows %+v", state)
		}
		return nil
	})
	return state
}

// TestOrdinaryFlowsAreReported changes an ordinary bridge and leaves it so.
func TestOrdinaryFlowsAreReported(t *testing.T) {
	private, sw, _ := start(t)
	private.Vsctl("add-br", "red", "--", "set", "Bridge", "red", "datapath_type=netdev")
	sw.Forward(plan.Forwarding{Bridge: "red", Report: true}, plan.Forwarding{Bridge: "nosuch", Report: true})
	flowsOf(t, sw, "red", "a new bridge is ordinary", func(f plan.Flows) bool { return f.Known && f.InPlace })
	for _, c := range []struct {
		command, argument, says string
	}{
		{"add-flow", "table=3,priority=0,actions=NORMAL", "make or that were changed: 1 (look with 'ovs-ofctl dump-flows red table=3')"},
		{"add-flow", "cookie=0x1,table=4,priority=7,actions=NORMAL", "make or that were changed: 2"},
		{"del-flows", "", "removed: 1"},
		{"add-flow", "priority=0,actions=FLOOD", "changed: 1"},
		{"add-flow", "priority=0,actions=NORMAL", ""},
		{"mod-flows", "priority=0,actions=NORMAL,LOCAL", "changed: 1"},
		{"mod-flows", "priority=0,actions=NORMAL", ""},
		{"add-flow", "priority=0,hard_timeout=65535,actions=NORMAL", "changed: 1"},
		{"add-flow", "priority=0,actions=NORMAL", ""},
		{"add-group", "group_id=1,type=all,bucket=output:1", "groups"},
		{"del-groups", "", ""},
		{"add-meter", "meter=1,pktps,bands=type=drop,rate=1", "meters that isonet did not make: [1]"},
		{"del-meters", "", ""},
	} {
		args := strings.Fields(c.argument)
		if out, err := private.OfctlCommand(c.command, "red", args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", c.command, c.argument, err, out)
		}
		flowsOf(t, sw, "red", fmt.Sprintf("after %s %s it says %q", c.command, c.argument, c.says), func(f plan.Flows) bool {
			return f.Known && f.InPlace == (c.says == "") && strings.Contains(f.Foreign, c.says) && (f.Foreign == "") == (c.says == "")
		})
	}
	flowsOf(t, sw, "nosuch", "the flows of no bridge are unknown", func(f plan.Flows) bool { return !f.Known && f.Err != "" })
}

// ofctl changes something over OpenFlow, as somebody else would.
func (w strictWorld) ofctl(t *testing.T, stdin, command string, args ...string) {
	t.Helper()
	c := w.OfctlCommand(command, strictBridge, args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", command, args, err, out)
	}
}

// listed returns what is on the bridge and was not learned, without what changes
// by itself.
func (w strictWorld) listed(t *testing.T) string {
	t.Helper()
	var all []string
	for _, command := range []string{"dump-flows", "dump-meters", "dump-groups", "dump-ports-desc", "get-frags"} {
		text, err := w.dump(t, command)
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, text)
		}
		var lines []string
		for line := range strings.Lines(text) {
			line = counters.ReplaceAllString(line, "")
			if !strings.Contains(line, "xid=") && (!strings.Contains(line, "hard_timeout=300,") || strings.Contains(line, "learn(")) {
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		all = append(all, lines...)
	}
	return strings.Join(all, "")
}

var counters = regexp.MustCompile(`(duration|n_packets|n_bytes|idle_age|hard_age)=[0-9.]+s?, ?|reset_counts `)

// TestFlowsOfOthersArePutBack changes a strict bridge over OpenFlow in each way
// that is known. A stranger is plugged in, who gets a frame of every flood by
// NORMAL.
func TestFlowsOfOthersArePutBack(t *testing.T) {
	w := newStrictWorld(t)
	w.enforce(t, 1000, w.member(w.a), w.member(w.b))
	expect(t, w.a, w.b, true)
	a, b, stranger := w.OFPort(w.a.Device), w.OFPort(w.b.Device), w.OFPort(w.other.Device)
	forged := fmt.Sprintf("cookie=%#x", 0x150e<<48|uint64(b)<<8|1)
	mac := w.b.Probe().MAC.String()
	before := w.listed(t)
	for _, c := range []struct {
		name, command string
		args          []string
		stdin         string
	}{
		{name: "all are changed and keep their cookies", command: "mod-flows", args: []string{"actions=NORMAL"}},
		{name: "learned flows are changed", command: "mod-flows", args: []string{"table=20,dl_dst=" + mac + ",actions=NORMAL"}},
		{name: "learned flows are changed in the other table", command: "mod-flows", args: []string{"table=21,dl_dst=" + mac + ",actions=NORMAL"}},
		{name: "one is added above", command: "add-flow", args: []string{"priority=9999,actions=FLOOD"}},
		{name: "one is added with isonet's cookie", command: "add-flow", args: []string{"cookie=0x150e000000000000,priority=9999,actions=FLOOD"}},
		{name: "one is added as if it were learned", command: "add-flow", args: []string{forged + ",table=20,priority=9999,actions=FLOOD"}},
		{name: "one is added in the place of a learned one", command: "add-flow", args: []string{
			forged + ",table=20,priority=100,hard_timeout=300,vlan_tci=0/0xfff,dl_dst=" + mac + fmt.Sprintf(",actions=output:%d,output:%d", b, stranger),
		}},
		{name: "an odd cookie", command: "add-flow", args: []string{"cookie=0x1,table=0,priority=9999,actions=NORMAL"}},
		{name: "a table that nobody uses", command: "add-flow", args: []string{"table=99,actions=NORMAL"}},
		{name: "one with a timeout takes the place of isonet's", command: "add-flow", args: []string{"cookie=0x150e000000000000,priority=0,hard_timeout=60,actions=drop"}},
		{name: "one with a flag takes the place of isonet's", command: "add-flow", args: []string{"cookie=0x150e000000000000,priority=0,send_flow_rem,actions=drop"}},
		{name: "one resubmits", command: "add-flow", args: []string{"priority=9999,actions=resubmit(,98)"}},
		{name: "one learns", command: "add-flow", args: []string{"priority=9999,actions=learn(table=20,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),NORMAL"}},
		{name: "all are removed", command: "del-flows"},
		{name: "a table is removed", command: "del-flows", args: []string{"table=21"}},
		{name: "all are replaced", command: "replace-flows", args: []string{"-"}, stdin: "actions=NORMAL\n"},
		{name: "a bundle", command: "bundle", args: []string{"-"}, stdin: "flow add priority=9999,actions=NORMAL\nflow delete table=20\n"},
		{name: "a group", command: "add-group", args: []string{fmt.Sprintf("group_id=7,type=all,bucket=output:%d", stranger)}},
		{name: "a meter is added", command: "add-meter", args: []string{"meter=77,pktps,bands=type=drop,rate=1"}},
		{name: "a meter is changed", command: "mod-meter", args: []string{fmt.Sprintf("meter=%d,pktps,bands=type=drop,rate=1", a)}},
		{name: "meters are removed", command: "del-meters"},
		{name: "a port does not receive", command: "mod-port", args: []string{w.a.Device, "no-receive"}},
		{name: "a port does not forward", command: "mod-port", args: []string{w.b.Device, "no-forward"}},
		{name: "fragments are dropped", command: "set-frags", args: []string{"drop"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			restored := w.sw.Flows()[strictBridge].Restored
			w.ofctl(t, c.stdin, c.command, c.args...)
			ovstest.Eventually(t, "it is put back", func() error {
				if got := w.listed(t); got != before {
					return fmt.Errorf("on the bridge is (-want +got):\n%s", cmp.Diff(before, got))
				}
				return nil
			})
			state := flowsOf(t, w.sw, strictBridge, "it is told", func(f plan.Flows) bool { return f.InPlace && f.Restored == restored+1 })
			t.Log(state.Last)
			expect(t, w.a, w.b, true)
			expect(t, w.other, w.a, false)
			received := w.other.Received()
			w.a.Shout(20)
			expect(t, w.a, w.b, true)
			if got := w.other.Received() - received; got != 0 {
				t.Errorf("a stranger received %d frames", got)
			}
		})
	}
}

// TestAddressesWithoutEndAreNotLearned lets a member send from very many
// addresses. What is not learned still reaches the members, and nobody else.
func TestAddressesWithoutEndAreNotLearned(t *testing.T) {
	w := newStrictWorld(t)
	w.enforce(t, 0, w.member(w.a), w.member(w.b))
	expect(t, w.a, w.b, true)
	a, b, other := w.a.Probe(), w.b.Probe(), w.other.Probe()
	const limit, addresses = 256, 3000 // of the pipeline
	for n := range addresses {
		frame := a.Frame(b.MAC, "many")
		copy(frame[6:], []byte{2, 0, 0, 0, byte(n >> 8), byte(n)})
		a.Send(frame)
	}
	ovstest.Eventually(t, "the limit is reached", func() error {
		flows, err := w.dump(t, "dump-flows")
		learned := strings.Count(flows, fmt.Sprintf("output:%d\n", w.OFPort(w.a.Device)))
		if err != nil || learned < limit {
			return fmt.Errorf("%w, %d flows", err, learned)
		}
		if learned > 2*limit { // in two tables
			t.Fatalf("%d flows were learned", learned)
		}
		return nil
	})
	if state := w.sw.Flows()[strictBridge]; !state.InPlace || state.Restored != 0 {
		t.Errorf("what members do counts as somebody's change: %+v", state)
	}
	// The last address is not learned: frames to it are flooded.
	late := a.Frame(a.MAC, "late")
	copy(late[:6], []byte{2, 0, 0, 0, byte((addresses - 1) >> 8), byte((addresses - 1) & 0xff)})
	copy(late[6:], b.MAC)
	ovstest.Eventually(t, "a frame to it arrives", func() error {
		b.Send(late)
		if a.Count("late") == 0 {
			return errors.New("it has not come")
		}
		return nil
	})
	if n := other.Count("late") + other.Count("many"); n != 0 {
		t.Errorf("a stranger received %d frames", n)
	}
	expect(t, w.b, w.a, true)
}

// TestABridgeThatDoesNotSpeakIsUnknown takes isonet's version of OpenFlow away,
// and gives it back.
func TestABridgeThatDoesNotSpeakIsUnknown(t *testing.T) {
	w := newStrictWorld(t)
	w.enforce(t, 0, w.member(w.a), w.member(w.b))
	w.Vsctl("set", "Bridge", strictBridge, "protocols=OpenFlow10,OpenFlow13")
	flowsOf(t, w.sw, strictBridge, "it is unknown and says why", func(f plan.Flows) bool {
		return !f.Known && !f.InPlace && strings.Contains(f.Err, "protocols")
	})
	w.Vsctl("clear", "Bridge", strictBridge, "protocols")
	w.inPlace(t)
	if n := w.sw.Flows()[strictBridge].Restored; n != 0 {
		t.Errorf("%d times somebody else's flows were put back, and there were none", n)
	}
}

// TestMembersAreCounted has a member send from an address that is not its own, and
// more broadcasts than it may.
func TestMembersAreCounted(t *testing.T) {
	w := newStrictWorld(t)
	a, b := w.a.Probe(), w.b.Probe()
	locked := w.member(w.a)
	locked.MACs = []string{a.MAC.String()}
	w.enforce(t, 1, locked, w.member(w.b))
	const wrong = 50
	for range wrong {
		frame := a.Frame(b.MAC, "wrong")
		copy(frame[6:], []byte{2, 0, 0, 0, 0, 7})
		a.Send(frame)
	}
	flowsOf(t, w.sw, strictBridge, "frames from the wrong address are counted", func(f plan.Flows) bool {
		return f.Members[locked.OFPort].WrongMAC >= wrong
	})
	flowsOf(t, w.sw, strictBridge, "broadcasts over the limit are counted", func(f plan.Flows) bool {
		b.Broadcast("many", 100)
		return f.Members[w.OFPort(w.b.Device)].OverLimit > 0
	})
	if n := b.Count("wrong"); n != 0 {
		t.Errorf("%d frames from the wrong address arrived", n)
	}
	before := w.sw.Flows()[strictBridge].Members[locked.OFPort].WrongMAC
	w.ofctl(t, "", "mod-flows", "actions=drop") // their counters begin anew
	flowsOf(t, w.sw, strictBridge, "they are put back and counted again", func(f plan.Flows) bool { return f.InPlace && f.Restored == 1 })
	a.Send(func() []byte { f := a.Frame(b.MAC, "wrong"); copy(f[6:], []byte{2, 0, 0, 0, 0, 7}); return f }())
	flowsOf(t, w.sw, strictBridge, "nothing that was counted is lost", func(f plan.Flows) bool { return f.Members[locked.OFPort].WrongMAC == before+1 })
}

// TestFlowsAreWhatTheySay compares what ovs-ofctl prints with flows that another
// library writes.
func TestFlowsAreWhatTheySay(t *testing.T) {
	w := newStrictWorld(t)
	a, b := w.member(w.a), w.member(w.b)
	a.MACs, b.Isolated = []string{"02:00:00:00:00:01"}, true
	w.enforce(t, 10, a, b)
	const group = "01:00:00:00:00:00/01:00:00:00:00:00"
	learn := func(port, table int) flowtext.Action {
		return flowtext.Learn(&flowtext.LearnedFlow{
			Table: table, Priority: 100, HardTimeout: 300, Cookie: uint64(0x150e<<48 | port<<8 | 1), Limit: 256,
			Matches: []flowtext.Match{
				flowtext.FieldMatch("NXM_OF_VLAN_TCI[0..11]", "NXM_OF_VLAN_TCI[0..11]"),
				flowtext.FieldMatch("NXM_OF_ETH_DST[]", "NXM_OF_ETH_SRC[]"),
			},
			Actions: []flowtext.Action{flowtext.OutputField("NXM_OF_IN_PORT[]")},
		})
	}
	flow := func(table, priority, port int, actions []flowtext.Action, matches ...flowtext.Match) *flowtext.Flow {
		return &flowtext.Flow{Table: table, Priority: priority, InPort: port, Cookie: 0x150e << 48, Matches: matches, Actions: actions}
	}
	drop := []flowtext.Action{flowtext.Drop()}
	fromA := []flowtext.Action{learn(a.OFPort, 20), learn(a.OFPort, 21), text("goto_table:20")}
	fromB := []flowtext.Action{learn(b.OFPort, 20), text("goto_table:21")}
	metered := func(port int, actions []flowtext.Action) []flowtext.Action {
		return append([]flowtext.Action{text(fmt.Sprintf("meter:%d", port))}, actions...)
	}
	denied := flow(0, 50, a.OFPort, drop)
	denied.Cookie |= 2
	wanted := []*flowtext.Flow{
		flow(0, 300, 0, drop, flowtext.DataLinkSource(group)),
		flow(0, 300, 0, drop, flowtext.DataLinkDestination("01:80:c2:00:00:00/ff:ff:ff:ff:ff:f0")),
		flow(0, 300, 0, drop, flowtext.DataLinkVLAN(4095)),
		flow(0, 0, 0, drop),
		flow(0, 200, a.OFPort, metered(a.OFPort, fromA), flowtext.DataLinkSource(a.MACs[0]), flowtext.DataLinkDestination(group)),
		flow(0, 200, b.OFPort, metered(b.OFPort, fromB), flowtext.DataLinkDestination(group)),
		flow(0, 100, a.OFPort, fromA, flowtext.DataLinkSource(a.MACs[0])),
		flow(0, 100, b.OFPort, fromB),
		denied,
		flow(20, 0, 0, []flowtext.Action{flowtext.Output(a.OFPort), flowtext.Output(b.OFPort)}),
		flow(21, 0, 0, []flowtext.Action{flowtext.Output(a.OFPort)}),
	}
	var lines []string
	for _, f := range wanted {
		line, err := f.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	file := filepath.Join(t.TempDir(), "flows")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := w.OfctlCommand("diff-flows", strictBridge, file)
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: flows that differ:\n%s", err, out)
	}
}

// text is an action that the library lacks.
type text string

func (a text) MarshalText() ([]byte, error) { return []byte(a), nil }
func (a text) GoString() string             { return string(a) }
