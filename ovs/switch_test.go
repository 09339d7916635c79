package ovs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
	"github.com/isonet/isonet/ovsdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type observer struct{ results []string }

func (o *observer) ObserveTransaction(_ time.Duration, result string) {
	o.results = append(o.results, result)
}

// start runs a Switch on a private Open vSwitch for as long as the test lasts.
func start(t *testing.T) (*ovstest.OVS, *ovs.Switch, *observer) {
	t.Helper()
	return startWith(t, ovs.AutoDatapath)
}

func startWith(t *testing.T, datapathType string, options ...ovstest.Option) (*ovstest.OVS, *ovs.Switch, *observer) {
	t.Helper()
	private := ovstest.Start(t, options...)
	seen := &observer{}
	return private, run(t, private, datapathType, seen), seen
}

// run runs a Switch on an Open vSwitch for as long as the test lasts.
func run(t *testing.T, private *ovstest.OVS, datapathType string, seen *observer) *ovs.Switch {
	t.Helper()
	return runWith(t, ovs.Config{Endpoints: []string{private.Endpoint()}, DatapathType: datapathType, RunDir: private.Dir(), Observer: seen})
}

func runWith(t *testing.T, cfg ovs.Config) *ovs.Switch {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	sw := ovs.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sw.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	waitFor(t, sw, "the first snapshot", func(a *plan.Actual) bool { return a.SystemID != "" })
	return sw
}

// waitFor waits until the present snapshot satisfies the condition.
func waitFor(t *testing.T, sw *ovs.Switch, what string, condition func(*plan.Actual) bool) *plan.Actual {
	t.Helper()
	timeout := time.After(ovstest.Patience)
	for {
		changed := sw.Changed()
		if actual, connected := sw.Actual(); connected && condition(actual) {
			return actual
		}
		select {
		case <-changed:
		case <-timeout:
			actual, connected := sw.Actual()
			t.Fatalf("%s: not in time; connected %v, snapshot %+v", what, connected, actual)
		}
	}
}

func network(name string, mtu int) model.Network {
	id := model.DeriveID(name)
	return model.Network{ID: id, Name: name, MTU: mtu, VdsmName: model.VdsmName(id, name), Revision: 1}
}

// realise applies the difference and waits until nothing is left to do.
func realise(t *testing.T, sw *ovs.Switch, want plan.Want) *plan.Actual {
	t.Helper()
	for {
		changed := sw.Changed()
		actual, _ := sw.Actual()
		p := plan.Diff(want, actual)
		if p.Empty() {
			break
		}
		_, err := sw.Apply(t.Context(), p)
		if err == nil {
			break
		}
		if !errors.Is(err, ovsdb.ErrStale) {
			t.Fatalf("apply: %v", err)
		}
		<-changed // the news that the plan was too old for is on its way
	}
	return waitFor(t, sw, "realised", func(a *plan.Actual) bool {
		return a.CurCfg >= a.NextCfg && plan.Diff(want, a).Empty() && len(plan.Problems(want, a)) == 0
	})
}

func TestCreateIsOneTransactionWithTheSafeBase(t *testing.T) {
	private, sw, seen := start(t)
	before := private.NextCfg()
	var want plan.Want
	for i := range 20 {
		want.Networks = append(want.Networks, network(fmt.Sprintf("net%d", i), 1400))
	}
	realise(t, sw, want)
	if got := private.NextCfg(); got != before+1 {
		t.Errorf("next_cfg went from %d to %d; want one transaction", before, got)
	}
	if want := []string{"committed"}; !slices.Equal(seen.results, want) {
		t.Errorf("transactions %v, want %v", seen.results, want)
	}
	for table, columns := range map[string]map[string]string{
		"Bridge": {
			"controller": "[]", "mirrors": "[]", "netflow": "[]", "sflow": "[]", "ipfix": "[]", "fail_mode": "[]",
			"stp_enable": "false", "rstp_enable": "false", "mcast_snooping_enable": "false",
			"other_config": `{disable-in-band="true"}`, "external_ids:owner": "isonet",
			"external_ids:isonet-network-name": "net7",
		},
		"Port":      {"vlan_mode": "trunk", "trunks": "[4095]", "tag": "[]"},
		"Interface": {"type": "internal", "mtu_request": "1400", "mtu": "1400"},
	} {
		for column, want := range columns {
			if got := private.Vsctl("get", table, "net7", column); got != want {
				t.Errorf("%s net7 %s is %s, want %s", table, column, got, want)
			}
		}
	}
}

