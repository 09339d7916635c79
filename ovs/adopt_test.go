package ovs_test

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
	"github.com/isonet/isonet/ovsdb"
)

// adopting returns what lets a network take over the bridge of its name.
func adopting(t *testing.T, sw *ovs.Switch, n model.Network) plan.Want {
	t.Helper()
	a := waitFor(t, sw, "the foreign bridge is seen", func(a *plan.Actual) bool { return len(a.Bridges[n.VdsmName].LivePorts(nil)) == 1 })
	return plan.Want{
		Networks: []model.Network{n},
		Adopt:    map[model.ID]plan.Permission{n.ID: {Bridge: a.Bridges[n.VdsmName].UUID}},
	}
}

// TestAnAdoptionFailsWhenTheBridgeChangedMeanwhile changes what the bridge was
// judged by, behind the back of a plan.
func TestAnAdoptionFailsWhenTheBridgeChangedMeanwhile(t *testing.T) {
	for name, command := range map[string]string{
		"port":       "add-port red more",
		"interface":  "set Interface vm type=patch options:peer=x",
		"vlan":       "set Port vm tag=7",
		"protected":  "set Port vm protected=true",
		"local vlan": "set Port red tag=7",
		"mark":       "set Bridge red external_ids:owner=thief",
		"controller": "set-controller red ptcp:0:127.0.0.1",
		"mirror":     "-- --id=@m create Mirror name=m select-all=true -- set Bridge red mirrors=@m",
		"sflow":      `-- --id=@s create sFlow targets="127.0.0.1:9" -- set Bridge red sflow=@s`,
		"fail mode":  "set-fail-mode red secure",
		"stp":        "set Bridge red stp_enable=true",
		"rstp":       "set Bridge red rstp_enable=true",
		"snooping":   "set Bridge red mcast_snooping_enable=true",
		"bpdu":       "set Bridge red other_config:forward-bpdu=true",
		"protocols":  "set Bridge red protocols=OpenFlow10",
		"tables":     "-- --id=@t create Flow_Table flow_limit=1 -- set Bridge red flow_tables:0=@t",
		"datapath":   "set Bridge red datapath_type=dummy",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			private, sw, _ := start(t)
			private.Vsctl("add-br", "red", "--", "set", "Bridge", "red", "datapath_type=netdev", "--", "add-port", "red", "vm")
			n := network("red", 0)
			want := adopting(t, sw, n)
			actual, _ := sw.Actual()
			p := plan.Diff(want, actual)
			if len(p.Adopt) != 1 {
				t.Fatalf("plan %+v, want an adoption", p)
			}
			private.Vsctl(append([]string{"--no-wait"}, strings.Fields(command)...)...)
			if _, err := sw.Apply(t.Context(), p); !errors.Is(err, ovsdb.ErrStale) {
				t.Errorf("Apply: %v, want ErrStale", err)
			}
			if got := private.Vsctl("--no-wait", "get", "Bridge", "red", "external_ids"); strings.Contains(got, "isonet") {
				t.Errorf("external_ids of the bridge are %s", got)
			}
		})
	}
}

