package ovs

import (
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
)

// The rows of ovs-vswitchd.conf.db(5), with the columns that isonet uses and
// no others. Every column must exist in Open vSwitch 2.17, the oldest
// supported: a server that lacks one refuses the whole session.

const database = "Open_vSwitch"

type openVSwitch struct {
	UUID        string            `ovsdb:"_uuid"`
	Bridges     []string          `ovsdb:"bridges"`
	CurCfg      int               `ovsdb:"cur_cfg"`
	NextCfg     int               `ovsdb:"next_cfg"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	OVSVersion  *string           `ovsdb:"ovs_version"`
	DBVersion   *string           `ovsdb:"db_version"`
	Managers    []string          `ovsdb:"manager_options"`
	OtherConfig map[string]string `ovsdb:"other_config"`
}

type bridge struct {
	UUID          string            `ovsdb:"_uuid"`
	Name          string            `ovsdb:"name"`
	DatapathType  string            `ovsdb:"datapath_type"`
	FailMode      *string           `ovsdb:"fail_mode"`
	ExternalIDs   map[string]string `ovsdb:"external_ids"`
	OtherConfig   map[string]string `ovsdb:"other_config"`
	Controller    []string          `ovsdb:"controller"`
	Mirrors       []string          `ovsdb:"mirrors"`
	NetFlow       *string           `ovsdb:"netflow"`
	SFlow         *string           `ovsdb:"sflow"`
	IPFIX         *string           `ovsdb:"ipfix"`
	AutoAttach    *string           `ovsdb:"auto_attach"`
	STP           bool              `ovsdb:"stp_enable"`
	RSTP          bool              `ovsdb:"rstp_enable"`
	McastSnooping bool              `ovsdb:"mcast_snooping_enable"`
	Protocols     []string          `ovsdb:"protocols"`
	FlowTables    map[int]string    `ovsdb:"flow_tables"`
	Ports         []string          `ovsdb:"ports"`
}

type port struct {
	UUID        string            `ovsdb:"_uuid"`
	Name        string            `ovsdb:"name"`
	Interfaces  []string          `ovsdb:"interfaces"`
	VLANMode    *string           `ovsdb:"vlan_mode"`
	Tag         *int              `ovsdb:"tag"`
	Trunks      []int             `ovsdb:"trunks"`
	Protected   bool              `ovsdb:"protected"`
	LACP        *string           `ovsdb:"lacp"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	OtherConfig map[string]string `ovsdb:"other_config"`
}

type iface struct {
	UUID        string            `ovsdb:"_uuid"`
	Name        string            `ovsdb:"name"`
	Type        string            `ovsdb:"type"`
	MTU         *int              `ovsdb:"mtu"`
	MTURequest  *int              `ovsdb:"mtu_request"`
	OFPort      *int              `ovsdb:"ofport"`
	IfIndex     *int              `ovsdb:"ifindex"`
	Error       *string           `ovsdb:"error"`
	LinkState   *string           `ovsdb:"link_state"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	LLDP        map[string]string `ovsdb:"lldp"`
	BFD         map[string]string `ovsdb:"bfd"`
	CFM         *int              `ovsdb:"cfm_mpid"`
}

// flowSample is a row of Flow_Sample_Collector_Set, with the columns of its
// index, which the client needs.
type flowSample struct {
	UUID   string `ovsdb:"_uuid"`
	ID     int    `ovsdb:"id"`
	Bridge string `ovsdb:"bridge"`
}

// followed returns the tables of the configuration.
func followed() []string {
	return []string{"Open_vSwitch", "Bridge", "Port", "Interface", "Flow_Sample_Collector_Set"}
}

// configuration is the session's view: everything but the counters.
func configuration() (model.ClientDBModel, []client.MonitorOption, error) {
	m, err := model.NewClientDBModel(database, map[string]model.Model{
		"Open_vSwitch": &openVSwitch{}, "Bridge": &bridge{}, "Port": &port{}, "Interface": &iface{},
		"Flow_Sample_Collector_Set": &flowSample{},
	})
	if err != nil {
		return model.ClientDBModel{}, nil, fmt.Errorf("describe the %s database: %w", database, err)
	}
	var (
		o openVSwitch
		b bridge
		p port
		i iface
		f flowSample
	)
	return m, []client.MonitorOption{
		client.WithTable(&o, &o.Bridges, &o.CurCfg, &o.NextCfg, &o.ExternalIDs, &o.OVSVersion, &o.DBVersion, &o.Managers, &o.OtherConfig),
		client.WithTable(&b, &b.Name, &b.DatapathType, &b.FailMode, &b.ExternalIDs, &b.OtherConfig, &b.Controller,
			&b.Mirrors, &b.NetFlow, &b.SFlow, &b.IPFIX, &b.AutoAttach, &b.STP, &b.RSTP, &b.McastSnooping, &b.Protocols,
			&b.FlowTables, &b.Ports),
		client.WithTable(&p, &p.Name, &p.Interfaces, &p.VLANMode, &p.Tag, &p.Trunks, &p.Protected, &p.LACP, &p.ExternalIDs, &p.OtherConfig),
		client.WithTable(&i, &i.Name, &i.Type, &i.MTU, &i.MTURequest, &i.OFPort, &i.IfIndex, &i.Error, &i.LinkState, &i.ExternalIDs,
			&i.LLDP, &i.BFD, &i.CFM),
		client.WithTable(&f, &f.ID, &f.Bridge),
	}, nil
}
