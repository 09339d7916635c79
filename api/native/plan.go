package native

import (
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

// Plan says what isonetd would change in Open vSwitch for a desired state. The status
// must have a host.
func Plan(desired *model.Desired, status report.Status) wire.Plan {
	p := status.Host.Foresee(desired, status.HostID)
	h := wire.Plan{
		Host:       wire.Host{ID: string(status.HostID), Name: desired.Hosts[status.HostID].Name},
		Operations: make([]wire.Operation, len(p.Operations)), Held: heldOf(p.Held),
	}
	for i, o := range p.Operations {
		h.Operations[i] = wire.Operation{
			Do: wire.Verb(o.Do), Bridge: o.Bridge, NetworkID: string(o.Network), Port: o.Port, Columns: o.Columns, MTU: o.MTU, Reason: o.Reason,
		}
	}
	return h
}
