package exporter

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
)

// sample is one number of a family.
type sample struct {
	value   float64
	labels  []string  // in the order of the family's labels
	created time.Time // when a counter began; zero is unknown
}

// valid makes text that a label may hold.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// view is what the sources say at one moment.
type view struct {
	desired  *model.Desired
	status   reconcile.Status
	traffic  map[model.ID]model.Traffic
	resets   uint64
	networks []network // attached to this host, sorted by name
	ports    []port    // those that get series of their own
}

// network is one network attached to this host.
type network struct {
	named
	state  reconcile.State
	bridge plan.Bridge // empty when there is none
}

// look takes what the sources say now.
func (g *gatherer) look() view {
	v := view{desired: g.sources.Desired(), status: g.sources.Status(), traffic: g.sources.Traffic(), resets: g.sources.Resets()}
	named := g.names.of(v.desired, v.status.HostID)
	v.networks = make([]network, len(named))
	for i, n := range named {
		v.networks[i] = network{n, v.stateOf(n.Network), v.bridgeOf(n.Network)}
	}
	v.ports = v.portsOf(g.sources.Ports)
	return v
}

// naming remembers the networks of a host as long as operators change nothing.
type naming struct{ last atomic.Pointer[names] }

// names are the networks that a desired state has for a host.
type names struct {
	desired  *model.Desired
	host     model.ID
	networks []named
}

// named is a network and its value of the label "network", unlike any other's.
type named struct {
	model.Network
	label string
}

// of returns the networks that a host must have, sorted by name. A snapshot of
// the desired state never changes, so its pointer tells one from another.
func (n *naming) of(desired *model.Desired, host model.ID) []named {
	if last := n.last.Load(); last != nil && last.desired == desired && last.host == host {
		return last.networks
	}
	wanted := desired.HostNetworks(host)
	uses := map[string]int{}
	for _, n := range wanted {
		uses[valid(n.Name)]++
	}
	networks := make([]named, len(wanted))
	for i, n := range wanted {
		label := valid(n.Name)
		if uses[label] > 1 {
			label += " (" + string(n.ID) + ")"
		}
		networks[i] = named{n, label}
	}
	n.last.Store(&names{desired, host, networks})
	return networks
}

// stateOf returns the verdict on a network; one that the loop has not seen yet
// is pending.
func (v view) stateOf(n model.Network) reconcile.State {
	if s, ok := v.status.Networks[n.ID]; ok {
		return s.State
	}
	return reconcile.Pending
}

// bridgeOf returns a network's bridge. A bridge of the same name that is not
// the network's is none.
func (v view) bridgeOf(n model.Network) plan.Bridge {
	if v.status.Actual == nil {
		return plan.Bridge{}
	}
	if b := v.status.Actual.Bridges[n.VdsmName]; plan.NetworkOf(b) == n.ID {
		return b
	}
	return plan.Bridge{}
}

// connected says whether Actual is the present.
func (v view) connected() bool { return v.status.Connected && v.status.Actual != nil }

// live returns the networks if what is known of their bridges is the present.
func (v view) live() []network {
	if !v.connected() {
		return nil
	}
	return v.networks
}
