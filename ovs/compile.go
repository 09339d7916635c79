package ovs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model/plan"
)

// compile turns a plan into the operations of one transaction (RFC 7047
// section 5.2). Its last operation selects the new next_cfg.
//
// What guards it: a repair or a removal of a bridge waits, with a timeout of 0, for the
// bridge to be as the plan saw it, so that a port plugged in meanwhile fails
// the transaction instead of vanishing with its bridge. A change of a port waits
// for the port to be as it was judged. An adoption waits for all that the bridge
// was judged by. A new bridge needs no wait: names are
// unique by the schema's index.
//
// A plan with a column that is not known here is an error, and nothing is sent.
func compile(p plan.Plan, root string) ([]ovsdb.Operation, error) {
	c := compiler{root: root}
	again := map[string][]any{} // by the names of bridges that are created
	for _, plug := range p.Plug {
		if plug.Bridge == "" {
			again[plug.Name] = append(again[plug.Name], c.plug(plug.Port))
		}
	}
	for _, s := range p.Create {
		c.create(s, again[s.Name])
	}
	for _, r := range p.Repair {
		c.repair(r)
	}
	for _, plug := range p.Plug { // after what waits for the ports that were there
		if plug.Bridge != "" {
			c.addPort(plug.Bridge, c.plug(plug.Port))
		}
	}
	for _, change := range p.Ports {
		c.port(change)
	}
	for _, m := range p.MTU {
		c.update("Interface", m.Interface.UUID, ovsdb.Row{"mtu_request": m.Bytes})
	}
	for _, protect := range p.Protect {
		c.update("Port", protect.Port.UUID, ovsdb.Row{"protected": protect.On})
	}
	for _, r := range p.Adopt {
		c.guardAdopted(r.Have)
		c.repair(r)
	}
	for _, r := range p.Release {
		c.release(r)
	}
	for _, b := range p.Delete {
		c.guard(b)
		c.deleted = append(c.deleted, ovsdb.UUID{GoUUID: b.UUID})
	}
	c.finish()
	return c.operations, c.err
}

type compiler struct {
	root             string
	operations       []ovsdb.Operation
	created, deleted []any
	err              error
}

func (c *compiler) add(op ovsdb.Operation) { c.operations = append(c.operations, op) }

// create inserts a bridge with some ports that are inserted already.
func (c *compiler) create(s plan.Spec, ports []any) {
	name := fmt.Sprintf("bridge%d", len(c.created))
	c.add(ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Bridge", UUIDName: name, Row: ovsdb.Row{
		"name":          s.Name,
		"datapath_type": s.DatapathType,
		"fail_mode":     failMode(s),
		"ports":         ovsdb.OvsSet{GoSet: append(ports, c.localPort(s, len(c.created), c.insertLocal(s, len(c.created))))},
		"external_ids":  ovsMap(s.ExternalIDs),
		"other_config":  ovsMap(s.OtherConfig),
	}})
	c.created = append(c.created, ovsdb.UUID{GoUUID: name})
}

func failMode(s plan.Spec) any {
	if s.FailMode == "" {
		return ovsdb.OvsSet{}
	}
	return s.FailMode
}

// unique returns a number for the names of a repair's new rows. They must not
// clash with those of create: repairs come after.
func (c *compiler) unique() int { return len(c.created) + len(c.operations) }

// ownInterface returns the interface of a bridge's own device, wherever it is,
// or inserts it.
func (c *compiler) ownInterface(r plan.Repair) ovsdb.UUID {
	if i, there := r.Have.OwnInterface(); there {
		return ovsdb.UUID{GoUUID: i.UUID}
	}
	return c.insertLocal(r.Spec, c.unique())
}

// insertLocal inserts the interface of a bridge's own device and returns the
// reference to it.
func (c *compiler) insertLocal(s plan.Spec, n int) ovsdb.UUID {
	name := fmt.Sprintf("iface%d", n)
	c.add(ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Interface", UUIDName: name, Row: ovsdb.Row{
		"name":        s.Name,
		"type":        "internal",
		"mtu_request": s.MTU,
	}})
	return ovsdb.UUID{GoUUID: name}
}

// localPort inserts the local port of a bridge, with its interface, and returns
// the reference to it.
func (c *compiler) localPort(s plan.Spec, n int, own ovsdb.UUID) ovsdb.UUID {
	portName := fmt.Sprintf("port%d", n)
	c.add(ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Port", UUIDName: portName, Row: ovsdb.Row{
		"name":         s.Name,
		"interfaces":   own,
		"vlan_mode":    s.VLANMode,
		"trunks":       ovsSet(s.Trunks),
		"external_ids": ovsMap(s.PortExternalIDs()),
	}})
	return ovsdb.UUID{GoUUID: portName}
}

