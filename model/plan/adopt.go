package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
)

// Permission lets a network take over a bridge that isonet did not make.
type Permission struct {
	// Bridge is the UUID of the bridge's row. Another bridge of the same name is
	// not meant.
	Bridge string
	// Objections say why the bridge must not be taken over as it is, each with
	// what to do about it.
	Objections []string
	// Unknown says that it is not known yet whether there are any.
	Unknown bool
}

// Open says that it is not known yet whether something is to be done.
func (w Want) Open() bool {
	for _, permission := range w.Adopt {
		if permission.Unknown {
			return true
		}
	}
	return false
}

// Release gives a bridge back: it loses isonet's marks and nothing else.
type Release struct {
	Bridge Bridge
	// Ports are the ports that leave their quarantine: nobody would look after
	// it any more.
	Ports []PortChange
}

func newRelease(b Bridge) Release {
	r := Release{Bridge: b}
	for _, p := range b.Endpoints() {
		if p.Marked() {
			r.Ports = append(r.Ports, Unquarantine(b.Network, b, p))
		}
	}
	return r
}

// forbids returns why a network must not take over the bridge that has its
// name; "" if it may.
func (t Taken) forbids(n model.Network, permission Permission, permitted bool) string {
	name := n.VdsmName
	switch {
	case t.Network != "":
		return fmt.Sprintf("the bridge '%s' still belongs to the network %s", name, t.Network)
	case !permitted:
		return fmt.Sprintf("a bridge '%s' that isonet did not make exists on the host: adopt it ('isonet adopt'), rename or remove it, or rename the network", name)
	case permission.Bridge != t.Bridge:
		return fmt.Sprintf("the bridge '%s' is not the one that was to be adopted, somebody created it again since: adopt this one ('isonet adopt'), or remove it", name)
	case len(permission.Objections) > 0:
		return fmt.Sprintf("the bridge '%s' cannot be adopted: %s", name, strings.Join(permission.Objections, "; "))
	}
	return ""
}

// Harmless says that a column of Spec.Deviations can be set on a bridge in use
// without disturbing its traffic.
func Harmless(column Column) bool {
	return slices.Contains([]Column{VLANMode, Trunks, Tag, InBand}, column)
}

// Disturbances returns what becoming a network's bridge would change for those
// who use a bridge now, each with what to do about it. What Deviations has is
// not among it.
func Disturbances(n model.Network, b Bridge, datapathType string) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if n.Strict {
		add("the network '%s' is strict, and the bridge would forward nothing until its flows are there: set strict to false, and to true when the bridge is adopted", n.Name)
	}
	if have := cmp.Or(b.DatapathType, "system"); have != datapathType {
		add("its datapath_type is %s, and the networks of this host have %s: create the bridge again, or set the option datapath-type of isonetd", have, datapathType)
	}
	if b.FailMode == SecureFailMode {
		add("its fail_mode is secure, so that it forwards by somebody's flows: 'ovs-vsctl del-fail-mode %s'", b.Name)
	}
	if b.McastSnooping {
		add("it snoops multicast: 'ovs-vsctl set Bridge %s mcast_snooping_enable=false'", b.Name)
	}
	local, ok := b.Local()
	if !ok {
		add("it has no port '%s'", b.Name)
	}
	for _, ids := range []map[string]string{b.ExternalIDs, local.ExternalIDs} {
		if owner := ids[OwnerKey]; owner != "" && owner != Owner {
			add("its external_ids:owner says that it belongs to '%s': take it from there first", owner)
		}
	}
	for _, p := range b.Endpoints() {
		list = append(list, disturbed(n, p)...)
	}
	return list
}

// disturbed returns what would change for a port.
func disturbed(n model.Network, p Port) []string {
	var list []string
	if p.Protected != p.isolated(n) {
		list = append(list, fmt.Sprintf("port '%s': its column protected is %t, and the network's port_isolation is %t: change one of them", p.Name, p.Protected, n.PortIsolation))
	}
	if p.Marked() {
		list = append(list, fmt.Sprintf("port '%s': it has external_ids:%s or %s of an earlier time: remove these keys", p.Name, QuarantineKey, QuarantineWasKey))
	}
	for _, i := range p.Interfaces {
		if hasMTU(i.Type) && i.MTU != 0 && i.MTU != n.EffectiveMTU() {
			list = append(list, fmt.Sprintf("port '%s': its MTU is %d bytes, and the network's is %d: change one of them", p.Name, i.MTU, n.EffectiveMTU()))
		}
	}
	return list
}
