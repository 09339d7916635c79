package traffic

import "github.com/isonet/isonet/model"

// unknown is the last value of a counter whose history is not traffic.
const unknown = -1

// port is what is known of one row of the Interface table. Its zero value
// counts from zero.
type port struct {
	last    [8]int // the newest values, in the order of columns
	pending model.Counters
	sampled bool // statistics were seen
	placed  bool // the topology showed it
	carried model.PortTraffic
}

// newOldPort returns a port that was there before anybody watched it: its
// first values are where it starts from.
func newOldPort() *port {
	p := &port{}
	for i := range p.last {
		p.last[i] = unknown
	}
	return p
}

// sample adds to pending what the counters grew since they were last seen. It
// reports whether there was any counter, and whether one of them had begun
// anew. Each counter is judged alone, because one that wraps around at 32 bits
// says nothing about the others.
func (p *port) sample(s Statistics) (found, reset bool) {
	for i, c := range columns(&p.pending) {
		value, ok := s[c.key]
		if !ok || value < 0 {
			continue
		}
		switch last := p.last[i]; {
		case last == unknown:
		case value < last:
			reset = true
			*c.counter += uint64(value)
		default:
			*c.counter += uint64(value - last)
		}
		p.last[i], found = value, true
	}
	p.sampled = p.sampled || found
	return found, reset
}

// column pairs a key of Interface:statistics with the counter that it feeds.
type column struct {
	key     string
	counter *uint64
}

// columns says what each key means to the endpoint: the switch's tx is what
// the endpoint receives.
func columns(c *model.Counters) [8]column {
	return [8]column{
		{"tx_bytes", &c.ReceivedBytes},
		{"tx_packets", &c.ReceivedPackets},
		{"tx_dropped", &c.ReceivedDrops},
		{"tx_errors", &c.ReceivedErrors},
		{"rx_bytes", &c.TransmittedBytes},
		{"rx_packets", &c.TransmittedPackets},
		{"rx_dropped", &c.TransmittedDrops},
		{"rx_errors", &c.TransmittedErrors},
	}
}