func TestAdoptionAndReleaseKeepWhatOthersWrote(t *testing.T) {
	private, sw, seen := start(t)
	private.Vsctl("add-br", "red", "--", "set", "Bridge", "red", "datapath_type=netdev", "external_ids:theirs=1", "other_config:theirs=2",
		"fail_mode=standalone", "--", "set", "Port", "red", "external_ids:theirs=3", "--", "add-port", "red", "vm", "tag=5", "--", "set", "Port", "vm", "external_ids:theirs=4")
	n := network("red", 0)
	want := adopting(t, sw, n)
	actual, _ := sw.Actual()
	if _, err := sw.Apply(t.Context(), plan.Diff(want, actual)); err != nil {
		t.Fatal(err)
	}
	realise(t, sw, want)
	if want := []string{"committed", "committed"}; !slices.Equal(seen.results, want) {
		t.Errorf("transactions %v, want the adoption and the MTU of the port", seen.results)
	}
	for _, c := range []struct{ table, row, column, want string }{
		{"Bridge", "red", "external_ids:theirs", `"1"`},
		{"Bridge", "red", "external_ids:isonet-network-name", "red"},
		{"Bridge", "red", "other_config", `{disable-in-band="true", theirs="2"}`},
		{"Bridge", "red", "fail_mode", "[]"},
		{"Port", "red", "external_ids:theirs", `"3"`},
		{"Port", "red", "external_ids:owner", "isonet"},
		{"Port", "red", "trunks", "[4095]"},
		{"Port", "vm", "tag", "5"},
		{"Port", "vm", "external_ids", `{theirs="4"}`},
	} {
		if got := private.Vsctl("get", c.table, c.row, c.column); got != c.want {
			t.Errorf("adopted: %s %s %s is %s, want %s", c.table, c.row, c.column, got, c.want)
		}
	}
	realise(t, sw, plan.Want{Released: []model.ID{n.ID}})
	for _, c := range []struct{ table, row, column, want string }{
		{"Bridge", "red", "external_ids", `{theirs="1"}`},
		{"Port", "red", "external_ids", `{theirs="3"}`},
		{"Port", "red", "trunks", "[4095]"},
		{"Port", "vm", "external_ids", `{theirs="4"}`},
	} {
		if got := private.Vsctl("get", c.table, c.row, c.column); got != c.want {
			t.Errorf("released: %s %s %s is %s, want %s", c.table, c.row, c.column, got, c.want)
		}
	}
}

func TestAReleaseFailsWhenAPortWasPluggedMeanwhile(t *testing.T) {
	private, sw, _ := start(t)
	n := network("red", 0)
	actual := realise(t, sw, plan.Want{Networks: []model.Network{n}})
	p := plan.Diff(plan.Want{Released: []model.ID{n.ID}}, actual)
	private.Vsctl("add-port", "red", "vm")
	if _, err := sw.Apply(t.Context(), p); !errors.Is(err, ovsdb.ErrStale) {
		t.Errorf("Apply: %v, want ErrStale", err)
	}
}

// TestAPruneFailsWhenTheDeviceIsBack takes the devices of two VMs away, and
// brings one back behind the back of the plans.
func TestAPruneFailsWhenTheDeviceIsBack(t *testing.T) {
	w := newStrictWorld(t)
	ip := func(args ...string) {
		t.Helper()
		args = append([]string{"-n", w.namespace}, args...)
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	port := func(a *plan.Actual, vm *ovstest.VM) plan.Port {
		ports := a.Bridges[strictBridge].Endpoints()
		return ports[slices.IndexFunc(ports, func(p plan.Port) bool { return p.Name == vm.Device })]
	}
	ip("link", "del", w.a.Device)
	ip("link", "del", w.b.Device)
	gone := waitFor(t, w.sw, "the devices are gone", func(a *plan.Actual) bool {
		return port(a, w.a).Stale(nil) && port(a, w.b).Stale(nil)
	})
	if port(gone, w.other).Stale(nil) {
		t.Error("a port with a device is stale")
	}
	prune := func(vm *ovstest.VM) error {
		_, err := w.sw.Apply(t.Context(), plan.Plan{Ports: []plan.PortChange{{
			Bridge: gone.Bridges[strictBridge].UUID, Port: port(gone, vm), Do: plan.PrunePort,
		}}})
		return err
	}
	ip("link", "add", w.b.Device, "type", "veth", "peer", "name", "back0")
	waitFor(t, w.sw, "one is back", func(a *plan.Actual) bool { return !port(a, w.b).Stale(nil) })
	if err := prune(w.b); !errors.Is(err, ovsdb.ErrStale) {
		t.Errorf("Apply: %v, want ErrStale", err)
	}
	if err := prune(w.a); err != nil {
		t.Error(err)
	}
	if got, want := w.Vsctl("list-ports", strictBridge), w.b.Device+"\n"+w.other.Device; got != want {
		t.Errorf("ports %q, want %q", got, want)
	}
}
