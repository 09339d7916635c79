package ovs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
)

// TestABridgeInUseKeepsItsDatapath starts a Switch that is to use another datapath
// than the bridges have. One that somebody uses stays, and says so; it gets the
// other type when nobody does.
func TestABridgeInUseKeepsItsDatapath(t *testing.T) {
	namespace := ovstest.Namespace(t)
	private := ovstest.Start(t, ovstest.InNamespace(namespace))
	want := plan.Want{Networks: []model.Network{network("red", 0), network("blue", 0)}}
	sw := run(t, private, ovstest.Datapath(), &observer{})
	realise(t, sw, want)
	vm := private.NewVM("vm", "10.0.0.1/24")
	private.Plug(vm, "red")
	for _, test := range []struct {
		option string
		flips  bool
	}{{otherDatapath(), true}, {ovs.AutoDatapath, false}} {
		again := run(t, private, test.option, &observer{})
		actual := waitFor(t, again, "the bridges are seen", func(a *plan.Actual) bool {
			return len(a.Bridges["red"].LivePorts(a.Links)) == 1 && a.Bridges["blue"].UUID != ""
		})
		repaired := map[string]bool{}
		for _, r := range plan.Diff(want, actual).Repair {
			repaired[r.Spec.Name] = strings.Contains(r.Columns(), "datapath_type")
		}
		if repaired["red"] || repaired["blue"] != test.flips {
			t.Errorf("%s: the datapath type of these bridges would be changed: %v", test.option, repaired)
		}
		problems := plan.Problems(plan.Want{Networks: want.Networks[:1]}, actual)
		if said := len(problems) == 1 && problems[0].Final && strings.Contains(problems[0].Reason, "set the option datapath-type of isonetd to "+ovstest.Datapath()); said != test.flips {
			t.Errorf("%s: problems %+v", test.option, problems)
		}
	}
	// Who changes it while isonetd runs did not mean it.
	realise(t, sw, want)
	private.Vsctl("--no-wait", "set", "bridge", "red", "datapath_type="+otherDatapath())
	waitFor(t, sw, "the change is seen", func(a *plan.Actual) bool { return a.Bridges["red"].DatapathType == otherDatapath() })
	realise(t, sw, want)
	if got := private.Vsctl("get", "bridge", "red", "datapath_type"); got != ovstest.Datapath() {
		t.Errorf("the datapath type of the bridge is %s", got)
	}
}

// otherDatapath is the one that the tests do not run on.
func otherDatapath() string {
	if ovstest.Datapath() == ovstest.Kernel {
		return ovstest.Userspace
	}
	return ovstest.Kernel
}

// TestVSwitchdLacksADatapath has bridges that ovs-vswitchd cannot make, because it
// knows no such datapath, or lets go of, because another one has its lock.
func TestVSwitchdLacksADatapath(t *testing.T) {
	for name, takeAway := range map[string]func(*ovstest.OVS){
		"it knows no such datapath": nil,
		"another one has its lock":  func(private *ovstest.OVS) { private.Server().Steal("ovs_vswitchd") },
	} {
		t.Run(name, func(t *testing.T) {
			private := ovstest.Start(t)
			kind := "netdev"
			if takeAway == nil {
				kind = "nonsense"
			}
			sw := run(t, private, kind, &observer{})
			want := plan.Want{Networks: []model.Network{network("red", 0)}}
			actual, _ := sw.Actual()
			if _, err := sw.Apply(t.Context(), plan.Diff(want, actual)); err != nil {
				t.Fatal(err)
			}
			sw.Forward(plan.Forwarding{Bridge: "red"})
			if takeAway != nil {
				ovstest.Eventually(t, "its flows are known", func() error {
					if len(sw.Evidence().Flows) > 0 {
						return errors.New(sw.Evidence().Flows["red"].Cause)
					}
					return nil
				})
				takeAway(private)
			}
			ovstest.Eventually(t, "it is told", func() error {
				if got := sw.Evidence().Flows["red"]; !strings.Contains(got.Cause, "has no datapath of the type '"+kind+"'") || got.Remedy == "" {
					return fmt.Errorf("the evidence is %+v", got)
				}
				return nil
			})
		})
	}
}
