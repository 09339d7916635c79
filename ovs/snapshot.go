package ovs

import (
	"maps"
	"slices"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/model"

	isonet "github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovsdb"
)

// picture is what the rows of a session say of the host. It is brought up to date
// by what changed: the other bridges stay the values that they were.
type picture struct {
	datapathType string
	// version returns a number that no other bridge has had, owner the network whose
	// bridge one is.
	version func() uint64
	owner   func(plan.Bridge) isonet.ID
	// bridges are those of the last update, by name, and names their names by UUID.
	bridges map[string]plan.Bridge
	names   map[string]string
	// users are the rows that refer to a row: the bridges to a port, the ports to an
	// interface and to a QoS, that to a queue.
	users map[string][]string
	// qos are the rows of the QoS table.
	qos map[string]bool
}

func newPicture(datapathType string, version func() uint64, owner func(plan.Bridge) isonet.ID) *picture {
	return &picture{
		datapathType: datapathType, version: version, owner: owner,
		bridges: map[string]plan.Bridge{}, names: map[string]string{}, users: map[string][]string{},
	}
}

// update returns the host as the rows of one moment describe it, and the names of
// the bridges that may not be what they were at the last update. It returns nil when the
// database has no root row.
func (p *picture) update(all ovsdb.Tables, changes ovsdb.Changes) (actual *plan.Actual, changed []string) {
	if len(changes["QoS"]) > 0 {
		p.qos = map[string]bool{}
		for uuid := range all["QoS"] {
			p.qos[uuid] = true
		}
	}
	changed = p.rebuild(all, p.touched(changes))
	root := only[openVSwitch](all["Open_vSwitch"])
	if root == nil {
		return nil, changed
	}
	return &plan.Actual{
		SystemID:      root.ExternalIDs["system-id"],
		RootUUID:      root.UUID,
		RunDir:        root.ExternalIDs["rundir"],
		NextCfg:       root.NextCfg,
		CurCfg:        root.CurCfg,
		OVSVersion:    value(root.OVSVersion),
		SchemaVersion: value(root.DBVersion),
		DatapathType:  p.datapathType,
		Managers:      len(root.Managers),
		Restoring:     enabled(root.OtherConfig, "flow-restore-wait"),
		Offloads:      enabled(root.OtherConfig, "userspace-tso-enable"),
		Bridges:       p.bridges,
		QoS:           p.qos,
	}, changed
}

// touched returns the UUIDs of the bridges that may not be as they were.
func (p *picture) touched(changes ovsdb.Changes) map[string]bool {
	touched := map[string]bool{}
	for uuid, c := range changes["Bridge"] {
		touched[uuid] = true
		p.refer(uuid, portsOf(c.Before), portsOf(c.After))
	}
	for uuid, c := range changes["Port"] {
		p.refer(uuid, partsOf(c.Before), partsOf(c.After))
	}
	for uuid, c := range changes["QoS"] {
		p.refer(uuid, queuesOf(c.Before), queuesOf(c.After))
	}
	for _, table := range []string{"Port", "Interface", "QoS", "Queue"} {
		for uuid := range changes[table] {
			p.touch(uuid, touched)
		}
	}
	for _, c := range changes["Flow_Sample_Collector_Set"] {
		for _, row := range []model.Model{c.Before, c.After} {
			if sample, ok := row.(*flowSample); ok {
				touched[sample.Bridge] = true
			}
		}
	}
	return touched
}

// refer records that a row refers to others than before.
func (p *picture) refer(row string, before, after []string) {
	for _, other := range before {
		if p.users[other] = slices.DeleteFunc(p.users[other], func(user string) bool { return user == row }); len(p.users[other]) == 0 {
			delete(p.users, other)
		}
	}
	for _, other := range after {
		p.users[other] = append(p.users[other], row)
	}
}

func portsOf(row model.Model) []string {
	if b, ok := row.(*bridge); ok {
		return b.Ports
	}
	return nil
}

func partsOf(row model.Model) []string {
	p, ok := row.(*port)
	switch {
	case !ok:
		return nil
	case p.QoS != nil:
		return append(slices.Clone(p.Interfaces), *p.QoS)
	}
	return p.Interfaces
}

func queuesOf(row model.Model) []string {
	if q, ok := row.(*qos); ok {
		return slices.Collect(maps.Values(q.Queues))
	}
	return nil
}

// touch adds what refers to a row, by way of others: the bridges are at the end.
func (p *picture) touch(row string, touched map[string]bool) {
	for _, user := range p.users[row] {
		touched[user] = true
		p.touch(user, touched)
	}
}

// rebuild makes bridges anew, and returns the names that they had and have. The map
// of the last update stays as it is.
func (p *picture) rebuild(all ovsdb.Tables, touched map[string]bool) (changed []string) {
	if len(touched) == 0 {
		return nil
	}
	bridges := maps.Clone(p.bridges)
	for uuid := range touched {
		if name, known := p.names[uuid]; known {
			delete(bridges, name)
			delete(p.names, uuid)
			changed = append(changed, name)
		}
	}
	for uuid := range touched {
		if row, there := all["Bridge"][uuid].(*bridge); there {
			b := newBridge(row, all)
			b.Version, b.Network = p.version(), p.owner(b)
			bridges[b.Name], p.names[uuid] = b, b.Name
			changed = append(changed, b.Name)
		}
	}
	p.bridges = bridges
	return changed
}

