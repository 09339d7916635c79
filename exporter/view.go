package exporter

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
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
	desired     *model.Desired
	status      report.Status
	resets      uint64
	interval    time.Duration
	historyLost uint64
	historySize int64
	expiries    map[string]time.Time // of certificates
	networks    []*network           // attached to this host, sorted by name
	ports       []port               // those that get series of their own
	reports     []Reports
	members     map[model.ID]report.Member // nil where they are not followed
}

// network is one network attached to this host.
type network struct {
	*place
	verdict report.NetworkStatus
	traffic model.Traffic
	counted bool
}

// look takes what the sources say now about a desired state.
func (g *gatherer) look(desired *model.Desired) view {
	v := view{desired: desired, status: g.sources.Status(), resets: g.sources.Resets(), interval: g.sources.Interval()}
	if g.sources.HistorySize != nil {
		v.historySize = g.sources.HistorySize()
	}
	if g.sources.HistoryLost != nil {
		v.historyLost = g.sources.HistoryLost()
	}
	if g.sources.Certificates != nil {
		v.expiries = g.sources.Certificates()
	}
	v.fleet(g.sources)
	traffic := g.sources.Traffic()
	places := g.atlas.of(v.desired, v.status.HostID, v.status.Host)
	networks := make([]network, len(places))
	v.networks = make([]*network, len(places))
	for i, p := range places {
		n := network{place: p, verdict: v.status.Network(p.ID)}
		n.traffic, n.counted = traffic[p.ID]
		networks[i] = n
		v.networks[i] = &networks[i]
	}
	v.ports = v.portsOf(g.sources.Ports)
	return v
}

// findings counts what is found of the networks, by reason.
func (v view) findings() map[isolation.Reason]int {
	count := map[isolation.Reason]int{}
	for _, n := range v.networks {
		for _, f := range n.verdict.Isolation.Findings {
			count[f.Reason]++
		}
	}
	return count
}

// atlas remembers the networks' places as long as neither operators nor Open
// vSwitch change anything.
type atlas struct{ last atomic.Pointer[chart] }

// chart has the places of a host's networks by two snapshots, which never
// change: so which they are tells one from another.
type chart struct {
	desired *model.Desired
	host    model.ID
	has     report.Host
	places  []*place
}

// place is what a network is by its configuration.
type place struct {
	model.Network
	label  string        // value of the label "network", unlike any other's
	alone  []string      // the label as the only one
	bridge report.Bridge // empty when there is none
	// up, down and unknown count the endpoints by the state of their links.
	up, down, unknown int
	// stale counts those of them whose devices vanished.
	stale int
	// leastMTU and mostMTU are in effect on the bridge; 0 is unknown.
	leastMTU, mostMTU int
}

// of returns the places of the networks that a host must have, sorted by name.
func (a *atlas) of(desired *model.Desired, host model.ID, has report.Host) []*place {
	if last := a.last.Load(); last != nil && last.desired == desired && last.host == host && last.has == has {
		return last.places
	}
	wanted := desired.HostNetworks(host)
	uses := map[string]int{}
	for _, n := range wanted {
		uses[valid(n.Name)]++
	}
	places := make([]*place, len(wanted))
	for i, n := range wanted {
		label := valid(n.Name)
		if uses[label] > 1 {
			label += " (" + string(n.ID) + ")"
		}
		p := &place{Network: n, label: label, alone: []string{label}}
		if has != nil {
			p.bridge, _ = has.Bridge(n)
		}
		p.countLinks()
		p.leastMTU, p.mostMTU = mtus(p.bridge)
		places[i] = p
	}
	a.last.Store(&chart{desired, host, has, places})
	return places
}

// countLinks counts the endpoints of the bridge. A bond is up when one of its
// interfaces is. Of a device in another network namespace nobody knows.
func (p *place) countLinks() {
	for _, endpoint := range p.bridge.Ports {
		if endpoint.Stale {
			p.stale++
		}
		switch {
		case slices.ContainsFunc(endpoint.Interfaces, func(i report.Interface) bool { return i.LinkUp }):
			p.up++
		case slices.ContainsFunc(endpoint.Interfaces, func(i report.Interface) bool { return i.Elsewhere }):
			p.unknown++
		default:
			p.down++
		}
	}
}

// mtus returns the smallest and the largest MTU in effect on a bridge.
func mtus(b report.Bridge) (least, most int) {
	for _, p := range append(b.Ports[:len(b.Ports):len(b.Ports)], b.Local) {
		for _, i := range p.Interfaces {
			if i.MTU > 0 {
				least, most = min(cmp.Or(least, i.MTU), i.MTU), max(most, i.MTU)
			}
		}
	}
	return least, most
}

// connected says whether Host is the present.
func (v view) connected() bool { return v.status.Present() }

// session says whether the database is followed, whoever realises what it says.
func (v view) session() bool { return v.status.Connected && v.status.Host != nil }

// live returns the networks if what is known of their bridges is the present.
func (v view) live() []*network {
	if !v.connected() {
		return nil
	}
	return v.networks
}
