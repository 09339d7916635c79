package native

import (
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/wire"
)

// Plan says what isonetd would change in Open vSwitch for a desired state.
func Plan(desired *model.Desired, status reconcile.Status, p plan.Plan) wire.Plan {
	h := wire.Plan{Host: wire.Host{ID: string(status.HostID), Name: desired.Hosts[status.HostID].Name}, Operations: []wire.Operation{}, Held: heldOf(p.Held)}
	add := func(o wire.Operation) { h.Operations = append(h.Operations, o) }
	bridges := map[string]plan.Bridge{} // by the UUIDs of their rows
	for _, b := range status.Actual.Bridges {
		bridges[b.UUID] = b
	}
	for _, s := range p.Create {
		add(wire.Operation{Do: wire.CreateBridge, Bridge: s.Name, NetworkID: string(s.NetworkID), MTU: s.MTU})
	}
	for _, plug := range p.Plug {
		add(wire.Operation{Do: wire.PlugPort, Bridge: plug.Name, NetworkID: string(plug.Network), Port: plug.Port.Name})
	}
	for _, r := range p.Repair {
		add(wire.Operation{Do: wire.RepairBridge, Bridge: r.Have.Name, NetworkID: string(r.Have.Network), Columns: strings.Split(r.Columns(), ",")})
	}
	for _, change := range p.Ports {
		verbs := map[plan.PortVerb]wire.Verb{plan.RemovePort: wire.RemovePort, plan.QuarantinePort: wire.QuarantinePort, plan.ReleasePort: wire.ReleasePort}
		add(wire.Operation{
			Do: verbs[change.Do], Bridge: bridges[change.Bridge].Name, NetworkID: string(change.Network), Port: change.Port.Name, Reason: change.Reason,
		})
	}
	for _, m := range p.MTU {
		add(wire.Operation{Do: wire.SetMTU, Bridge: m.Bridge, NetworkID: string(status.Actual.Bridges[m.Bridge].Network), Port: m.Interface.Name, MTU: m.Bytes})
	}
	for _, b := range p.Delete {
		add(wire.Operation{Do: wire.RemoveBridge, Bridge: b.Name, NetworkID: string(b.Network)})
	}
	for _, r := range p.Adopt {
		add(wire.Operation{Do: wire.AdoptBridge, Bridge: r.Have.Name, NetworkID: string(r.Spec.NetworkID), Columns: strings.Split(r.Columns(), ",")})
	}
	for _, r := range p.Release {
		add(wire.Operation{Do: wire.ReleaseBridge, Bridge: r.Bridge.Name, NetworkID: string(r.Bridge.Network)})
		for _, change := range r.Ports {
			add(wire.Operation{Do: wire.ReleasePort, Bridge: r.Bridge.Name, NetworkID: string(change.Network), Port: change.Port.Name, Reason: change.Reason})
		}
	}
	return h
}
