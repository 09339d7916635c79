package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// permissions returns the bridges that networks of a host may take over and
// have not yet, as far as they are there. They are judged anew every time: what
// was in order when somebody asked need not be so any more.
func (w wishes) permissions(actual *plan.Actual) map[model.ID]plan.Permission {
	adopt := map[model.ID]plan.Permission{}
	for _, a := range w.adopting {
		n := w.desired.Networks[a.Network]
		b, there := actual.Bridges[n.VdsmName]
		if !there || b.Network != "" {
			continue
		}
		permission := plan.Permission{Bridge: a.Adopts}
		if b.UUID == a.Adopts {
			permission.Objections = isolation.Objections(isolation.Input{
				Network: n, Bridge: b, DatapathType: actual.DatapathType, Devices: actual.Links, Host: isolation.HostOf(actual),
			})
		}
		adopt[n.ID] = permission
	}
	return adopt
}

// stalePorts returns the ports of a network's bridge whose devices vanished.
func stalePorts(network model.ID, actual *plan.Actual) []plan.Port {
	b, ok := actual.BridgeOf(network)
	if !ok {
		return nil
	}
	return slices.DeleteFunc(b.Endpoints(), func(p plan.Port) bool { return !p.Stale(actual.Links) })
}

// Prune removes the stale ports from a network's bridge on this host, in one
// transaction, and returns their names. It removes no port whose device came
// back meanwhile.
func (l *Loop) Prune(ctx context.Context, network model.ID) ([]string, error) {
	for {
		changed := l.sw.Changed()
		actual, connected := l.sw.Actual()
		switch {
		case actual == nil || !connected:
			return nil, report.ErrUnreachable
		case actual.Standby:
			return nil, report.ErrStandby
		}
		if err := l.Status().Idle(); err != nil {
			return nil, err
		}
		b, _ := actual.BridgeOf(network)
		var p plan.Plan
		var names []string
		for _, port := range stalePorts(network, actual) {
			p.Ports = append(p.Ports, plan.PortChange{Network: network, Bridge: b.UUID, Port: port, Do: plan.PrunePort})
			names = append(names, port.Name)
		}
		err := error(nil)
		if !p.Empty() {
			_, err = l.sw.Apply(ctx, p)
		}
		if err == nil {
			lost := l.ports.keep.forget(network)
			if len(names)+len(lost) > 0 {
				l.log.Info("removed stale ports, and forgot those that cannot be plugged in again", "network", network, "removed", names, "forgot", lost)
			}
			return append(names, lost...), nil
		}
		select { // a port that is as it was no longer makes the transaction fail
		case <-ctx.Done():
			return nil, fmt.Errorf("remove the stale ports of the bridge '%s': %w: %w", b.Name, ctx.Err(), err)
		case <-changed:
		}
	}
}
