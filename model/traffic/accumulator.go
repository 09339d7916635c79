package traffic

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/isonet/isonet/model"
)

// DefaultInterval is the default and the least of Open_vSwitch
// other_config:stats-update-interval (ovs-vswitchd.conf.db(5)): vswitchd
// writes the statistics that changed not more often than that.
const DefaultInterval = 5 * time.Second

// maxGone is how many devices that left Open vSwitch are remembered.
const maxGone = 4096

// Bridge says which interfaces count for a network.
type Bridge struct {
	// Network is the network whose bridge this is; "" for a bridge that is not
	// isonet's.
	Network model.ID
	// Endpoints are the UUIDs of the Interface rows of the bridge's ports
	// without its local port: an interface in no bridge's Endpoints is never
	// counted.
	Endpoints []string
	// Own are those of Endpoints of which the statistics are the device's own,
	// where others have the switch's: the device receives what others transmit.
	Own []string
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
	own      map[string]bool     // by Interface UUID, see Bridge
	ports    map[string]*port    // by Interface UUID
	// gone are devices whose rows are gone, the oldest first.
	gone     []int64
	interval time.Duration
	// ticked is when vswitchd last published in this session; zero is not yet.
	ticked time.Time
	resets uint64
	now    time.Time // of what came last
}

// New returns an Accumulator that knows no network and no interface.
func New() *Accumulator {
	return &Accumulator{
		networks: map[model.ID]*network{},
		places:   map[string]model.ID{},
		ports:    map[string]*port{},
		interval: DefaultInterval,
	}
}

// SetInterval takes the time between two publications of vswitchd, when it is
// not DefaultInterval.
func (a *Accumulator) SetInterval(interval time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.interval = interval
}

// Interval returns the time between two publications of vswitchd.
func (a *Accumulator) Interval() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.interval
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
	places, own := make(map[string]model.ID, len(a.places)), map[string]bool{}
	for _, b := range bridges {
		for _, uuid := range b.Endpoints {
			places[uuid] = b.Network
		}
		for _, uuid := range b.Own {
			own[uuid] = true
		}
		if b.Network != "" {
			n := cmp.Or(networks[b.Network], a.networks[b.Network])
			if n == nil {
				n = newNetwork(now)
			}
			networks[b.Network] = n
		}
	}
	for uuid, p := range a.ports {
		// What a port carried while nobody watched belongs to the network that
		// it was in, and nobody knows until when.
		if p.restored && places[uuid] != a.places[uuid] {
			p.baseline()
		}
	}
	a.networks, a.places, a.own = networks, places, own
	for uuid, p := range a.ports {
		a.settle(uuid, p)
	}
}

// Begin takes the whole Interface table as a new session to OVSDB first shows
// it, by UUID. Interfaces that were known before the session continue; what
// the others counted before is not traffic of a network that was watched, so
// it is only where they start from. Interfaces that are missing are forgotten.
// One whose device is another than before counts from zero.
func (a *Accumulator) Begin(rows map[string]Statistics) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ports := make(map[string]*port, len(rows))
	for uuid, s := range rows {
		p := cmp.Or(a.ports[uuid], newOldPort())
		if p.device != 0 && s.Device != 0 && p.device != s.Device && p.restart() {
			a.resets++
		}
		p.restored = false
		a.sample(p, s)
		a.settle(uuid, p)
		ports[uuid] = p
	}
	for uuid, p := range a.ports {
		if ports[uuid] == nil {
			a.leave(p)
		}
	}
	a.ports, a.ticked = ports, time.Time{}
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
		p.news = true
		n := a.settle(uuid, p)
		// vswitchd publishes a port's first statistics at once and not with
		// all others on its timer: taking that for an interval of the whole
		// network would make the next one far too short.
		if !first {
			due[n] = true
			p.carried.measure(now, a.ticked)
		}
	}
	for n := range due {
		if n != nil {
			n.measure(now, a.ticked)
		}
	}
	if len(due) > 0 {
		a.ticked = now
	}
}

// Forget takes the UUIDs of the rows of the Interface table that were deleted.
// What they added stays.
func (a *Accumulator) Forget(uuids ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, uuid := range uuids {
		if p := a.ports[uuid]; p != nil {
			a.leave(p)
		}
		delete(a.ports, uuid)
	}
}

// leave remembers the device of a port whose row is gone.
func (a *Accumulator) leave(p *port) {
	if p.device == 0 {
		return
	}
	a.gone = append(a.gone, p.device)
	if len(a.gone) > maxGone {
		a.gone = slices.Delete(a.gone, 0, len(a.gone)-maxGone)
	}
}

// Snapshot returns the traffic of all networks that have a bridge. The caller
// owns the map. A rate is zero when OVS published something, but nothing of
// the network for two of its intervals: it does not publish what did not
// change. It is nil when OVS published nothing at all for so long, because that
// is the same for a host without traffic and for one whose vswitchd hangs.
func (a *Accumulator) Snapshot(now time.Time) map[model.ID]model.Traffic {
	a.mu.Lock()
	defer a.mu.Unlock()
	snapshot := make(map[model.ID]model.Traffic, len(a.networks))
	for id, n := range a.networks {
		snapshot[id] = a.present(n.Traffic, now)
	}
	return snapshot
}

// present replaces a rate that is of the past.
func (a *Accumulator) present(t model.Traffic, now time.Time) model.Traffic {
	switch late := now.Add(-2 * a.interval); {
	case t.Rate == nil || !t.Updated.Before(late):
	case a.ticked.Before(late):
		t.Rate = nil
	default:
		t.Rate = &model.Rate{Interval: a.interval, Until: a.ticked}
	}
	return t
}

// Resets returns how often the counters of an interface were lower than
// before, as after a restart of vswitchd or of the device.
func (a *Accumulator) Resets() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.resets
}

// sample takes the newest statistics of a port. It reports whether there is
// news in them.
func (a *Accumulator) sample(p *port, s Statistics) bool {
	if s.Device != 0 {
		p.device = s.Device
	}
	// A device that had another row before is the same device with the same
	// counters, such as a tap that moves with del-port and add-port.
	if !p.sampled && s.known != 0 && slices.Contains(a.gone, p.device) {
		p.baseline()
	}
	news, reset := p.sample(&s)
	if reset {
		a.resets++
	}
	return news
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
		if a.own[uuid] {
			p.pending = p.pending.Reversed()
		}
		n.Total = n.Total.Plus(p.pending)
		p.carry(id, n.Created, a.now)
		if p.news {
			n.Updated, p.carried.Updated = a.now, a.now
		}
	}
	p.pending, p.news, p.placed = model.Counters{}, false, true
	return n
}
