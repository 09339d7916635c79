package ovs_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/kernel/links"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
)

// removalWorld is a Switch that sees the devices and removes those of bridges.
type removalWorld struct {
	*testing.T
	*ovstest.OVS
	sw    *ovs.Switch
	links *links.Watcher

	mu      sync.Mutex
	removed []int // ifindexes, by the Switch and not by vswitchd
}

func newRemovalWorld(t *testing.T) *removalWorld {
	t.Helper()
	namespace := ovstest.Namespace(t)
	private := ovstest.Start(t, ovstest.InNamespace(namespace))
	log := slog.New(slog.DiscardHandler)
	w := &removalWorld{T: t, OVS: private, links: links.New(log)}
	ctx, cancel := context.WithCancel(context.Background())
	watched := ovstest.GoInside(namespace, func() error { return w.links.Run(ctx) })
	w.sw = ovs.New(ovs.Config{
		Endpoints: []string{private.Endpoint()}, DatapathType: ovstest.Datapath(), RunDir: private.Dir(), Observer: &observer{}, Logger: log,
		Devices: w.links,
		RemoveDevices: func(indexes ...int) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.removed = append(w.removed, indexes...)
			return <-ovstest.GoInside(namespace, func() error { return links.Remove(indexes...) })
		},
	})
	ran := make(chan error, 1)
	go func() { ran <- w.sw.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for _, done := range []<-chan error{ran, watched} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	waitFor(t, w.sw, "the first snapshot", func(a *plan.Actual) bool { return a.SystemID != "" })
	return w
}

// await waits until exactly these networks have a device, and returns the
// ifindexes.
func (w *removalWorld) await(networks ...model.Network) []int {
	w.Helper()
	timeout := time.After(ovstest.Patience)
	for {
		changed := w.links.Changed()
		bridges, indexes := 0, []int{}
		links := w.links.Links()
		for d := range links.All() {
			ofOVS := d.Tap || d.Kind == "openvswitch"                      // which the kernel's datapath has
			if ofOVS && d.Name != "ovs-netdev" && d.Name != "ovs-system" { // those are the datapaths'
				bridges++
			}
		}
		for _, n := range networks {
			if d, there := links.Named(n.VdsmName); there {
				indexes = append(indexes, d.Index)
			}
		}
		if bridges == len(networks) && len(indexes) == len(networks) {
			return indexes
		}
		select {
		case <-changed:
		case <-timeout:
			w.Fatalf("there are %d devices, %d of them of the %d networks", bridges, len(indexes), len(networks))
		}
	}
}

func networks(n int) []model.Network {
	list := make([]model.Network, n)
	for i := range list {
		list[i] = network(fmt.Sprintf("net%d", i), 0)
	}
	return list
}

// TestDevicesOfRemovedBridgesGoAtOnce removes bridges until the Switch was
// faster than vswitchd with some of the devices. On the kernel's datapath nobody
// waits for that, and it leaves them all to vswitchd.
func TestDevicesOfRemovedBridgesGoAtOnce(t *testing.T) {
	w := newRemovalWorld(t)
	all := networks(20)
	kept, gone := all[:1], all[1:]
	ovstest.Eventually(t, "the Switch removes devices", func() error {
		realise(t, w.sw, plan.Want{Networks: all})
		indexes := w.await(all...)
		realise(t, w.sw, plan.Want{Networks: kept})
		if left := w.await(kept...); left[0] != indexes[0] {
			t.Fatalf("the device of the network that stays was %d and is %d", indexes[0], left[0])
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, index := range w.removed {
			if !slices.Contains(indexes[1:], index) {
				t.Fatalf("removed the devices %v, and the bridges' were %v", w.removed, indexes[1:])
			}
		}
		if inKernel := ovstest.Datapath() == ovstest.Kernel; inKernel && len(w.removed) > 0 {
			t.Fatalf("removed the devices %v of the kernel's datapath", w.removed)
		} else if !inKernel && len(w.removed) == 0 {
			return fmt.Errorf("vswitchd removed all %d", len(gone))
		}
		return nil
	})
}

// TestBridgesThatComeBackAtOnceHaveTheirDevices makes bridges anew before
// vswitchd has seen them gone, so that it keeps their devices, and while it is
// removing them.
func TestBridgesThatComeBackAtOnceHaveTheirDevices(t *testing.T) {
	w := newRemovalWorld(t)
	all := networks(8)
	for _, seen := range []bool{false, true, false, true} {
		realise(t, w.sw, plan.Want{Networks: all})
		w.await(all...)
		if !seen {
			w.SignalVSwitchd(syscall.SIGSTOP)
		}
		for _, want := range []plan.Want{{}, {Networks: all}} {
			actual, _ := w.sw.Actual()
			if _, err := w.sw.Apply(t.Context(), plan.Diff(want, actual)); err != nil {
				t.Fatal(err)
			}
		}
		w.SignalVSwitchd(syscall.SIGCONT)
	}
	realise(t, w.sw, plan.Want{Networks: all})
	w.await(all...)
}
