package traffic

import (
	"time"

	"github.com/isonet/isonet/model"
)

// Ports returns what every endpoint of a network has carried, by the UUID of
// its Interface row. The caller owns the map. It begins at zero when a port is
// plugged into a network or moves to another, and with the program. The rate is
// the port's own, and zero or nil when a network's is: see Snapshot.
func (a *Accumulator) Ports(now time.Time) map[string]model.PortTraffic {
	a.mu.Lock()
	defer a.mu.Unlock()
	ports := make(map[string]model.PortTraffic, len(a.ports))
	for uuid, p := range a.ports {
		if id := a.places[uuid]; a.networks[id] != nil && p.in == id {
			ports[uuid] = model.PortTraffic{Network: id, Traffic: a.present(p.carried.Traffic, now)}
		}
	}
	return ports
}

// carry adds what is pending to what the port has carried in its network. It
// begins anew with the network, so that it is never more than the network's.
func (p *port) carry(id model.ID, since, now time.Time) {
	if p.in != id || p.carried.Created.Before(since) {
		p.in, p.carried = id, *newNetwork(now)
	}
	p.carried.Total = p.carried.Total.Plus(p.pending)
}
