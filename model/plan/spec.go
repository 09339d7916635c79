package plan

import (
	"maps"
	"slices"
	"strconv"

	"github.com/isonet/isonet/model"
)

// The external_ids by which isonet knows its own rows. They are on the bridge
// and on its local port, so that a bridge whose own marks were wiped is still
// known.
const (
	OwnerKey    = "owner"
	Owner       = "isonet"
	NetworkKey  = "isonet-network-id"
	NameKey     = "isonet-network-name"
	RevisionKey = "isonet-revision"
)

// deadTrunk is the one VLAN that the local port carries. Linux drops frames of
// VLAN 4095, so the host's own stack is cut off even if somebody sets the
// bridge's device up.
const deadTrunk = 4095

// Spec is the bridge that a network must be.
type Spec struct {
	NetworkID    model.ID
	Name         string
	DatapathType string
	ExternalIDs  map[string]string // the keys that isonet sets; others are kept
	OtherConfig  map[string]string // the keys that isonet sets; others are kept
	VLANMode     string            // of the local port
	Trunks       []int             // of the local port
	MTU          int               // bytes
}

// NewSpec returns the bridge for a network.
func NewSpec(n model.Network, datapathType string) Spec {
	return Spec{
		NetworkID:    n.ID,
		Name:         n.VdsmName,
		DatapathType: datapathType,
		ExternalIDs: map[string]string{
			OwnerKey:    Owner,
			NetworkKey:  string(n.ID),
			NameKey:     n.Name,
			RevisionKey: strconv.FormatInt(n.Revision, 10),
		},
		// In-band control would add hidden flows above every other.
		OtherConfig: map[string]string{"disable-in-band": "true"},
		VLANMode:    "trunk",
		Trunks:      []int{deadTrunk},
		MTU:         n.EffectiveMTU(),
	}
}

// NetworkOf returns the network whose bridge b is, by the marks on the bridge
// or on its local port. It is "" for a foreign bridge.
func NetworkOf(b Bridge) model.ID {
	marks := []map[string]string{b.ExternalIDs}
	if local, ok := b.Local(); ok {
		marks = append(marks, local.ExternalIDs)
	}
	for _, ids := range marks {
		if ids[OwnerKey] == Owner && ids[NetworkKey] != "" {
			return model.ID(ids[NetworkKey])
		}
	}
	return ""
}

// repair compares a bridge with what it must be. It reports whether anything
// differs.
func (s Spec) repair(b Bridge) (Repair, bool) {
	r := Repair{Spec: s, Have: b}
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"datapath_type", b.DatapathType == s.DatapathType},
		{"fail_mode", b.FailMode == ""},
		{"external_ids", includes(b.ExternalIDs, s.ExternalIDs)},
		{"other_config", includes(b.OtherConfig, s.OtherConfig)},
		{"controller", b.Controllers == 0},
		{"mirrors", b.Mirrors == 0},
		{"netflow", b.NetFlow == 0},
		{"sflow", b.SFlow == 0},
		{"ipfix", b.IPFIX == 0},
		{"auto_attach", b.AutoAttach == 0},
		{"stp_enable", !b.STP},
		{"rstp_enable", !b.RSTP || rstpInUse(b)},
		{"mcast_snooping_enable", !b.McastSnooping},
	} {
		if !c.ok {
			r.Bridge = append(r.Bridge, c.name)
		}
	}
	local, ok := b.Local()
	if !ok {
		r.AddLocal = true
		return r, true
	}
	s.repairLocal(&r, local)
	return r, len(r.Bridge)+len(r.Port)+len(r.Interface) > 0
}

// rstpInUse reports whether somebody enabled RSTP on a bridge that has ports.
// Open vSwitch 3.1 floods to none of the ports that were there when RSTP is
// disabled again, until each is unplugged and plugged in anew. Putting it back
// would cut the VMs off, so that waits until the bridge is empty.
func rstpInUse(b Bridge) bool { return b.RSTP && len(b.Endpoints()) > 0 }

func (s Spec) repairLocal(r *Repair, local Port) {
	if local.VLANMode != s.VLANMode {
		r.Port = append(r.Port, "vlan_mode")
	}
	if !slices.Equal(local.Trunks, s.Trunks) {
		r.Port = append(r.Port, "trunks")
	}
	if local.Tag >= 0 {
		r.Port = append(r.Port, "tag")
	}
	if !includes(local.ExternalIDs, s.PortExternalIDs()) {
		r.Port = append(r.Port, "external_ids")
	}
	for _, i := range local.Interfaces {
		if i.MTURequest != s.MTU {
			r.Interface = append(r.Interface, "mtu_request")
			break
		}
	}
}

// PortExternalIDs returns the marks of the local port.
func (s Spec) PortExternalIDs() map[string]string {
	return map[string]string{OwnerKey: Owner, NetworkKey: string(s.NetworkID)}
}

// includes reports whether have has every key of want with the same value.
func includes(have, want map[string]string) bool {
	for key := range maps.Keys(want) {
		if have[key] != want[key] {
			return false
		}
	}
	return true
}
