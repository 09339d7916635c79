package ovs

import (
	"maps"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/model"
)

// libovsdb copies a row several times whenever it changes, by way of JSON unless
// the row does it itself (model.CloneableModel).

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

func (o *openVSwitch) CloneModelInto(into model.Model) {
	c, _ := into.(*openVSwitch)
	*c = *o
	c.Bridges, c.Managers = slices.Clone(o.Bridges), slices.Clone(o.Managers)
	c.ExternalIDs, c.OtherConfig = maps.Clone(o.ExternalIDs), maps.Clone(o.OtherConfig)
	c.OVSVersion, c.DBVersion = copied(o.OVSVersion), copied(o.DBVersion)
}

func (o *openVSwitch) CloneModel() model.Model {
	c := &openVSwitch{}
	o.CloneModelInto(c)
	return c
}

func (b *bridge) CloneModelInto(into model.Model) {
	c, _ := into.(*bridge)
	*c = *b
	c.FailMode, c.NetFlow, c.SFlow = copied(b.FailMode), copied(b.NetFlow), copied(b.SFlow)
	c.IPFIX, c.AutoAttach = copied(b.IPFIX), copied(b.AutoAttach)
	c.ExternalIDs, c.OtherConfig = maps.Clone(b.ExternalIDs), maps.Clone(b.OtherConfig)
	c.Protocols, c.FlowTables = slices.Clone(b.Protocols), maps.Clone(b.FlowTables)
	c.Controller, c.Mirrors, c.Ports = slices.Clone(b.Controller), slices.Clone(b.Mirrors), slices.Clone(b.Ports)
}

func (b *bridge) CloneModel() model.Model {
	c := &bridge{}
	b.CloneModelInto(c)
	return c
}

func (p *port) CloneModelInto(into model.Model) {
	c, _ := into.(*port)
	*c = *p
	c.VLANMode, c.Tag, c.LACP = copied(p.VLANMode), copied(p.Tag), copied(p.LACP)
	c.Interfaces, c.Trunks = slices.Clone(p.Interfaces), slices.Clone(p.Trunks)
	c.ExternalIDs, c.OtherConfig = maps.Clone(p.ExternalIDs), maps.Clone(p.OtherConfig)
}

func (p *port) CloneModel() model.Model {
	c := &port{}
	p.CloneModelInto(c)
	return c
}

func (i *iface) CloneModelInto(into model.Model) {
	c, _ := into.(*iface)
	*c = *i
	c.MTU, c.MTURequest, c.CFM = copied(i.MTU), copied(i.MTURequest), copied(i.CFM)
	c.OFPort, c.IfIndex = copied(i.OFPort), copied(i.IfIndex)
	c.Error, c.LinkState = copied(i.Error), copied(i.LinkState)
	c.ExternalIDs, c.LLDP, c.BFD = maps.Clone(i.ExternalIDs), maps.Clone(i.LLDP), maps.Clone(i.BFD)
}

func (i *iface) CloneModel() model.Model {
	c := &iface{}
	i.CloneModelInto(c)
	return c
}

func (f *flowSample) CloneModelInto(into model.Model) {
	c, _ := into.(*flowSample)
	*c = *f
}

func (f *flowSample) CloneModel() model.Model { return copied(f) }
