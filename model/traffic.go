package model

import "time"

// Counters count a network's traffic as its endpoints see it: received is what
// the network delivered to the attached ports, transmitted is what they sent
// into it. Open vSwitch counts from the switch's side, so received is the sum
// of the ports' tx_* keys of Interface:statistics (ovs-vswitchd.conf.db(5)).
// The bridge's own local port is never counted.
type Counters struct {
	ReceivedBytes, ReceivedPackets, ReceivedDrops, ReceivedErrors             uint64
	TransmittedBytes, TransmittedPackets, TransmittedDrops, TransmittedErrors uint64
}

// Plus returns the sum of both.
func (c Counters) Plus(d Counters) Counters {
	return Counters{
		ReceivedBytes:      c.ReceivedBytes + d.ReceivedBytes,
		ReceivedPackets:    c.ReceivedPackets + d.ReceivedPackets,
		ReceivedDrops:      c.ReceivedDrops + d.ReceivedDrops,
		ReceivedErrors:     c.ReceivedErrors + d.ReceivedErrors,
		TransmittedBytes:   c.TransmittedBytes + d.TransmittedBytes,
		TransmittedPackets: c.TransmittedPackets + d.TransmittedPackets,
		TransmittedDrops:   c.TransmittedDrops + d.TransmittedDrops,
		TransmittedErrors:  c.TransmittedErrors + d.TransmittedErrors,
	}
}

// Reversed returns what the other end of a port counts.
func (c Counters) Reversed() Counters {
	return Counters{
		ReceivedBytes: c.TransmittedBytes, ReceivedPackets: c.TransmittedPackets,
		ReceivedDrops: c.TransmittedDrops, ReceivedErrors: c.TransmittedErrors,
		TransmittedBytes: c.ReceivedBytes, TransmittedPackets: c.ReceivedPackets,
		TransmittedDrops: c.ReceivedDrops, TransmittedErrors: c.ReceivedErrors,
	}
}

// Traffic is what is known of the traffic of a network on one host, or of one of
// its ports.
type Traffic struct {
	// Total only grows while Created stays the same.
	Total Counters
	// Created is when Total began to count from zero.
	Created time.Time
	// Updated is when OVS last published a counter of one of the ports, or of
	// the port. It publishes only what changed, every few seconds.
	Updated time.Time
	// Rate is the traffic per second over the last interval between two
	// publications. It is nil before there were two, and when OVS publishes no
	// more: nobody knows then.
	Rate *Rate
}

// Rate is traffic in bytes per second.
type Rate struct {
	ReceivedBytes, TransmittedBytes float64
	// Interval is the time that the rate is the average of, Until its end.
	Interval time.Duration
	Until    time.Time
}

// PortTraffic is what one interface has carried since it was plugged into its
// network, or since somebody watches it. Total only grows while Created and
// Network stay the same.
type PortTraffic struct {
	Network ID
	Traffic
}