func TestDriftOfEveryColumnIsRepaired(t *testing.T) {
	private, sw, _ := start(t)
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	realise(t, sw, want)
	for _, drift := range [][]string{
		{"set", "bridge", "red", "datapath_type=dummy"},
		{"set", "bridge", "red", "fail_mode=secure"},
		{"remove", "bridge", "red", "external_ids", "owner", "--", "remove", "bridge", "red", "external_ids", "isonet-network-id"},
		{"set", "bridge", "red", "external_ids:isonet-network-name=blue"},
		{"remove", "bridge", "red", "other_config", "disable-in-band"},
		{"set-controller", "red", "ptcp:0:127.0.0.1"},
		{"--id=@m", "create", "mirror", "name=m", "--", "set", "bridge", "red", "mirrors=@m"},
		{"--id=@n", "create", "netflow", `targets="127.0.0.1:9"`, "--", "set", "bridge", "red", "netflow=@n"},
		{"--id=@s", "create", "sflow", `targets="127.0.0.1:9"`, "--", "set", "bridge", "red", "sflow=@s"},
		{"--id=@i", "create", "ipfix", `targets="127.0.0.1:9"`, "--", "set", "bridge", "red", "ipfix=@i"},
		{"--", "--id=@b", "get", "bridge", "red", "--", "create", "Flow_Sample_Collector_Set", "id=1", "bridge=@b"},
		{"set", "bridge", "red", "stp_enable=true"},
		{"set", "bridge", "red", "other_config:forward-bpdu=true"},
		{"set", "interface", "red", "lldp:enable=true"},
		{"set", "interface", "red", "bfd:enable=true"},
		{"set", "interface", "red", "cfm_mpid=7"},
		{"set", "bridge", "red", "rstp_enable=true"},
		{"set", "bridge", "red", "mcast_snooping_enable=true"},
		{"clear", "port", "red", "trunks"},
		{"clear", "port", "red", "vlan_mode"},
		{"set", "port", "red", "tag=7"},
		{"clear", "port", "red", "external_ids"},
		{"set", "interface", "red", "mtu_request=1300"},
		{"clear", "bridge", "red", "ports"},
		{"del-br", "red"},
	} {
		t.Run(strings.Join(drift, " "), func(t *testing.T) {
			private.Vsctl(append([]string{"--no-wait"}, drift...)...)
			waitFor(t, sw, "the drift is seen", func(a *plan.Actual) bool { return !plan.Diff(want, a).Empty() })
			realise(t, sw, want)
		})
	}
}

func TestRepairKeepsWhatOthersWrote(t *testing.T) {
	private, sw, _ := start(t)
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	realise(t, sw, want)
	private.Vsctl("set", "bridge", "red", "external_ids:theirs=1", "external_ids:owner=thief", "other_config:theirs=2", "other_config:disable-in-band=false")
	waitFor(t, sw, "the drift is seen", func(a *plan.Actual) bool { return !plan.Diff(want, a).Empty() })
	realise(t, sw, want)
	for column, want := range map[string]string{"external_ids:theirs": `"1"`, "other_config:theirs": `"2"`, "external_ids:owner": "isonet"} {
		if got := private.Vsctl("get", "bridge", "red", column); got != want {
			t.Errorf("%s is %s, want %s", column, got, want)
		}
	}
}

func TestPortsOfOthersAreKeptAndGetTheMTU(t *testing.T) {
	private, sw, _ := start(t)
	want := plan.Want{Networks: []model.Network{network("red", 1400)}}
	realise(t, sw, want)
	private.Vsctl("add-port", "red", "vm1", "--", "add-port", "red", "patch1", "--",
		"set", "interface", "patch1", "type=patch", "options:peer=nowhere")
	waitFor(t, sw, "the port is seen", func(a *plan.Actual) bool { return len(a.Bridges["red"].Endpoints()) == 2 })
	realise(t, sw, want)
	if got := private.Vsctl("get", "interface", "vm1", "mtu_request"); got != "1400" {
		t.Errorf("mtu_request of a plugged port is %s, want 1400", got)
	}
	if got := private.Vsctl("get", "interface", "patch1", "mtu_request"); got != "[]" {
		t.Errorf("mtu_request of a patch port is %s, want none", got)
	}
}

