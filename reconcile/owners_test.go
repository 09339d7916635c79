package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
)

// TestLostMarksComeBack wipes all marks of a bridge: isonet knows it still, goes
// on protecting it, and puts them back.
func TestLostMarksComeBack(t *testing.T) {
	s := start(t)
	revision, ids := s.attach("red")
	if err := s.loop.WaitFor(t.Context(), revision, ids...); err != nil {
		t.Fatal(err)
	}
	uuid := s.ovs.Vsctl("get", "Bridge", "red", "_uuid")
	s.ovs.Vsctl("clear", "Bridge", "red", "external_ids", "--", "clear", "Port", "red", "external_ids",
		"--", "set", "Bridge", "red", "stp_enable=true")
	ovstest.Eventually(t, "the marks are back", func() error {
		for table, column := range map[string]string{"Bridge": "external_ids:isonet-network-id", "Port": "external_ids:isonet-network-id"} {
			if got := s.ovs.Vsctl("--if-exists", "get", table, "red", column); !strings.Contains(got, string(ids[0])) {
				return fmt.Errorf("%s %s is %s", table, column, got)
			}
		}
		if got := s.ovs.Vsctl("get", "Bridge", "red", "stp_enable"); got != "false" {
			return fmt.Errorf("stp_enable is %s", got)
		}
		return nil
	})
	if got := s.ovs.Vsctl("get", "Bridge", "red", "_uuid"); got != uuid {
		t.Errorf("the bridge was %s and is %s", uuid, got)
	}
	s.until("the network is active", func(st report.Status) bool { return st.Networks[ids[0]].State == report.Active })
}

// TestForgedMarksTakeNothing sets isonet's marks on bridges of somebody else: of a
// network that has its bridge, of one that cannot have its bridge because of this
// one, and of none. Nothing becomes of them, and no network loses anything.
func TestForgedMarksTakeNothing(t *testing.T) {
	s := start(t)
	s.ovs.Vsctl("add-br", "br-ex", "--", "add-br", "blue", "--", "add-br", "old", "--", "add-port", "br-ex", "up0", "--", "set", "Interface", "up0", "type=dummy")
	revision, ids := s.attach("red")
	if err := s.loop.WaitFor(t.Context(), revision, ids...); err != nil {
		t.Fatal(err)
	}
	_, blue := s.attach("blue")
	s.until("blue is refused", func(st report.Status) bool { return st.Networks[blue[0]].State == report.Failed })
	forge := func(bridge, network string) []string {
		return []string{
			"--", "set", "Bridge", bridge, "stp_enable=true", "external_ids:owner=isonet", "external_ids:isonet-network-id=" + network,
			"--", "set", "Port", bridge, "external_ids:owner=isonet", "external_ids:isonet-network-id=" + network,
		}
	}
	args := append(forge("br-ex", string(ids[0])), append(forge("blue", string(blue[0])), forge("old", "00000000-0000-4000-8000-00000000dead")...)...)
	before := s.ovs.Vsctl(append(args[1:], "--", "list-br", "--", "list-ports", "br-ex")...)
	// What is put back later shows that the marks have been looked at.
	s.ovs.Vsctl("set", "Bridge", "red", "mcast_snooping_enable=true")
	ovstest.Eventually(t, "a setting of the network's own bridge is put back", func() error {
		if got := s.ovs.Vsctl("get", "Bridge", "red", "mcast_snooping_enable"); got != "false" {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
	status := s.until("all is looked at", func(st report.Status) bool {
		return st.Switch.Behind == 0 && st.Networks[ids[0]].State == report.Active
	})
	told := slices.ContainsFunc(status.Networks[ids[0]].Isolation.Findings, func(f isolation.Finding) bool {
		return f.Reason == isolation.ForeignMarks && f.Bridge == "br-ex"
	})
	if !told {
		t.Errorf("of the network it is found: %+v", status.Networks[ids[0]].Isolation.Findings)
	}
	if got := status.Networks[blue[0]].State; got != report.Failed {
		t.Errorf("the network whose name somebody else has is %s", got)
	}
	if got := s.ovs.Vsctl("list-br", "--", "list-ports", "br-ex"); got != strings.TrimSpace(before) {
		t.Errorf("bridges and ports were\n%s\nand are\n%s", before, got)
	}
	for _, bridge := range []string{"br-ex", "blue", "old"} {
		if got := s.ovs.Vsctl("get", "Bridge", bridge, "stp_enable"); got != "true" {
			t.Errorf("the setting of the bridge %s was changed", bridge)
		}
	}
}

// TestANetworkThatIsRemovedAtOnceLeavesNoBridge removes networks while their
// bridges are being made, so that some bridges are seen for the first time when
// the store does not have their networks any more.
func TestANetworkThatIsRemovedAtOnceLeavesNoBridge(t *testing.T) {
	s := start(t)
	for round := range 50 {
		_, ids := s.attach(fmt.Sprintf("red%d", round))
		_, err := s.store.Update(t.Context(), func(d *model.Desired) error { return d.RemoveNetwork(ids[0]) })
		if err != nil {
			t.Fatal(err)
		}
	}
	ovstest.Eventually(t, "no bridge is left", func() error {
		if left := s.ovs.Vsctl("list-br"); left != "" {
			return fmt.Errorf("bridges %s", strings.Fields(left))
		}
		return nil
	})
}
