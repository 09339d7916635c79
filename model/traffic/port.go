package traffic

import "github.com/isonet/isonet/model"

// unknown is the last value of a counter whose history is not traffic.
const unknown = -1

// port is what is known of one row of the Interface table. Its zero value
// counts from zero.
type port struct {
	last    [counters]int64 // the newest values, in the order of index
	device  int64
	pending model.Counters
	news    bool // something was published since the network was told
	sampled bool // statistics were seen
	placed  bool // the topology showed it
	// carried is what it has carried in its newest network, in.
	carried network
	in      model.ID
	// restored says that no session has shown it since the restart.
	restored bool
}

// newOldPort returns a port that was there before anybody watched it: its
// first values are where it starts from.
func newOldPort() *port {
	p := &port{}
	p.baseline()
	return p
}

// baseline makes the next values the ones to start from.
func (p *port) baseline() {
	for i := range p.last {
		p.last[i] = unknown
	}
}

// sample adds to pending what the counters grew since they were last seen. It
// reports whether there is news in it, and whether one of the counters had
// begun anew. Each counter is judged alone, because one that wraps around at 32
// bits says nothing about the others.
//
// A value that is the last one is no news: vswitchd publishes only what
// changed, and a key that was removed is told with the value that it had (map
// columns: ovsdb-server(7), "Monitor Cond").
func (p *port) sample(s *Statistics) (news, reset bool) {
	for i, counter := range fields(&p.pending) {
		value, known := s.get(i)
		if !known {
			continue
		}
		last := p.last[i]
		switch {
		case last == unknown:
		case value < uint64(last):
			reset = true
			*counter += value
		default:
			*counter += value - uint64(last)
		}
		news = news || !p.sampled || int64(value) != last
		p.last[i] = int64(value)
	}
	p.sampled = p.sampled || s.known != 0
	return news, reset
}

// restart says that the device counts from zero since it was last seen. It
// reports whether it had been seen at all.
func (p *port) restart() (reset bool) {
	for i, last := range p.last {
		if last != unknown {
			p.last[i], reset = 0, true
		}
	}
	return reset
}
