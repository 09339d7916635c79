package traffic

import (
	"time"

	"github.com/isonet/isonet/model"
)

// network is a network's traffic, and where its last interval began.
type network struct {
	model.Traffic
	measured time.Time // zero before the first publication
	then     model.Counters
}

func newNetwork(created time.Time) *network {
	return &network{Traffic: model.Traffic{Created: created}}
}

// measure ends an interval and begins the next one. Rates are never changed in
// place, because snapshots share them.
func (n *network) measure(now time.Time) {
	seconds := now.Sub(n.measured).Seconds()
	if !n.measured.IsZero() && seconds > 0 {
		n.Rate = &model.Rate{
			ReceivedBytes:    float64(n.Total.ReceivedBytes-n.then.ReceivedBytes) / seconds,
			TransmittedBytes: float64(n.Total.TransmittedBytes-n.then.TransmittedBytes) / seconds,
		}
	}
	n.measured, n.then = now, n.Total
}
