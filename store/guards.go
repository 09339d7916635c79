package store

import (
	"maps"
	"slices"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store/internal/schema"
)

// maxSearches is how many guards of a transaction may look through a whole table. One
// that needs more guards everything instead: a server would stand still for too long.
const maxSearches = 100

// resting is what a change may rest on beside the rows that it writes. The functions of
// model.Desired look at it, and somebody may change it at the same time by a valid change
// of other rows. What indexes and references of the schema refuse is not among it.
type resting struct {
	// hosts are those whose attachments or labels change: whether the host may have
	// them, and what it has by label.
	hosts map[model.ID]bool
	// networks are those that hosts lose or get: whether a label attaches them.
	networks map[model.ID]bool
	// attachments are those that hosts must have or lack whose networks are evicted or
	// released.
	attachments map[model.ID]bool
	// hostLabels are labels of which it matters which hosts have them, networkLabels
	// those of which it matters which networks.
	hostLabels, networkLabels map[string]bool
	// hostNames are names that an operator gives to hosts, which no other may have.
	hostNames map[string]bool
}

// guard adds the guards for what the changes of rows rest on.
func (c *compiler) guard(networks, hosts, attachments []model.ID) {
	r := resting{map[model.ID]bool{}, map[model.ID]bool{}, map[model.ID]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, id := range networks {
		c.guardNetwork(&r, id)
	}
	for _, id := range hosts {
		c.guardHost(&r, id)
	}
	for _, id := range attachments {
		a, stays := c.to.Attachments[id]
		if !stays {
			a = c.now.desired.Attachments[id]
		}
		r.hosts[a.Host], r.networks[a.Network] = true, true
		delete(r.attachments, id) // it is written, and guarded by that
	}
	c.all = c.to.RestsOnAll || len(r.hostLabels)+len(r.networkLabels)+len(r.hostNames) > maxSearches
	c.rows(r)
	if !c.all {
		c.searches(r)
	}
}

func (c *compiler) guardNetwork(r *resting, id model.ID) {
	before, existed := c.now.desired.Networks[id]
	after, exists := c.to.Networks[id]
	switch {
	case !exists: // references guard that no host has it
		return
	case !existed || before.Name != after.Name:
		c.names = true
	}
	if before.Label == after.Label {
		return
	}
	for _, label := range []string{before.Label, after.Label} {
		if label != "" {
			r.hostLabels[label] = true
		}
	}
}

func (c *compiler) guardHost(r *resting, id model.ID) {
	before, existed := c.now.desired.Hosts[id]
	after, exists := c.to.Hosts[id]
	if !exists {
		return
	}
	if existed && after.Named && (before.Name != after.Name || !before.Named) {
		r.hostNames[after.Name] = true
	}
	for _, label := range differing(before.Labels, after.Labels) {
		r.networkLabels[label] = true
	}
	left := slices.Concat(differing(before.Evicted, after.Evicted), differing(before.Released, after.Released))
	for _, network := range left {
		r.networks[network], r.attachments[model.AttachmentID(id, network)] = true, true
	}
	same := before.Maintenance == after.Maintenance && before.Decommissioned == after.Decommissioned
	if !same || len(left) > 0 || len(differing(before.Labels, after.Labels)) > 0 {
		r.hosts[id] = true
	}
}

// differing returns what only one of two sets has.
func differing[T comparable](a, b []T) []T {
	var list []T
	for _, one := range a {
		if !slices.Contains(b, one) {
			list = append(list, one)
		}
	}
	for _, one := range b {
		if !slices.Contains(a, one) {
			list = append(list, one)
		}
	}
	return list
}

// rows guards single rows, which the server finds by their UUIDs.
func (c *compiler) rows(r resting) {
	for _, id := range slices.Sorted(maps.Keys(r.hosts)) {
		if h, exists := c.now.written.Hosts[id]; exists { // else it is inserted with the rest
			c.guards = append(c.guards, unchanged(schema.HostTable, string(id), only(hostRow(h), "labels", "evicted", "released", "maintenance", "decommissioned")))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.networks)) {
		n, exists := c.now.written.Networks[id]
		switch _, stays := c.to.Networks[id]; {
		case exists:
			c.guards = append(c.guards, unchanged(schema.NetworkTable, string(id), only(networkRow(n), "label", "strict")))
		case !stays:
			c.guards = append(c.guards, absent(schema.NetworkTable, string(id)))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.attachments)) {
		if _, exists := c.now.written.Attachments[id]; exists {
			c.guards = append(c.guards, unchanged(schema.AttachmentTable, string(id), rfc.Row{"_uuid": rfc.UUID{GoUUID: string(id)}}))
		} else {
			c.guards = append(c.guards, absent(schema.AttachmentTable, string(id)))
		}
	}
}

// searches guards which rows have a value.
func (c *compiler) searches(r resting) {
	for _, label := range slices.Sorted(maps.Keys(r.hostLabels)) {
		rows := []rfc.Row{}
		for id, h := range c.now.written.Hosts {
			if slices.Contains(h.Labels, label) {
				rows = append(rows, identified(id, only(hostRow(h), "evicted", "released")))
			}
		}
		where := rfc.NewCondition("labels", rfc.ConditionIncludes, rfc.OvsSet{GoSet: []any{label}})
		c.guards = append(c.guards, asRead(schema.HostTable, []rfc.Condition{where}, []string{"_uuid", "evicted", "released"}, rows))
	}
	for _, label := range slices.Sorted(maps.Keys(r.networkLabels)) {
		rows := []rfc.Row{}
		for id, n := range c.now.written.Networks {
			if n.Label == label {
				rows = append(rows, identified(id, rfc.Row{}))
			}
		}
		where := rfc.NewCondition("label", rfc.ConditionEqual, optional(label))
		c.guards = append(c.guards, asRead(schema.NetworkTable, []rfc.Condition{where}, []string{"_uuid"}, rows))
	}
	for _, name := range slices.Sorted(maps.Keys(r.hostNames)) {
		rows := []rfc.Row{}
		for id, h := range c.now.written.Hosts {
			if h.Name == name {
				rows = append(rows, identified(id, rfc.Row{}))
			}
		}
		where := rfc.NewCondition("name", rfc.ConditionEqual, name)
		c.guards = append(c.guards, asRead(schema.HostTable, []rfc.Condition{where}, []string{"_uuid"}, rows))
	}
}

func identified(id model.ID, row rfc.Row) rfc.Row {
	row["_uuid"] = rfc.UUID{GoUUID: string(id)}
	return row
}

// only returns some columns of a row.
func only(row rfc.Row, columns ...string) rfc.Row {
	maps.DeleteFunc(row, func(column string, _ any) bool { return !slices.Contains(columns, column) })
	return row
}

// unchanged fails the transaction unless the row is there and has the columns'
// values.
func unchanged(table, uuid string, row rfc.Row) rfc.Operation {
	return asRead(table, byUUID(uuid), slices.Sorted(maps.Keys(row)), []rfc.Row{row})
}

// absent fails the transaction if the row is there.
func absent(table, uuid string) rfc.Operation {
	return asRead(table, byUUID(uuid), []string{"_uuid"}, []rfc.Row{})
}

// asRead fails the transaction unless a search finds these rows.
func asRead(table string, where []rfc.Condition, columns []string, rows []rfc.Row) rfc.Operation {
	noWait := 0
	return rfc.Operation{
		Op: rfc.OperationWait, Table: table, Where: where, Timeout: &noWait,
		Columns: columns, Until: string(rfc.WaitConditionEqual), Rows: rows,
	}
}

func byUUID(uuid string) []rfc.Condition {
	return []rfc.Condition{rfc.NewCondition("_uuid", rfc.ConditionEqual, rfc.UUID{GoUUID: uuid})}
}
