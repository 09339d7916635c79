package ovs

import (
	"slices"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/vishvananda/netlink"

	"github.com/isonet/isonet/model/plan"
)

// snapshot copies the rows of one moment. It returns nil when the database has
// no root row.
func snapshot(tables map[string]map[string]model.Model, datapathType string) *plan.Actual {
	root := only[openVSwitch](tables["Open_vSwitch"])
	if root == nil {
		return nil
	}
	actual := &plan.Actual{
		SystemID:      root.ExternalIDs["system-id"],
		RootUUID:      root.UUID,
		NextCfg:       root.NextCfg,
		CurCfg:        root.CurCfg,
		OVSVersion:    value(root.OVSVersion),
		SchemaVersion: value(root.DBVersion),
		DatapathType:  datapathType,
		Managers:      len(root.Managers),
		Restoring:     enabled(root.OtherConfig, "flow-restore-wait"),
		Bridges:       make(map[string]plan.Bridge, len(root.Bridges)),
	}
	for _, uuid := range root.Bridges {
		if row, ok := tables["Bridge"][uuid].(*bridge); ok {
			b := newBridge(row, tables)
			actual.Bridges[b.Name] = b
		}
	}
	return actual
}

// chooseDatapath picks the kernel's datapath for "auto" when the kernel has
// it. vswitchd's own list of datapath types does not tell: it names "system"
// whether or not the module is there.
func chooseDatapath(wanted string) string {
	if wanted != AutoDatapath {
		return wanted
	}
	// Asking for the family by name makes the kernel load the module if it can.
	if _, err := netlink.GenlFamilyGet("ovs_datapath"); err == nil {
		return "system"
	}
	return "netdev"
}

func newBridge(row *bridge, tables map[string]map[string]model.Model) plan.Bridge {
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
			b.Ports = append(b.Ports, newPort(row, tables["Interface"]))
		}
	}
	slices.SortFunc(b.Ports, func(a, b plan.Port) int { return strings.Compare(a.Name, b.Name) })
	return b
}

func newPort(row *port, ifaces map[string]model.Model) plan.Port {
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
	}
	if row.Tag != nil {
		p.Tag = *row.Tag
	}
	for _, uuid := range row.Interfaces {
		i, ok := ifaces[uuid].(*iface)
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
			IfIndex:     value(i.IfIndex),
			Error:       value(i.Error),
			LinkUp:      value(i.LinkState) == "up",
			ExternalIDs: i.ExternalIDs,
			LLDP:        enabled(i.LLDP, "enable"),
			BFD:         enabled(i.BFD, "enable"),
			CFM:         i.CFM != nil,
		})
	}
	slices.SortFunc(p.Interfaces, func(a, b plan.Interface) int { return strings.Compare(a.Name, b.Name) })
	return p
}

// enabled reads a key that is off by default as vswitchd does: "true" in any
// case, and nothing else, turns it on (smap_get_bool).
func enabled(m map[string]string, key string) bool { return plan.True(m[key]) }

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
