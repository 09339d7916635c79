package nic

import (
	"math"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model/plan"
)

// Whatever a link's counters do, a rate is there exactly when two samples of
// the same link let it be known, and is then the delta over the time.
func TestRates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &scripted{}
		tr := tracker{kernel: k, devices: k}
		now := time.Unix(1e9, 0)
		var before netlink.LinkStatistics
		known := false
		for range rapid.IntRange(1, 30).Draw(t, "samples") {
			interval := time.Duration(rapid.Int64Range(-1e9, 60e9).Draw(t, "interval"))
			now = now.Add(interval)
			if rapid.IntRange(0, 9).Draw(t, "gone") == 0 {
				k.index++ // another link, or none
				known = false
			}
			if rapid.Bool().Draw(t, "reset") {
				k.stats.RxBytes, k.stats.TxBytes = rapid.Uint64().Draw(t, "rx"), rapid.Uint64().Draw(t, "tx")
			} else {
				k.stats.RxBytes += rapid.Uint64Range(0, 1e12).Draw(t, "received")
				k.stats.TxBytes += rapid.Uint64Range(0, 1e12).Draw(t, "transmitted")
			}
			nics, err := tr.sample(now)
			if err != nil || len(nics) != 1 {
				t.Fatalf("sample: %v, %v", nics, err)
			}
			n := nics[0]
			if n.Total.ReceivedBytes != k.stats.RxBytes || n.Total.TransmittedBytes != k.stats.TxBytes {
				t.Fatalf("total is %+v, want %+v", n.Total, k.stats)
			}
			wanted := known && interval > 0 && k.stats.RxBytes >= before.RxBytes && k.stats.TxBytes >= before.TxBytes
			if (n.Rate != nil) != wanted {
				t.Fatalf("rate is %v, wanted: %t", n.Rate, wanted)
			}
			if wanted {
				near(t, n.Rate.ReceivedBytes*interval.Seconds(), k.stats.RxBytes-before.RxBytes)
				near(t, n.Rate.TransmittedBytes*interval.Seconds(), k.stats.TxBytes-before.TxBytes)
			}
			before, known = k.stats, true
		}
	})
}

func near(t *rapid.T, got float64, want uint64) {
	if diff := math.Abs(got - float64(want)); !(diff <= 1e-9*float64(want)) || got < 0 {
		t.Fatalf("the rate makes %g of %d bytes", got, want)
	}
}

// scripted is a kernel with one link.
type scripted struct {
	index int
	stats netlink.LinkStatistics
	seen  *plan.Links
}

func (k *scripted) Changed() <-chan struct{} { return nil }

func (k *scripted) Links() *plan.Links {
	if _, there := k.seen.Index(k.index); !there {
		k.seen = plan.NewLinks(plan.Device{Name: "eth0", Index: k.index, Ethernet: true})
	}
	return k.seen
}

func (k *scripted) link(index int) (netlink.Link, error) {
	if index != k.index {
		return nil, netlink.LinkNotFoundError{}
	}
	stats := k.stats
	a := attrs(k.index, "eth0")
	a.Statistics = &stats
	return &netlink.Device{LinkAttrs: a}, nil
}

func (k *scripted) speed(string) uint64 { return 0 }
