package ovs

import (
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model/plan"
)

// port removes a port, cuts it off or lets it go. A port that was plugged in
// anew meanwhile has another row: it is judged for itself.
func (c *compiler) port(change plan.PortChange) {
	c.guardPort(change.Port)
	if change.Do == plan.PrunePort {
		c.guardStale(change.Port)
	}
	if change.Do == plan.RemovePort || change.Do == plan.PrunePort {
		c.add(ovsdb.Operation{
			Op: ovsdb.OperationMutate, Table: "Bridge", Where: byUUID(change.Bridge),
			Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("ports", ovsdb.MutateOperationDelete,
				ovsdb.OvsSet{GoSet: []any{ovsdb.UUID{GoUUID: change.Port.UUID}}})},
		})
		return
	}
	marks := map[string]string{}
	row := vlanRow(change.VLAN)
	if change.Do == plan.QuarantinePort {
		marks[plan.QuarantineKey], marks[plan.QuarantineWasKey] = change.Reason, change.VLAN.Text()
		row = vlanRow(plan.VLAN{Mode: "trunk", Trunks: plan.DeadTrunks()})
	}
	c.update("Port", change.Port.UUID, row)
	for _, key := range []string{plan.QuarantineKey, plan.QuarantineWasKey} {
		c.setKey("Port", change.Port.UUID, "external_ids", key, marks)
	}
}

// guardPort makes the transaction fail unless the port is the one that was
// judged, with the same interfaces and VLAN settings.
func (c *compiler) guardPort(p plan.Port) {
	tag := []int{}
	if p.Tag >= 0 {
		tag = append(tag, p.Tag)
	}
	row := vlanRow(plan.VLAN{Mode: p.VLANMode, Trunks: p.Trunks})
	row["tag"] = ovsSet(tag)
	interfaces := make([]any, len(p.Interfaces))
	for n, i := range p.Interfaces {
		interfaces[n] = ovsdb.UUID{GoUUID: i.UUID}
	}
	row["interfaces"] = ovsdb.OvsSet{GoSet: interfaces}
	c.wait("Port", p.UUID, row)
	for _, i := range p.Interfaces {
		c.wait("Interface", i.UUID, ovsdb.Row{"name": i.Name, "type": i.Type})
	}
}

// guardStale makes the transaction fail when vswitchd has found a device for the
// port meanwhile.
func (c *compiler) guardStale(p plan.Port) {
	for _, i := range p.Interfaces {
		row := ovsdb.Row{"ofport": ovsdb.OvsSet{}, "error": ovsdb.OvsSet{}, "mtu": ovsdb.OvsSet{}}
		if i.OFPort != 0 {
			row["ofport"] = i.OFPort
		}
		if i.Error != "" {
			row["error"] = i.Error
		}
		if !i.Failed() {
			row["link_state"] = "down"
		}
		c.wait("Interface", i.UUID, row)
	}
}

// vlanRow returns the columns of a port's VLAN settings.
func vlanRow(v plan.VLAN) ovsdb.Row {
	row := ovsdb.Row{"vlan_mode": ovsdb.OvsSet{}, "tag": ovsdb.OvsSet{}, "trunks": ovsSet(v.Trunks)}
	if v.Mode != "" {
		row["vlan_mode"] = v.Mode
	}
	if v.Tag != nil {
		row["tag"] = *v.Tag
	}
	return row
}
