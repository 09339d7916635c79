package traffic

import (
	"time"

	"github.com/isonet/isonet/model"
)

// network is the traffic of a network, or of one port in it, and where its last
// interval began.
type network struct {
	model.Traffic
	measured time.Time // zero before the first publication
	then     model.Counters
}

func newNetwork(created time.Time) *network {
	return &network{Traffic: model.Traffic{Created: created}}
}

// measure ends an interval and begins the next one. The interval began with
// the publication before: with the network's own, or with one after that in
// which the network was missing, because then nothing had changed in it until
// there. Rates are never changed in place, because snapshots share them.
func (n *network) measure(now, before time.Time) {
	from := n.measured
	if before.After(from) {
		from = before
	}
	if interval := now.Sub(from); !n.measured.IsZero() && interval > 0 {
		n.Rate = &model.Rate{
			ReceivedBytes:    float64(n.Total.ReceivedBytes-n.then.ReceivedBytes) / interval.Seconds(),
			TransmittedBytes: float64(n.Total.TransmittedBytes-n.then.TransmittedBytes) / interval.Seconds(),
			Interval:         interval,
			Until:            now,
		}
	}
	n.measured, n.then = now, n.Total
}
