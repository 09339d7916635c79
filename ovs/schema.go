package ovs

import (
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/model"
)

// The rows of ovs-vswitchd.conf.db(5), with the columns that isonet uses and
// no others. Every column must exist in Open vSwitch 2.17, the oldest
// supported: a server that lacks one refuses the whole session.

const database = "Open_vSwitch"

type openVSwitch struct {
	UUID        string            `ovsdb:"_uuid"`
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
	QoS         *string           `ovsdb:"qos"`
	// The rest is passed on as it is.
	CVLANs        []int   `ovsdb:"cvlans"`
	MAC           *string `ovsdb:"mac"`
	BondMode      *string `ovsdb:"bond_mode"`
	BondUpDelay   int     `ovsdb:"bond_updelay"`
	BondDownDelay int     `ovsdb:"bond_downdelay"`
	BondFakeIface bool    `ovsdb:"bond_fake_iface"`
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
	// The rest is passed on as it is.
	Options        map[string]string `ovsdb:"options"`
	OtherConfig    map[string]string `ovsdb:"other_config"`
	MAC            *string           `ovsdb:"mac"`
	OFPortRequest  *int              `ovsdb:"ofport_request"`
	PolicingRate   int               `ovsdb:"ingress_policing_rate"`
	PolicingBurst  int               `ovsdb:"ingress_policing_burst"`
	PolicingKRate  int               `ovsdb:"ingress_policing_kpkts_rate"`
	PolicingKBurst int               `ovsdb:"ingress_policing_kpkts_burst"`
}

type qos struct {
	UUID        string            `ovsdb:"_uuid"`
	Type        string            `ovsdb:"type"`
	Queues      map[int]string    `ovsdb:"queues"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	OtherConfig map[string]string `ovsdb:"other_config"`
}

type queue struct {
	UUID        string            `ovsdb:"_uuid"`
	DSCP        *int              `ovsdb:"dscp"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	OtherConfig map[string]string `ovsdb:"other_config"`
}

// flowSample is a row of Flow_Sample_Collector_Set, with the columns of its
// index, which the client needs.
type flowSample struct {
	UUID   string `ovsdb:"_uuid"`
	ID     int    `ovsdb:"id"`
	Bridge string `ovsdb:"bridge"`
}

// configuration is the session's view: everything but the counters. The root row's
// column bridges is not in it: a bridge that it does not refer to does not exist, and
// it would be told as a whole whenever the root row changes.
func configuration() (model.ClientDBModel, error) {
	m, err := model.NewClientDBModel(database, map[string]model.Model{
		"Open_vSwitch": &openVSwitch{}, "Bridge": &bridge{}, "Port": &port{}, "Interface": &iface{},
		"Flow_Sample_Collector_Set": &flowSample{}, "QoS": &qos{}, "Queue": &queue{},
	})
	if err != nil {
		return model.ClientDBModel{}, fmt.Errorf("describe the %s database: %w", database, err)
	}
	return m, nil
}
