package traffic

import (
	"time"

	"github.com/isonet/isonet/model"
)

// State is what an Accumulator knows at one moment, to go on from after a
// restart of the program.
type State struct {
	Networks map[model.ID]NetworkState `json:"networks"`
	// Ports are the interfaces of the networks' endpoints, by the UUID of their
	// row.
	Ports map[string]PortState `json:"ports"`
}

// NetworkState is a network's traffic.
type NetworkState struct {
	Created time.Time      `json:"created"`
	Updated time.Time      `json:"updated,omitzero"`
	Total   model.Counters `json:"total"`
}

// PortState is what an interface's counters said last.
type PortState struct {
	Network model.ID `json:"network"`
	Device  int64    `json:"device,omitempty"` // see Statistics
	// Last are the values in the order of model.Counters; -1 is a counter that
	// was never seen.
	Last [counters]int64 `json:"last"`
}

// State returns a copy of what the Accumulator knows.
func (a *Accumulator) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := State{Networks: make(map[model.ID]NetworkState, len(a.networks)), Ports: make(map[string]PortState, len(a.ports))}
	for id, n := range a.networks {
		s.Networks[id] = NetworkState{Created: n.Created, Updated: n.Updated, Total: n.Total}
	}
	for uuid, p := range a.ports {
		// A port without a sample may yet turn out to be a device that moved.
		if id := a.places[uuid]; id != "" && p.sampled {
			s.Ports[uuid] = PortState{Network: id, Device: p.device, Last: p.last}
		}
	}
	return s
}

// Restore goes on from a State, before anything else is told. What the ports
// counted since then is counted when a session shows them; ports that it shows
// and that are not in the State start where they are. Rebooted says that the
// host was started anew since: then all counters began at zero.
func (a *Accumulator) Restore(s State, rebooted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, n := range s.Networks {
		a.networks[id] = &network{Traffic: model.Traffic{Created: n.Created, Updated: n.Updated, Total: n.Total}}
	}
	for uuid, saved := range s.Ports {
		p := &port{last: saved.Last, device: saved.Device, sampled: true, placed: true, restored: true}
		if rebooted {
			p.restart()
			p.device = 0
		}
		a.ports[uuid], a.places[uuid] = p, saved.Network
	}
}
