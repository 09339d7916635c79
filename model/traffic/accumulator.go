package traffic

import (
	"cmp"
	"sync"
	"time"

	"github.com/isonet/isonet/model"
)

// publishInterval is the default and the least of Open_vSwitch
// other_config:stats-update-interval (ovs-vswitchd.conf.db(5)): vswitchd
// writes the statistics that changed not more often than that.
const publishInterval = 5 * time.Second

// Statistics is the column Interface:statistics of one row
// (ovs-vswitchd.conf.db(5)). A key that is missing says nothing. The column is
// ephemeral: it is empty after a restart of ovsdb-server until vswitchd has
// published again.
type Statistics = map[string]int

// Bridge says which interfaces count for a network.
type Bridge struct {
	// Network is the network whose bridge this is; "" for a bridge that is not
	// isonet's.
	Network model.ID
	// Endpoints are the UUIDs of the Interface rows of the bridge's ports
	// without its local port: an interface in no bridge's Endpoints is never
	// counted.
	Endpoints []string
}

// Accumulator adds up the traffic of networks. Two sources feed it, in any
// order and each at its own pace: Place takes the topology; Begin, Publish and
// Forget take the statistics. Neither is called with partial knowledge: while
// a source is disconnected it stays silent.
//
// An Accumulator may be used by several goroutines at once.
type Accumulator struct {
	mu       sync.Mutex
	networks map[model.ID]*network
	places   map[string]model.ID // by Interface UUID; "" is a foreign bridge
	ports    map[string]*port    // by Interface UUID
	resets   uint64
	now      time.Time // of what came last
}

// New returns an Accumulator that knows no network and no interface.
func New() *Accumulator {
	return &Accumulator{
		networks: map[model.ID]*network{},
		places:   map[string]model.ID{},
		ports:    map[string]*port{},
	}
}

// Place replaces the topology: all bridges of the host, foreign ones too.
//
// A network that is new begins to count from zero now; one whose bridge is
// missing is forgotten. An interface that left a network keeps its share there
// and counts in its new network from its newest statistics on.
func (a *Accumulator) Place(now time.Time, bridges []Bridge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
	networks := make(map[model.ID]*network, len(bridges))
	places := make(map[string]model.ID, len(a.places))
	for _, b := range bridges {
		for _, uuid := range b.Endpoints {
			places[uuid] = b.Network
		}
		if b.Network != "" {
			networks[b.Network] = cmp.Or(networks[b.Network], a.networks[b.Network], newNetwork(now))
		}
	}
	a.networks, a.places = networks, places
	for uuid, p := range a.ports {
		a.settle(uuid, p)
	}
}

// Begin takes the whole Interface table as a new session to OVSDB first shows
// it, by UUID. Interfaces that were known before the session continue; what
// the others counted before is not traffic of a network that was watched, so
// it is only where they start from. Interfaces that are missing are forgotten.
func (a *Accumulator) Begin(rows map[string]Statistics) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ports := make(map[string]*port, len(rows))
	for uuid, s := range rows {
		p := cmp.Or(a.ports[uuid], newOldPort())
		a.sample(p, s)
		a.settle(uuid, p)
		ports[uuid] = p
	}
	a.ports = ports
}

// Publish takes the rows of the Interface table that one update of the session
// inserted or changed, by UUID, at the time when the update came. An interface
// that is new since Begin counts from zero.
func (a *Accumulator) Publish(now time.Time, rows map[string]Statistics) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
	due := map[*network]bool{}
	for uuid, s := range rows {
		p, known := a.ports[uuid]
		if !known {
			p = &port{}
			a.ports[uuid] = p
		}
		first := !p.sampled
		if !a.sample(p, s) {
			continue
		}
		n := a.settle(uuid, p)
		if n == nil {
			continue
		}
		n.Updated = now
		// vswitchd publishes a port's first statistics at once and not with
		// all others on its timer: taking that for an interval of the whole
		// network would make the next one far too short.
		if !first {
			due[n] = true
		}
	}
	for n := range due {
		n.measure(now)
	}
}

// Forget takes the UUIDs of the rows of the Interface table that were deleted.
// What they added stays.
func (a *Accumulator) Forget(uuids ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, uuid := range uuids {
		delete(a.ports, uuid)
	}
}

// Snapshot returns the traffic of all networks that have a bridge. The caller
// owns the map. A rate is zero when OVS published nothing of the network for
// two of its intervals, because it does not publish what did not change.
func (a *Accumulator) Snapshot(now time.Time) map[model.ID]model.Traffic {
	a.mu.Lock()
	defer a.mu.Unlock()
	snapshot := make(map[model.ID]model.Traffic, len(a.networks))
	for id, n := range a.networks {
		t := n.Traffic
		if t.Rate != nil && now.Sub(t.Updated) > 2*publishInterval {
			t.Rate = &model.Rate{}
		}
		snapshot[id] = t
	}
	return snapshot
}

// Resets returns how often the counters of an interface were lower than
// before, as after a restart of vswitchd or of the device.
func (a *Accumulator) Resets() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.resets
}

// sample takes the newest statistics of a port. It reports whether there were
// any.
func (a *Accumulator) sample(p *port, s Statistics) bool {
	found, reset := p.sample(s)
	if reset {
		a.resets++
	}
	return found
}

// settle hands what a port has counted to the network that it is in, and
// returns that network or nil. What a new port counted before the topology
// shows it has to wait; what one counted outside every network is dropped.
func (a *Accumulator) settle(uuid string, p *port) *network {
	id, placed := a.places[uuid]
	if !placed && !p.placed {
		return nil
	}
	n := a.networks[id]
	if n != nil {
		n.Total = n.Total.Plus(p.pending)
		p.carry(id, n.Created, a.now)
	}
	p.pending, p.placed = model.Counters{}, true
	return n
}