func TestForeignBridgesAreNotTouched(t *testing.T) {
	private, sw, _ := start(t)
	private.Vsctl("add-br", "theirs", "--", "set", "bridge", "theirs", "stp_enable=true")
	before := private.Vsctl("list", "bridge", "theirs")
	actual := waitFor(t, sw, "the foreign bridge is seen", func(a *plan.Actual) bool { _, ok := a.Bridges["theirs"]; return ok })
	want := plan.Want{Networks: []model.Network{network("theirs", 0), network("red", 0)}}
	p := plan.Diff(want, actual)
	if len(p.Conflicts) != 1 || !strings.Contains(p.Conflicts[0].Reason, "'theirs'") {
		t.Fatalf("conflicts %+v, want one that names the bridge", p.Conflicts)
	}
	if _, err := sw.Apply(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	realise(t, sw, plan.Want{})
	if after := private.Vsctl("list", "bridge", "theirs"); after != before {
		t.Errorf("the foreign bridge changed from\n%s\nto\n%s", before, after)
	}
}

func TestRemovalFailsWhenAPortWasPluggedMeanwhile(t *testing.T) {
	private, sw, seen := start(t)
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	realise(t, sw, want)
	actual, _ := sw.Actual()
	removal := plan.Diff(plan.Want{}, actual)
	private.Vsctl("add-port", "red", "vm1")
	_, err := sw.Apply(t.Context(), removal)
	if !errors.Is(err, ovsdb.ErrStale) {
		t.Fatalf("Apply: %v, want ErrStale", err)
	}
	if got := private.Vsctl("list-ports", "red"); got != "vm1" {
		t.Errorf("ports of the bridge: %q, want vm1", got)
	}
	if got := seen.results[len(seen.results)-1]; got != "error" {
		t.Errorf("the transaction was observed as %q", got)
	}
	held := waitFor(t, sw, "the port is open", func(a *plan.Actual) bool { return len(a.Bridges["red"].LivePorts(nil)) == 1 })
	if p := plan.Diff(plan.Want{}, held); !p.Empty() || len(p.Held) != 1 {
		t.Errorf("plan %+v, want the bridge held", p)
	}
	realise(t, sw, plan.Want{Evicted: []model.ID{want.Networks[0].ID}})
	if got := private.Vsctl("list-br"); got != "" {
		t.Errorf("bridges after the eviction: %q", got)
	}
}

func TestSessionComesBackAfterAServerCrash(t *testing.T) {
	private, sw, _ := start(t)
	// A session must not be cut off in the middle of its start: libovsdb 0.8.1
	// has a data race there.
	private.AwaitSessions(3)
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	realise(t, sw, want)
	id := private.Vsctl("get", "Open_vSwitch", ".", "external_ids:system-id")
	changed := sw.Changed()
	private.StopServer()
	for {
		<-changed
		if _, connected := sw.Actual(); !connected {
			break
		}
		changed = sw.Changed()
	}
	if _, err := sw.Apply(t.Context(), plan.Plan{}); !errors.Is(err, ovs.ErrDisconnected) {
		t.Errorf("Apply without a session: %v", err)
	}
	private.StartServer()
	actual := realise(t, sw, want)
	if got := `"` + actual.SystemID + `"`; got != id {
		t.Errorf("system-id is %s after the crash, was %s", got, id)
	}
}

func TestTrafficOfPortsIsCounted(t *testing.T) {
	private, sw, _ := start(t)
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	realise(t, sw, want)
	private.Vsctl("add-port", "red", "vm1", "--", "add-port", "red", "vm2")
	// An ARP request, broadcast by vm1: vm2 receives what vm1 transmits.
	const frame = "ffffffffffff0a00000000010806000108000604000" + "10a00000000010a0000010000000000000a000002"
	private.Appctl("netdev-dummy/receive", "vm1", frame)
	var got model.Traffic
	ovstest.Eventually(t, "the frame is counted", func() error {
		got = sw.Traffic()[want.Networks[0].ID]
		if got.Total.ReceivedPackets != 1 || got.Total.TransmittedPackets != 1 {
			return fmt.Errorf("traffic %+v", got)
		}
		return nil
	})
	if got.Total.TransmittedBytes != got.Total.ReceivedBytes || got.Total.TransmittedBytes < 42 {
		t.Errorf("bytes received %d, transmitted %d; want the same frame's", got.Total.ReceivedBytes, got.Total.TransmittedBytes)
	}
}
