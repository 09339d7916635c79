package ovs_test

import (
	"fmt"
	"strings"
	"testing"

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
