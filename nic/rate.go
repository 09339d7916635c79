package nic

import (
	"time"

	"github.com/isonet/isonet/model"
)

// rate returns the traffic per second between two readings. It returns nil when
// no time has passed, or when a counter has gone back: then a driver began anew
// and nobody knows what it counted before.
func rate(before, after model.Counters, interval time.Duration) *model.Rate {
	if interval <= 0 || after.ReceivedBytes < before.ReceivedBytes || after.TransmittedBytes < before.TransmittedBytes {
		return nil
	}
	seconds := interval.Seconds()
	return &model.Rate{
		ReceivedBytes:    float64(after.ReceivedBytes-before.ReceivedBytes) / seconds,
		TransmittedBytes: float64(after.TransmittedBytes-before.TransmittedBytes) / seconds,
	}
}
