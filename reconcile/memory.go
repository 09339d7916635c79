package reconcile

import (
	"maps"
	"slices"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
)

const (
	// remembered is how long it is known since when a port was unclear that is
	// not there any more: who unplugs it and plugs it in again gets no new grace
	// time.
	remembered = time.Minute
	// maxFormer bounds the devices that are remembered of one interface.
	maxFormer = 8
)

// memory is what judging needs to know of the past. It belongs to Run's
// goroutine.
type memory struct {
	names    map[string]clock // by the interface's name
	devices  map[int]clock    // by the device's ifindex
	networks map[model.ID]past
}

// clock says since when something has been unclear, and since when it has not
// been there; zero if it is.
type clock struct{ since, gone time.Time }

// past is what was known of a network's bridge at the last judgement.
type past struct {
	unclear []isolation.Unclear
	// opened are the ifindexes that interfaces have had, the last one last, by
	// the UUIDs of their rows.
	opened map[string][]int
}

func newMemory() memory {
	return memory{names: map[string]clock{}, devices: map[int]clock{}, networks: map[model.ID]past{}}
}

// since returns since when something has been unclear; now if it is new.
func (m memory) since(u isolation.Unclear, now time.Time) time.Time {
	since := now
	if c, known := m.names[u.Name]; known {
		since = c.since
	}
	if c, known := m.devices[u.Device]; known && c.since.Before(since) {
		since = c.since
	}
	return since
}

// opened returns the devices that the interfaces of a bridge have had so far.
func (m memory) opened(network model.ID, b plan.Bridge, links *plan.Links) map[string][]int {
	opened := map[string][]int{}
	for _, p := range b.Endpoints() {
		for _, i := range p.Interfaces {
			before := m.networks[network].opened[i.UUID]
			d, there := links.Of(i)
			if there && !slices.Contains(before, d.Index) {
				before = append(slices.Clone(before[max(0, len(before)+1-maxFormer):]), d.Index)
			}
			if len(before) > 0 {
				opened[i.UUID] = before
			}
		}
	}
	return opened
}

// judged takes a verdict on a network: time runs for what it leaves unclear, and
// is over for what it has accepted.
func (m memory) judged(network model.ID, v isolation.Verdict, opened map[string][]int, now time.Time) {
	m.leave(network, now)
	for _, u := range v.Unclear {
		c := clock{since: m.since(u, now)}
		m.names[u.Name] = c
		if u.Device != 0 {
			m.devices[u.Device] = c
		}
	}
	for _, p := range v.Accepted {
		for _, i := range p.Interfaces {
			delete(m.names, i.Name)
			for _, index := range opened[i.UUID] {
				delete(m.devices, index)
			}
		}
	}
	m.networks[network] = past{v.Unclear, opened}
}

// leave says of what was unclear on a network that it is not there any more.
func (m memory) leave(network model.ID, now time.Time) {
	for _, u := range m.networks[network].unclear {
		if c, known := m.names[u.Name]; known {
			m.names[u.Name] = clock{c.since, now}
		}
		if c, known := m.devices[u.Device]; known {
			m.devices[u.Device] = clock{c.since, now}
		}
	}
}

// forget drops what is of no use any more: of networks that are not known.
func (m memory) forget(known func(model.ID) bool, now time.Time) {
	for network := range m.networks {
		if !known(network) {
			m.leave(network, now)
			delete(m.networks, network)
		}
	}
	over := func(c clock) bool { return !c.gone.IsZero() && now.Sub(c.gone) > remembered }
	maps.DeleteFunc(m.names, func(_ string, c clock) bool { return over(c) })
	maps.DeleteFunc(m.devices, func(_ int, c clock) bool { return over(c) })
}
