package ovs

import (
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model/plan"
)

// guardAdopted makes the transaction fail unless a bridge that isonet did not
// make is as it was judged: with the same settings, and the same ports with the
// same interfaces and VLANs.
func (c *compiler) guardAdopted(b plan.Bridge) {
	none := ovsdb.OvsSet{}
	failMode := any(none)
	if b.FailMode != "" {
		failMode = b.FailMode
	}
	c.wait("Bridge", b.UUID, ovsdb.Row{
		"name": b.Name, "datapath_type": b.DatapathType, "fail_mode": failMode, "other_config": ovsMap(b.OtherConfig),
		"controller": none, "mirrors": none, "netflow": none, "sflow": none, "ipfix": none, "auto_attach": none,
		"flow_tables": ovsdb.OvsMap{}, "protocols": protocols(b.Protocols), "stp_enable": false, "rstp_enable": false, "mcast_snooping_enable": false,
	})
	for _, p := range b.Ports {
		c.guardPort(p)
		c.wait("Port", p.UUID, ovsdb.Row{"protected": p.Protected})
	}
}

func protocols(names []string) ovsdb.OvsSet {
	set := make([]any, len(names))
	for i, name := range names {
		set[i] = name
	}
	return ovsdb.OvsSet{GoSet: set}
}

// release takes isonet's marks from a bridge and lets its ports out of
// quarantine.
func (c *compiler) release(r plan.Release) {
	c.guard(r.Bridge)
	for _, change := range r.Ports {
		c.port(change)
	}
	marks := []any{plan.OwnerKey, plan.NetworkKey, plan.NameKey, plan.RevisionKey}
	c.deleteKeys("Bridge", r.Bridge.UUID, "external_ids", marks...)
	if local, ok := r.Bridge.Local(); ok {
		c.deleteKeys("Port", local.UUID, "external_ids", marks...)
	}
}

func (c *compiler) deleteKeys(table, uuid, column string, keys ...any) {
	c.add(ovsdb.Operation{
		Op: ovsdb.OperationMutate, Table: table, Where: byUUID(uuid),
		Mutations: []ovsdb.Mutation{*ovsdb.NewMutation(column, ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: keys})},
	})
}