// chooseDatapath picks the kernel's datapath for "auto" when the kernel has
// it. vswitchd's own list of datapath types does not tell: it names "system"
// whether or not the module is there.
func chooseDatapath(wanted string) string {
	if wanted != AutoDatapath {
		return wanted
	}
	if HasKernelDatapath() {
		return plan.KernelDatapath
	}
	return plan.UserspaceDatapath
}

// place decides in which datapath the bridges are to be. What was in use when
// isonetd began stays where it was; where isonetd is to choose, it chooses that.
func (d *datapath) place(actual *plan.Actual) {
	if d.kept == nil {
		d.kept = actual.InUse()
	}
	if d.auto {
		d.chosen = d.choose()
	}
	actual.DatapathType, actual.Kept = d.chosen, d.kept
}

// datapath is where bridges are made.
type datapath struct {
	auto   bool
	chosen string
	// kept are the types of the bridges that were in use at the first look, by the
	// UUIDs of their rows; nil before.
	kept map[string]string
}

// choose returns the type for "auto": that of the bridges in use if they agree.
// The kernel may have had the module before a start, or have it only later.
func (d *datapath) choose() string {
	used := map[string]bool{}
	for _, t := range d.kept {
		used[t] = true
	}
	if len(used) != 1 {
		return d.chosen
	}
	for t := range used {
		if t == d.chosen || t == plan.UserspaceDatapath || HasKernelDatapath() {
			return t
		}
	}
	return d.chosen
}

func newBridge(row *bridge, tables ovsdb.Tables) plan.Bridge {
	b := plan.Bridge{
		UUID:          row.UUID,
		Name:          row.Name,
		DatapathType:  row.DatapathType,
		FailMode:      value(row.FailMode),
		ExternalIDs:   row.ExternalIDs,
		OtherConfig:   row.OtherConfig,
		Controllers:   len(row.Controller),
		Mirrors:       len(row.Mirrors),
		NetFlow:       count(row.NetFlow),
		SFlow:         count(row.SFlow),
		IPFIX:         count(row.IPFIX),
		AutoAttach:    count(row.AutoAttach),
		STP:           row.STP,
		RSTP:          row.RSTP,
		McastSnooping: row.McastSnooping,
		Protocols:     row.Protocols,
		FlowTables:    len(row.FlowTables),
	}
	for uuid, sample := range tables["Flow_Sample_Collector_Set"] {
		if f, ok := sample.(*flowSample); ok && f.Bridge == row.UUID {
			b.FlowSamples = append(b.FlowSamples, uuid)
		}
	}
	slices.Sort(b.FlowSamples)
	for _, uuid := range row.Ports {
		if row, ok := tables["Port"][uuid].(*port); ok {
			b.Ports = append(b.Ports, newPort(row, tables))
		}
	}
	slices.SortFunc(b.Ports, func(a, b plan.Port) int { return strings.Compare(a.Name, b.Name) })
	return b
}

func newPort(row *port, tables map[string]map[string]model.Model) plan.Port {
	p := plan.Port{
		UUID:        row.UUID,
		Name:        row.Name,
		VLANMode:    value(row.VLANMode),
		Tag:         -1,
		Trunks:      row.Trunks,
		Protected:   row.Protected,
		LACP:        value(row.LACP),
		ExternalIDs: row.ExternalIDs,
		OtherConfig: row.OtherConfig,
		QoS:         newQoS(row.QoS, tables),
		Rest:        row.rest(),
	}
	if row.Tag != nil {
		p.Tag = *row.Tag
	}
	for _, uuid := range row.Interfaces {
		i, ok := tables["Interface"][uuid].(*iface)
		if !ok {
			continue
		}
		p.Interfaces = append(p.Interfaces, plan.Interface{
			UUID:        i.UUID,
			Name:        i.Name,
			Type:        i.Type,
			MTURequest:  value(i.MTURequest),
			MTU:         value(i.MTU),
			OFPort:      value(i.OFPort),
			IfIndex:     ifIndex(i.IfIndex),
			Error:       value(i.Error),
			LinkUp:      value(i.LinkState) == "up",
			ExternalIDs: i.ExternalIDs,
			LLDP:        enabled(i.LLDP, "enable"),
			BFD:         enabled(i.BFD, "enable"),
			CFM:         i.CFM != nil,
			Rest:        i.rest(),
		})
	}
	slices.SortFunc(p.Interfaces, func(a, b plan.Interface) int { return strings.Compare(a.Name, b.Name) })
	return p
}

// enabled reads a key that is off by default as vswitchd does: "true" in any
// case, and nothing else, turns it on (smap_get_bool).
func enabled(m map[string]string, key string) bool { return plan.True(m[key]) }

// ifIndex reads the column of that name, in which vswitchd writes 0 when there is
// no device of the name.
func ifIndex(column *int) int {
	if column != nil && *column == 0 {
		return -1
	}
	return value(column)
}

// only returns the row of a table that has exactly one.
func only[T any](table map[string]model.Model) *T {
	if len(table) != 1 {
		return nil
	}
	for _, row := range table {
		if t, ok := row.(any).(*T); ok {
			return t
		}
	}
	return nil
}

// value returns what an optional column holds, or the zero value.
func value[T any](column *T) T {
	if column == nil {
		var zero T
		return zero
	}
	return *column
}

func count(reference *string) int {
	if reference == nil {
		return 0
	}
	return 1
}
