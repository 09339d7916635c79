package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/kernel/links"
)

const (
	removedTaps     = 40
	removedNetworks = 100
	// talkEvery is the time between two datagrams of a VM that must not be cut
	// off, glanceEvery that between two looks at what vswitchd does.
	talkEvery, glanceEvery = time.Millisecond, 500 * time.Microsecond
)

// BenchmarkRemoval shows where the time goes when bridges are removed: first
// with the kernel alone, then with vswitchd and two VMs on another bridge.
func BenchmarkRemoval(b *testing.B) {
	kernel := tapRemovals()
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	o.Vsctl("add-br", "other", "--", "set", "Bridge", "other", "datapath_type="+ovstest.Datapath())
	from, to := o.NewVM("vm-a", "10.0.0.1/24"), o.NewVM("vm-b", "10.0.0.2/24")
	o.Plug(from, "other")
	o.Plug(to, "other")
	d := newISOnetd(b, o, removedNetworks)
	d.start()
	d.attachAll()
	want := o.readWant(d.names)
	d.removeAll()
	d.stop()
	o.awaitIdle(want)
	whole := []*cut{{name: "vswitchd alone (one transaction)"}, {name: "isonet"}}
	for b.Loop() {
		for _, k := range kernel {
			k.round(b)
		}
		o.raw(insert(want), o.inUse(want))
		whole[0].watch(o, from, to, func() { o.raw(o.remove(want), applied) })
		o.awaitIdle(want)
		d.start()
		d.attachAll()
		whole[1].watch(o, from, to, func() { d.removeAll() })
		d.stop()
		o.awaitIdle(want)
	}
	b.ReportMetric(0, "ns/op") // of all together it says nothing

	fmt.Printf("\n\n%d tap devices, as vswitchd has them for bridges; medians in ms\n\n| removed | ms for each |\n|---|---:|\n", removedTaps)
	for _, k := range kernel {
		fmt.Printf("| %s | %.2f |\n", k.name, median(k.took))
	}
	fmt.Printf("\n%d bridges removed, while two VMs on another bridge talk every %v; medians\n\n", removedNetworks, talkEvery)
	fmt.Println("| removed by | until vswitchd has applied it, ms | longest silence between the VMs, ms | vswitchd waits in rcu_barrier |")
	fmt.Println("|---|---:|---:|---:|")
	for _, c := range whole {
		fmt.Printf("| %s | %.0f | %.0f | %.0f %% |\n", c.name, median(c.took), median(c.silence), median(c.barrier))
	}
	fmt.Println()
}

// tapRemoval is one way to remove tap devices from the kernel.
type tapRemoval struct {
	name    string
	prepare func([]netlink.Tuntap) error
	remove  func([]netlink.Tuntap) error
	ipv6    string // disable_ipv6 of the devices
	took    []float64
}

func tapRemovals() []*tapRemoval {
	none := func([]netlink.Tuntap) error { return nil }
	return []*tapRemoval{
		{name: "closed one after the other, as vswitchd does", prepare: none, remove: closeAll, ipv6: "0"},
		{name: "the same, down before", prepare: each(func(t *netlink.Tuntap) error { return netlink.LinkSetDown(t) }), remove: closeAll, ipv6: "0"},
		{name: "the same, without IPv6", prepare: none, remove: closeAll, ipv6: "1"},
		{name: "one netlink message for each", prepare: none, remove: each(func(t *netlink.Tuntap) error { return netlink.LinkDel(t) }), ipv6: "0"},
		{name: "closed by as many threads at once", prepare: none, remove: closeAtOnce, ipv6: "0"},
		{name: "one netlink message for all, as isonet does", prepare: none, remove: func(taps []netlink.Tuntap) error {
			var indexes []int
			for _, t := range taps {
				indexes = append(indexes, t.Index)
			}
			return links.Remove(indexes...)
		}, ipv6: "0"},
	}
}

