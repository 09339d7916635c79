package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

// following runs a store until the end of the benchmark.
func following(b *testing.B, cfg store.Config) *store.Store {
	b.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	s := store.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() {
		cancel()
		running.Wait()
	})
	<-s.Ready()
	return s
}

// cpu is how long this process has worked, without the servers.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkChange changes one network among 10,000 on 1,000 hosts: what that costs the
// store that writes, and each that only follows; and what it costs while a row is invalid.
func BenchmarkChange(b *testing.B) {
	dir := b.TempDir()
	writer := following(b, store.Config{StateDir: dir})
	if _, err := writer.Update(b.Context(), func(d *model.Desired) error {
		for i := range 10_000 {
			id := model.DeriveID(fmt.Sprint("network", i))
			d.Networks[id] = model.Network{ID: id, Name: fmt.Sprint("network ", i), VdsmName: fmt.Sprint("n", i), Label: fmt.Sprint("label", i%100), Revision: 1}
		}
		for i := range 1000 {
			id := model.HostID(fmt.Sprint("host", i))
			d.Hosts[id] = model.Host{ID: id, SystemID: fmt.Sprint("host", i), Name: fmt.Sprint("host", i), Labels: []string{fmt.Sprint("label", i%100)}}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	change := func(b *testing.B, i int) {
		if _, err := writer.Update(b.Context(), func(d *model.Desired) error {
			n := d.Networks[model.DeriveID("network7")]
			n.MTU = 1400 + i%2
			return d.UpdateNetwork(n)
		}); err != nil {
			b.Fatal(err)
		}
	}
	measure := func(b *testing.B, followers int) {
		var stores []*store.Store
		for range followers {
			stores = append(stores, following(b, store.Config{Endpoints: []string{endpoint(dir)}}))
		}
		before, i := cpu(b), 0
		for b.Loop() {
			i++
			change(b, i)
			for _, s := range stores {
				for s.Snapshot().Revision < writer.Snapshot().Revision {
					<-s.Changed()
				}
			}
		}
		b.ReportMetric(float64(cpu(b)-before)/float64(time.Millisecond)/float64(i), "cpu-ms/op")
	}
	for _, followers := range []int{0, 4} {
		b.Run(fmt.Sprint("followers=", followers), func(b *testing.B) { measure(b, followers) })
	}
	transact(b, dir, `{"op":"update","table":"Network","where":[["name","==","network 1"]],"row":{"mtu":10}}`)
	b.Run("followers=4/invalid=1", func(b *testing.B) { measure(b, 4) })
}

// BenchmarkRegistration lets hosts register at once in a cluster of three, each with a
// store of its own that follows everything: how often they try, and how long it takes
// until all are known to all. With more of them the leader is busy with telling.
func BenchmarkRegistration(b *testing.B) {
	for _, hosts := range []int{10, 30, 100} {
		b.Run(fmt.Sprint("hosts=", hosts), func(b *testing.B) {
			cluster := ovstest.StartCluster(b, "isolated-networks.ovsschema", store.Database, 3)
			var stores []*store.Store
			for range hosts {
				stores = append(stores, following(b, store.Config{Endpoints: cluster.Endpoints()}))
			}
			var tries atomic.Int64
			round := 0
			for b.Loop() {
				round++
				var registering sync.WaitGroup
				for i, s := range stores {
					systemID := fmt.Sprintf("host %d of round %d", i, round)
					registering.Go(func() {
						if _, err := s.Update(b.Context(), func(d *model.Desired) error {
							tries.Add(1)
							id := model.HostID(systemID)
							d.Hosts[id] = model.Host{ID: id, SystemID: systemID, Name: "host"}
							return nil
						}); err != nil {
							b.Error(err)
						}
					})
				}
				registering.Wait()
			}
			b.ReportMetric(float64(tries.Load())/float64(round), "tries/op")
		})
	}
}
