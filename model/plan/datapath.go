package plan

import (
	"cmp"
	"fmt"

	"github.com/isonet/isonet/model"
)

// KernelDatapath and UserspaceDatapath are the datapath types that networks can
// have (ovs-vswitchd.conf.db(5), Bridge datapath_type).
const (
	KernelDatapath    = "system"
	UserspaceDatapath = "netdev"
)

// InUse returns the datapath types, by the UUIDs of their rows, of isonet's
// bridges that somebody uses. Another type would make vswitchd take such a bridge
// down, with all that is on it.
func (a *Actual) InUse() map[string]string {
	types := map[string]string{}
	for _, b := range a.Bridges {
		t := cmp.Or(b.DatapathType, KernelDatapath)
		if (t == KernelDatapath || t == UserspaceDatapath) && b.Network != "" && len(b.LivePorts(a.Links)) > 0 {
			types[b.UUID] = t
		}
	}
	return types
}

// kept returns the datapath type that a bridge keeps because it had it when isonetd
// began and somebody uses it; false if it is to have that of new bridges.
func (a *Actual) kept(b Bridge) (datapathType string, kept bool) {
	t, known := a.Kept[b.UUID]
	return t, known && t != a.DatapathType && len(b.LivePorts(a.Links)) > 0
}

// spec returns what a network's bridge, which may not be there yet, must be.
func (a *Actual) spec(n model.Network, b Bridge) Spec {
	if t, kept := a.kept(b); kept {
		if b.DatapathType == "" && t == KernelDatapath {
			t = "" // the same by another name
		}
		return NewSpec(n, t)
	}
	return NewSpec(n, a.DatapathType)
}

// misplaced says what to do about a bridge that keeps another datapath type; "" if
// there is nothing to do.
func (a *Actual) misplaced(b Bridge) string {
	t, kept := a.kept(b)
	if !kept {
		return ""
	}
	return fmt.Sprintf("the bridge '%s' has the datapath type %s and is in use, and isonetd is to use %s: it stays as it is, because the change would cut off its ports; "+
		"unplug them, or set the option datapath-type of isonetd to %s", b.Name, t, a.DatapathType, t)
}