func each(do func(*netlink.Tuntap) error) func([]netlink.Tuntap) error {
	return func(taps []netlink.Tuntap) error {
		for i := range taps {
			if err := do(&taps[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

func closeAll(taps []netlink.Tuntap) error {
	for _, t := range taps {
		if err := t.Fds[0].Close(); err != nil {
			return err
		}
	}
	return nil
}

func closeAtOnce(taps []netlink.Tuntap) error {
	errs := make([]error, len(taps))
	var closing sync.WaitGroup
	for i, t := range taps {
		closing.Go(func() { errs[i] = t.Fds[0].Close() })
	}
	closing.Wait()
	return errors.Join(errs...)
}

func (k *tapRemoval) round(b *testing.B) {
	b.Helper()
	namespace := ovstest.Namespace(b)
	must(b, exec.CommandContext(b.Context(), "ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6="+k.ipv6))
	ovstest.Inside(b, namespace, func() error {
		taps := make([]netlink.Tuntap, removedTaps)
		for i := range taps {
			taps[i] = netlink.Tuntap{
				LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("tap%d", i)}, Mode: netlink.TUNTAP_MODE_TAP,
				Flags: netlink.TUNTAP_NO_PI, NonPersist: true, Queues: 1,
			}
			if err := netlink.LinkAdd(&taps[i]); err != nil {
				return err
			}
			if err := netlink.LinkSetUp(&taps[i]); err != nil {
				return err
			}
		}
		defer closeAll(taps) //nolint:errcheck // of most ways, it has nothing left to close
		if err := k.prepare(taps); err != nil {
			return err
		}
		start := time.Now()
		if err := k.remove(taps); err != nil {
			return err
		}
		k.took = append(k.took, milliseconds(time.Since(start))/removedTaps)
		links, err := netlink.LinkList()
		if err == nil && len(links) > 1 {
			err = fmt.Errorf("%s: %d devices are left beside lo", k.name, len(links)-1)
		}
		return err
	})
}

// cut is how two VMs fare while bridges that are not theirs are removed.
type cut struct {
	name                   string
	took, silence, barrier []float64 // ms, ms and percent
}

// watch removes bridges and looks at the VMs and at vswitchd meanwhile.
func (c *cut) watch(o *openvswitch, from, to *ovstest.VM, remove func()) {
	o.Helper()
	silence := o.silence(from, to, func() {
		start, removed := time.Now(), make(chan struct{})
		go func() { defer close(removed); remove() }()
		waits, looks := 0, 0
		for done := false; !done; {
			select {
			case <-removed:
				done = true
			case <-time.After(glanceEvery):
				looks++
				if strings.Contains(readFile(o.B, fmt.Sprintf("/proc/%d/stack", o.VSwitchdPID())), "rcu_barrier") {
					waits++
				}
			}
		}
		c.took = append(c.took, milliseconds(time.Since(start)))
		c.barrier = append(c.barrier, 100*float64(waits)/float64(max(looks, 1)))
	})
	c.silence = append(c.silence, milliseconds(silence))
}

// silence lets a VM talk to another one while something is done, and returns the
// longest time between two datagrams that arrived, or between the last one and
// the end.
func (o *openvswitch) silence(from, to *ovstest.VM, do func()) time.Duration {
	o.Helper()
	var listener net.PacketConn
	ovstest.Inside(o, to.Namespace(), func() (err error) {
		listener, err = (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", to.Address+":0")
		return err
	})
	silence, first := make(chan time.Duration, 1), make(chan struct{})
	go func() { silence <- longestSilence(listener, first) }()
	stop := make(chan struct{})
	talked := from.Go(func() error { return talk(listener.LocalAddr().String(), stop) })
	<-first
	do()
	close(stop)
	if err := <-talked; err != nil {
		o.Fatal(err)
	}
	_ = listener.Close() // it ends the count
	return <-silence
}

// talk sends a datagram again and again.
func talk(to string, stop <-chan struct{}) error {
	connection, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	defer connection.Close() //nolint:errcheck // nothing is left to send
	ticker := time.NewTicker(talkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-ticker.C:
			_, _ = connection.Write([]byte("hello")) // what is lost is silence
		}
	}
}

// longestSilence returns the longest time between two datagrams, or between the
// last one and the end.
func longestSilence(listener net.PacketConn, first chan<- struct{}) time.Duration {
	buffer := make([]byte, 64)
	var last time.Time
	var longest time.Duration
	for {
		_, _, err := listener.ReadFrom(buffer)
		now := time.Now()
		if last.IsZero() {
			close(first)
		} else {
			longest = max(longest, now.Sub(last))
		}
		last = now
		if err != nil {
			return longest
		}
	}
}