func (c *compiler) repair(r plan.Repair) {
	c.guard(r.Have)
	row := c.bridgeRow(r)
	for _, h := range r.Elsewhere {
		c.add(ovsdb.Operation{
			Op: ovsdb.OperationMutate, Table: "Bridge", Where: byUUID(h.Bridge),
			Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("ports", ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: []any{ovsdb.UUID{GoUUID: h.Port.UUID}}})},
		})
	}
	if r.AddLocal {
		c.addPort(r.Have.UUID, c.localPort(r.Spec, c.unique(), c.ownInterface(r)))
	}
	if r.Reset {
		row["datapath_type"] = plan.ResetDatapath
	}
	if len(row) > 0 {
		c.update("Bridge", r.Have.UUID, row)
	}
	c.repairLocal(r)
	if slices.Contains(r.Bridge, plan.Mirrors) {
		c.revalidate(r.Have)
	}
	for _, d := range r.Silence {
		c.silence(d)
	}
}

// bridgeRow returns the columns of a bridge that are set as a whole, and changes
// the others.
func (c *compiler) bridgeRow(r plan.Repair) ovsdb.Row {
	row := ovsdb.Row{}
	for _, column := range r.Bridge {
		name := string(column)
		switch column {
		case plan.DatapathType:
			row[name] = r.Spec.DatapathType
		case plan.FailMode:
			row[name] = failMode(r.Spec)
		case plan.ExternalIDs:
			c.mutateMap("Bridge", r.Have.UUID, name, lacking(r.Have.ExternalIDs, r.Spec.ExternalIDs))
		case plan.InBand, plan.BPDU:
			of, key, _ := strings.Cut(name, ":")
			c.setKey("Bridge", r.Have.UUID, of, key, r.Spec.OtherConfig)
		case plan.FlowSamples:
			for _, uuid := range r.Have.FlowSamples {
				c.add(ovsdb.Operation{Op: ovsdb.OperationDelete, Table: "Flow_Sample_Collector_Set", Where: byUUID(uuid)})
			}
		case plan.STP, plan.RSTP, plan.McastSnooping:
			row[name] = false
		case plan.FlowTables:
			row[name] = ovsdb.OvsMap{}
		case plan.Controller, plan.Mirrors, plan.NetFlow, plan.SFlow, plan.IPFIX, plan.AutoAttach, plan.Protocols:
			row[name] = ovsdb.OvsSet{}
		default:
			c.unknown("Bridge", column)
		}
	}
	return row
}

// unknown makes the plan fail: what a column must be was forgotten here.
func (c *compiler) unknown(table string, column plan.Column) {
	c.err = errors.Join(c.err, fmt.Errorf("isonetd does not know how to set the column %s of %s: report that as a fault of isonet", column, table))
}

// addPort adds a port to a bridge that is there.
func (c *compiler) addPort(bridge string, port ovsdb.UUID) {
	c.add(ovsdb.Operation{
		Op: ovsdb.OperationMutate, Table: "Bridge", Where: byUUID(bridge),
		Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("ports", ovsdb.MutateOperationInsert, ovsdb.OvsSet{GoSet: []any{port}})},
	})
}

// revalidate makes vswitchd compute its cached flows anew. Open vSwitch 3.1
// does not do that when a mirror goes: flows that are in use would be copied
// for as long as they last. It does when a port's handling of priority tags
// changes, which is of no consequence for a local port that carries nothing.
func (c *compiler) revalidate(b plan.Bridge) {
	const key, on = "priority-tags", "if-nonzero"
	local, ok := b.Local()
	if !ok {
		return // the new one does it
	}
	want := map[string]string{}
	if local.OtherConfig[key] != on {
		want[key] = on
	}
	c.setKey("Port", local.UUID, "other_config", key, want)
}

// silence stops vswitchd from sending frames of its own out of a port.
func (c *compiler) silence(d plan.Setting) {
	switch name := string(d.Column); d.Column {
	case plan.LACP:
		c.update("Port", d.Port.UUID, ovsdb.Row{name: ovsdb.OvsSet{}})
	case plan.CFM:
		c.update("Interface", d.Interface.UUID, ovsdb.Row{name: ovsdb.OvsSet{}})
	case plan.LLDP, plan.BFD:
		c.setKey("Interface", d.Interface.UUID, name, "enable", nil)
	default:
		c.unknown("Port or Interface", d.Column)
	}
}

// setKey gives one key of a map the value that it has in want, or none.
func (c *compiler) setKey(table, uuid, column, key string, want map[string]string) {
	mutations := []ovsdb.Mutation{*ovsdb.NewMutation(column, ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: []any{key}})}
	if value, ok := want[key]; ok {
		mutations = append(mutations, *ovsdb.NewMutation(column, ovsdb.MutateOperationInsert, ovsMap(map[string]string{key: value})))
	}
	c.add(ovsdb.Operation{Op: ovsdb.OperationMutate, Table: table, Where: byUUID(uuid), Mutations: mutations})
}

