package traffic

import "github.com/isonet/isonet/model"

// counters is how many keys of Interface:statistics isonet counts.
const counters = 8

// Statistics is what one row of the Interface table says of its counters: the
// column Interface:statistics (ovs-vswitchd.conf.db(5)), of which isonet needs
// eight keys. A key that was never set says nothing, so the zero value is the
// empty column. The column is ephemeral: it is empty after a restart of
// ovsdb-server until vswitchd has published again.
type Statistics struct {
	// Device is Interface:ifindex, the kernel's number of the device that
	// counts; 0 is unknown. The kernel gives a new device a new number, but
	// begins anew when it boots.
	Device int64
	values [counters]uint64
	known  uint8 // a bit for each of values
}

// Set takes one pair of the column. Keys that isonet does not count are
// ignored, and so are negative values.
func (s *Statistics) Set(key string, value int64) {
	i := index(key)
	if i < 0 || value < 0 {
		return
	}
	s.values[i] = uint64(value)
	s.known |= 1 << i
}

func (s *Statistics) get(i int) (value uint64, known bool) {
	return s.values[i], s.known&(1<<i) != 0
}

// index returns a key's place in the order of fields, or -1. The switch's tx
// is what the endpoint receives.
func index(key string) int {
	switch key {
	case "tx_bytes":
		return 0
	case "tx_packets":
		return 1
	case "tx_dropped":
		return 2
	case "tx_errors":
		return 3
	case "rx_bytes":
		return 4
	case "rx_packets":
		return 5
	case "rx_dropped":
		return 6
	case "rx_errors":
		return 7
	}
	return -1
}

// fields returns the counters that the keys feed, in the order of index.
func fields(c *model.Counters) [counters]*uint64 {
	return [counters]*uint64{
		&c.ReceivedBytes, &c.ReceivedPackets, &c.ReceivedDrops, &c.ReceivedErrors,
		&c.TransmittedBytes, &c.TransmittedPackets, &c.TransmittedDrops, &c.TransmittedErrors,
	}
}
