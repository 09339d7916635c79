package ovs

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model/plan"
)

// columns are what is passed on of a row.
type columns struct{ plan.Columns }

func (c *columns) add(name string, set bool, value any) {
	if !set {
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		return // no value of a row is such
	}
	if c.Columns == nil {
		c.Columns = plan.Columns{}
	}
	c.Columns[name] = string(text)
}

func (c *columns) addMap(name string, m map[string]string) { c.add(name, len(m) > 0, ovsMap(m)) }

func (c *columns) addNumber(name string, n int) { c.add(name, n != 0, n) }

func (c *columns) addText(name string, s *string) { c.add(name, s != nil, value(s)) }

// rest returns what isonet passes on of a port. What it looks at itself is not
// among it.
func (p *port) rest() plan.Columns {
	var c columns
	c.add("cvlans", len(p.CVLANs) > 0, ovsSet(p.CVLANs))
	c.addText("mac", p.MAC)
	c.addText("bond_mode", p.BondMode)
	c.addNumber("bond_updelay", p.BondUpDelay)
	c.addNumber("bond_downdelay", p.BondDownDelay)
	c.add("bond_fake_iface", p.BondFakeIface, true)
	return c.Columns
}

func (i *iface) rest() plan.Columns {
	var c columns
	c.addMap("options", i.Options)
	c.addMap("other_config", i.OtherConfig)
	c.addMap("lldp", i.LLDP)
	c.addMap("bfd", i.BFD)
	c.add("cfm_mpid", i.CFM != nil, value(i.CFM))
	c.addText("mac", i.MAC)
	c.add("ofport_request", i.OFPortRequest != nil, value(i.OFPortRequest))
	c.addNumber("ingress_policing_rate", i.PolicingRate)
	c.addNumber("ingress_policing_burst", i.PolicingBurst)
	c.addNumber("ingress_policing_kpkts_rate", i.PolicingKRate)
	c.addNumber("ingress_policing_kpkts_burst", i.PolicingKBurst)
	return c.Columns
}

func newQoS(uuid *string, tables map[string]map[string]model.Model) *plan.QoS {
	row, ok := tables["QoS"][value(uuid)].(*qos)
	if !ok {
		return nil
	}
	var c columns
	c.add("type", true, row.Type)
	c.addMap("other_config", row.OtherConfig)
	c.addMap("external_ids", row.ExternalIDs)
	q := &plan.QoS{UUID: row.UUID, Rest: c.Columns, Queues: map[int]plan.Columns{}}
	for number, uuid := range row.Queues {
		if row, ok := tables["Queue"][uuid].(*queue); ok {
			var c columns
			c.add("dscp", row.DSCP != nil, value(row.DSCP))
			c.addMap("other_config", row.OtherConfig)
			c.addMap("external_ids", row.ExternalIDs)
			q.Queues[number] = c.Columns
		}
	}
	return q
}

// plug inserts a port that is plugged in again and returns the reference to it.
func (c *compiler) plug(p plan.Port) ovsdb.UUID {
	interfaces := make([]any, len(p.Interfaces))
	for n, i := range p.Interfaces {
		row := rowOf(i.Rest)
		row["name"], row["type"], row["external_ids"] = i.Name, i.Type, ovsMap(i.ExternalIDs)
		if i.MTURequest != 0 {
			row["mtu_request"] = i.MTURequest
		}
		interfaces[n] = c.insert("Interface", row)
	}
	row := rowOf(p.Rest)
	maps.Copy(row, vlanRow(plan.VLAN{Mode: p.VLANMode, Trunks: p.Trunks}))
	if p.Tag >= 0 {
		row["tag"] = p.Tag
	}
	if p.LACP != "" {
		row["lacp"] = p.LACP
	}
	if p.QoS != nil {
		row["qos"] = c.insertQoS(*p.QoS)
	}
	row["name"], row["protected"], row["interfaces"] = p.Name, p.Protected, ovsdb.OvsSet{GoSet: interfaces}
	row["external_ids"], row["other_config"] = ovsMap(p.ExternalIDs), ovsMap(p.OtherConfig)
	return c.insert("Port", row)
}

// insertQoS returns the reference to a QoS that is there still, or makes it and
// its queues anew.
func (c *compiler) insertQoS(q plan.QoS) ovsdb.UUID {
	if q.UUID != "" {
		return ovsdb.UUID{GoUUID: q.UUID}
	}
	row := rowOf(q.Rest)
	queues := map[any]any{}
	for _, number := range slices.Sorted(maps.Keys(q.Queues)) {
		queues[number] = c.insert("Queue", rowOf(q.Queues[number]))
	}
	row["queues"] = ovsdb.OvsMap{GoMap: queues}
	return c.insert("QoS", row)
}

// insert inserts a row and returns the reference to it.
func (c *compiler) insert(table string, row ovsdb.Row) ovsdb.UUID {
	name := "again" + strconv.Itoa(len(c.operations))
	c.add(ovsdb.Operation{Op: ovsdb.OperationInsert, Table: table, UUIDName: name, Row: row})
	return ovsdb.UUID{GoUUID: name}
}

func rowOf(c plan.Columns) ovsdb.Row {
	row := ovsdb.Row{}
	for name, text := range c {
		row[name] = json.RawMessage(text)
	}
	return row
}
