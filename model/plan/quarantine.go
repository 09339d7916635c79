package plan

import (
	"encoding/json"
	"slices"

	"github.com/isonet/isonet/model"
)

// The external_ids of a port in quarantine: why it is, and the VLAN settings
// that it had before, as JSON. Anybody can write them: they say what to give
// back, never whether to.
const (
	QuarantineKey    = "isonet-quarantine"
	QuarantineWasKey = "isonet-quarantine-was"
)

// PortVerb is what to do with a port.
type PortVerb string

// What isolation can ask for.
const (
	RemovePort     PortVerb = "remove"
	QuarantinePort PortVerb = "quarantine"
	ReleasePort    PortVerb = "release"
	// PrunePort removes a port whose device vanished. No isolation asks for it.
	PrunePort PortVerb = "prune"
)

// PortChange changes a port that somebody plugged in.
type PortChange struct {
	Network model.ID
	Bridge  string // the UUID of its row
	Port    Port
	Do      PortVerb
	// Reason is why, a stable identifier.
	Reason string
	// VLAN is what to remember when the port goes into quarantine, and what to
	// give back when it leaves.
	VLAN VLAN
}

// VLAN are the columns of a port that the quarantine overwrites.
type VLAN struct {
	Mode   string `json:"vlan_mode,omitempty"`
	Tag    *int   `json:"tag,omitempty"`
	Trunks []int  `json:"trunks,omitempty"`
}

// Quarantine returns the change that cuts a port off. What it was before is
// what was remembered, if that can be read and the port was cut off already or
// opened by somebody else since.
func Quarantine(network model.ID, b Bridge, p Port, reason string) PortChange {
	was, remembered := p.remembered()
	if !remembered {
		was = p.vlan()
	}
	return PortChange{Network: network, Bridge: b.UUID, Port: p, Do: QuarantinePort, Reason: reason, VLAN: was}
}

// Unquarantine returns the change that gives a port its former VLAN settings
// back. A port that is not cut off keeps those that it has.
func Unquarantine(network model.ID, b Bridge, p Port) PortChange {
	was, remembered := p.remembered()
	switch {
	case !p.CutOff():
		was = p.vlan()
	case !remembered:
		was = VLAN{}
	}
	return PortChange{Network: network, Bridge: b.UUID, Port: p, Do: ReleasePort, Reason: p.ExternalIDs[QuarantineKey], VLAN: was}
}

// Marked says that the port bears isonet's mark of quarantine.
func (p Port) Marked() bool {
	_, quarantine := p.ExternalIDs[QuarantineKey]
	_, was := p.ExternalIDs[QuarantineWasKey]
	return quarantine || was
}

// CutOff says that the port carries only a VLAN that nobody can use.
func (p Port) CutOff() bool {
	return p.VLANMode == "trunk" && p.Tag < 0 && slices.Equal(p.Trunks, []int{deadTrunk})
}

// DeadTrunks returns the VLANs of a port that is cut off.
func DeadTrunks() []int { return []int{deadTrunk} }

func (p Port) vlan() VLAN {
	was := VLAN{Mode: p.VLANMode, Trunks: p.Trunks}
	if p.Tag >= 0 {
		was.Tag = &p.Tag
	}
	return was
}

// remembered returns the former VLAN settings if they are there and valid.
func (p Port) remembered() (VLAN, bool) {
	text, ok := p.ExternalIDs[QuarantineWasKey]
	var was VLAN
	if !ok || json.Unmarshal([]byte(text), &was) != nil || !was.valid() {
		return VLAN{}, false
	}
	return was, true
}

// valid holds the constraints of ovs-vswitchd.conf.db(5).
func (v VLAN) valid() bool {
	switch v.Mode {
	case "", "access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel":
	default:
		return false
	}
	ids := slices.Clone(v.Trunks)
	if slices.Sort(ids); len(slices.Compact(ids)) != len(v.Trunks) {
		return false
	}
	if v.Tag != nil {
		ids = append(ids, *v.Tag)
	}
	return !slices.ContainsFunc(ids, func(id int) bool { return id < 0 || id > 4095 })
}

// Text returns the settings as they are remembered.
func (v VLAN) Text() string {
	text, _ := json.Marshal(v) // it has nothing that JSON cannot carry
	return string(text)
}