func (c *compiler) repairLocal(r plan.Repair) {
	local, ok := r.Have.Local()
	if !ok {
		return
	}
	row := ovsdb.Row{}
	for _, column := range r.Port {
		name := string(column)
		switch column {
		case plan.VLANMode:
			row[name] = r.Spec.VLANMode
		case plan.Trunks:
			row[name] = ovsSet(r.Spec.Trunks)
		case plan.Tag:
			row[name] = ovsdb.OvsSet{}
		case plan.Interfaces:
			row[name] = c.ownInterface(r)
		case plan.ExternalIDs:
			c.mutateMap("Port", local.UUID, name, lacking(local.ExternalIDs, r.Spec.PortExternalIDs()))
		default:
			c.unknown("Port", column)
		}
	}
	if len(row) > 0 {
		c.update("Port", local.UUID, row)
	}
	if slices.Contains(r.Interface, plan.MTURequest) {
		for _, i := range local.Interfaces {
			c.update("Interface", i.UUID, ovsdb.Row{"mtu_request": r.Spec.MTU})
		}
	}
}

func (c *compiler) update(table, uuid string, row ovsdb.Row) {
	c.add(ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: table, Where: byUUID(uuid), Row: row})
}

// lacking returns what a map has to get: most keys have their values already, and
// the others are all that has to be sent.
func lacking(have, want map[string]string) map[string]string {
	lacks := maps.Clone(want)
	maps.DeleteFunc(lacks, func(key, value string) bool {
		old, present := have[key]
		return present && old == value
	})
	return lacks
}

// mutateMap sets some keys of a map and leaves the others alone. OVSDB's
// insert keeps the value of a key that is there, so the keys go first.
func (c *compiler) mutateMap(table, uuid, column string, want map[string]string) {
	keys := make([]any, 0, len(want))
	for _, key := range slices.Sorted(maps.Keys(want)) {
		keys = append(keys, key)
	}
	c.add(ovsdb.Operation{
		Op: ovsdb.OperationMutate, Table: table, Where: byUUID(uuid),
		Mutations: []ovsdb.Mutation{
			*ovsdb.NewMutation(column, ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: keys}),
			*ovsdb.NewMutation(column, ovsdb.MutateOperationInsert, ovsMap(want)),
		},
	})
}

// guard makes the transaction fail unless the bridge still has the ports and
// the marks that the plan saw.
func (c *compiler) guard(b plan.Bridge) {
	ports := make([]any, len(b.Ports))
	for i, p := range b.Ports {
		ports[i] = ovsdb.UUID{GoUUID: p.UUID}
	}
	c.wait("Bridge", b.UUID, ovsdb.Row{"ports": ovsdb.OvsSet{GoSet: ports}, "external_ids": ovsMap(b.ExternalIDs)})
}

// wait makes the transaction fail unless a row has these values.
func (c *compiler) wait(table, uuid string, row ovsdb.Row) {
	noWait := 0
	c.add(ovsdb.Operation{
		Op: ovsdb.OperationWait, Table: table, Where: byUUID(uuid), Timeout: &noWait,
		Columns: slices.Sorted(maps.Keys(row)), Until: string(ovsdb.WaitConditionEqual), Rows: []ovsdb.Row{row},
	})
}

// finish adds and removes the bridges at the root, where the database's garbage
// collection starts, and asks vswitchd to report when it has applied all.
func (c *compiler) finish() {
	mutations := []ovsdb.Mutation{*ovsdb.NewMutation("next_cfg", ovsdb.MutateOperationAdd, 1)}
	if len(c.created) > 0 {
		mutations = append(mutations, *ovsdb.NewMutation("bridges", ovsdb.MutateOperationInsert, ovsdb.OvsSet{GoSet: c.created}))
	}
	if len(c.deleted) > 0 {
		mutations = append(mutations, *ovsdb.NewMutation("bridges", ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: c.deleted}))
	}
	c.add(ovsdb.Operation{Op: ovsdb.OperationMutate, Table: "Open_vSwitch", Where: byUUID(c.root), Mutations: mutations})
	c.add(ovsdb.Operation{Op: ovsdb.OperationSelect, Table: "Open_vSwitch", Where: byUUID(c.root), Columns: []string{"next_cfg"}})
}

func byUUID(uuid string) []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition("_uuid", ovsdb.ConditionEqual, ovsdb.UUID{GoUUID: uuid})}
}

func ovsMap(m map[string]string) ovsdb.OvsMap {
	converted := make(map[any]any, len(m))
	for key, v := range m {
		converted[key] = v
	}
	return ovsdb.OvsMap{GoMap: converted}
}

func ovsSet(values []int) ovsdb.OvsSet {
	set := make([]any, len(values))
	for i, v := range values {
		set[i] = v
	}
	return ovsdb.OvsSet{GoSet: set}
}
