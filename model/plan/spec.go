package plan

import (
	"maps"
	"slices"
	"strconv"

	"github.com/isonet/isonet/model"
)

// The external_ids by which others know isonet's rows, and isonet those of
// bridges that it has not seen before. They are on the bridge and on its local
// port.
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

// SecureFailMode is the fail_mode of a bridge that forwards nothing by itself.
const SecureFailMode = "secure"

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
	// FailMode is secure for a strict network: without its flows nothing passes.
	// Otherwise it is "", which makes the bridge a switch of its own.
	FailMode string
}

// NewSpec returns the bridge for a network.
func NewSpec(n model.Network, datapathType string) Spec {
	s := Spec{
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
		OtherConfig: map[string]string{disableInBand: "true"},
		VLANMode:    "trunk",
		Trunks:      []int{deadTrunk},
		MTU:         n.EffectiveMTU(),
	}
	if n.Strict {
		s.FailMode = SecureFailMode
	}
	return s
}

// repair compares a bridge with what it must be. It reports whether anything
// differs. The settings that hold the network's isolation are left as they are
// where that is wanted; what makes the bridge the network's never is.
func (s Spec) repair(b Bridge, applied bool, spared func(Setting) bool) (Repair, bool) {
	r := Repair{Spec: s, Have: b}
	// A reset ends when vswitchd has taken the bridge down.
	resetting := b.DatapathType == ResetDatapath && !applied
	for _, c := range []struct {
		column Column
		ok     bool
	}{
		{DatapathType, b.DatapathType == s.DatapathType || resetting},
		{FailMode, b.FailMode == s.FailMode},
		{ExternalIDs, includes(b.ExternalIDs, s.ExternalIDs)},
		{McastSnooping, !b.McastSnooping},
		{Protocols, speaks(b)},
		{FlowTables, b.FlowTables == 0},
	} {
		if !c.ok {
			r.Bridge = append(r.Bridge, c.column)
		}
	}
	local, hasLocal := b.Local()
	switch {
	case !hasLocal:
		r.AddLocal = true
	case !includes(local.ExternalIDs, s.PortExternalIDs()):
		r.Port = append(r.Port, ExternalIDs)
	}
	for _, i := range local.Interfaces {
		if i.MTURequest != s.MTU {
			r.Interface = append(r.Interface, MTURequest)
			break
		}
	}
	r.isolate(spared)
	return r, !r.empty()
}

// isolation returns what to put back on a bridge so that its ports stay
// isolated, and nothing else.
func (s Spec) isolation(b Bridge, spared func(Setting) bool) (Repair, bool) {
	r := Repair{Spec: s, Have: b}
	r.isolate(spared)
	return r, !r.empty()
}

// isolate adds the settings that hold the isolation.
func (r *Repair) isolate(spared func(Setting) bool) {
	for _, d := range r.Spec.Deviations(r.Have) {
		if !d.Stuck && !spared(d) {
			r.restore(d)
		}
	}
}

func (r *Repair) empty() bool {
	return !r.AddLocal && len(r.Bridge)+len(r.Port)+len(r.Interface)+len(r.Silence) == 0
}

// restore adds a setting to what the repair puts back.
func (r *Repair) restore(d Setting) {
	switch {
	case d.Interface.UUID != "" || d.Port.UUID != "":
		r.Silence = append(r.Silence, d)
	case d.Local:
		r.Port = append(r.Port, d.Column)
	default:
		if !slices.Contains(r.Bridge, d.Column) {
			r.Bridge = append(r.Bridge, d.Column)
		}
		r.Reset = r.Reset || d.Column == RSTP && len(r.Have.Endpoints()) > 0
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
