package ovs

import (
	"context"
	"fmt"
	"regexp"

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

// ordinaryFlow matches what ovs-ofctl dump-flows prints of the flow that vswitchd
// gives to a bridge without a controller.
var ordinaryFlow = regexp.MustCompile(`(?m)^ cookie=0x0, .*table=0, .*\bpriority=0 actions=NORMAL\s*$`)

// Ordinary returns an error unless a bridge has the one flow that makes it an
// ordinary switch, and no other. Others could send frames anywhere, whatever the
// settings of the ports are.
func (s *Switch) Ordinary(ctx context.Context, bridge string) error {
	ctx, cancel := context.WithTimeout(ctx, openFlowTimeout)
	defer cancel()
	flows, err := s.strict.controller.ofctl(ctx, "dump-flows", s.strict.controller.target(bridge))
	if err != nil {
		return fmt.Errorf("the flows of the bridge '%s' cannot be looked at: %w", bridge, err)
	}
	if n := len(cookiePattern.FindAll(flows, -1)); n != 1 || !ordinaryFlow.Match(flows) {
		return fmt.Errorf("somebody gave the bridge '%s' flows of its own (%d): put 'priority=0,actions=NORMAL' in their place ('ovs-ofctl --bundle replace-flows')", bridge, n)
	}
	return nil
}
