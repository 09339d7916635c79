package traffic

import (
	"time"

	"github.com/isonet/isonet/model"
)

// Ports returns what every endpoint of a network has carried, by the UUID of
// its Interface row. The caller owns the map. It begins at zero when a port is
// plugged into a network or moves to another, and with the program.
func (a *Accumulator) Ports() map[string]model.PortTraffic {
	a.mu.Lock()
	defer a.mu.Unlock()
	ports := make(map[string]model.PortTraffic, len(a.ports))
	for uuid, p := range a.ports {
		if id := a.places[uuid]; a.networks[id] != nil && p.carried.Network == id {
			ports[uuid] = p.carried
		}
	}
	return ports
}

// carry adds what is pending to what the port has carried in its network. It
// begins anew with the network, so that it is never more than the network's.
func (p *port) carry(network model.ID, since, now time.Time) {
	if p.carried.Network != network || p.carried.Created.Before(since) {
		p.carried = model.PortTraffic{Network: network, Created: now}
	}
	p.carried.Total = p.carried.Total.Plus(p.pending)
}
