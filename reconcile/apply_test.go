package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// TestAWayOutIsClosedWhileSomethingElseIsUnderWay holds a transaction back that
// makes a network: ways out are closed meanwhile, in ports and in settings.
func TestAWayOutIsClosedWhileSomethingElseIsUnderWay(t *testing.T) {
	s := start(t)
	held, release := make(chan struct{}), make(chan struct{})
	s.hold(func(ctx context.Context, p plan.Plan) {
		if len(p.Create) == 1 && p.Create[0].Name == "blue" {
			close(held)
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
	})
	revision, ids := s.attach("red")
	s.realised(revision, ids...)
	revision, blue := s.attach("blue")
	<-held

	s.links.set(uplink())
	s.ovs.Vsctl("--no-wait", "add-port", "red", "eth9")
	s.repaired(isolation.PhysicalNIC, 1)
	if ports := s.ports(); ports != "" {
		t.Errorf("ports of the bridge: %s", ports)
	}
	s.ovs.Vsctl("--no-wait", "set", "Bridge", "red", "other_config:forward-bpdu=true")
	ovstest.Eventually(t, "the setting is put back", func() error {
		if config := s.ovs.Vsctl("--no-wait", "get", "Bridge", "red", "other_config"); strings.Contains(config, "forward-bpdu") {
			return errors.New(config)
		}
		return nil
	})
	if status := s.loop.Status(); status.Revision >= revision {
		t.Errorf("the revision %d counts as looked at, and its transaction is under way", revision)
	}
	if bridges := s.ovs.Vsctl("--no-wait", "list-br"); bridges != "red" {
		t.Errorf("bridges: %s", bridges)
	}
	close(release)
	s.realised(revision, blue...)
	s.until("nothing is left to do", func(st report.Status) bool { return st.LastError == "" })
}
