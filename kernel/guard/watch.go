package guard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Run tells by Disturbed of every change of the nftables rules of the network
// namespace of its thread, and of what happens to the devices that are guarded,
// until ctx ends: a firewall that is reloaded flushes the guard's rules too, and
// the kernel forgets that IPv6 is off when a device's MTU falls below 1280 and
// rises again. Without the privilege there are no rules to watch, and it only
// waits.
func (g *Guard) Run(ctx context.Context) error {
	rules, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: group(unix.NFNLGRP_NFTABLES)})
	if unavailable(err) != "" {
		<-ctx.Done()
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch the rules of nftables: %w", err)
	}
	devices, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{
		Groups: group(unix.RTNLGRP_LINK) | group(unix.RTNLGRP_IPV6_IFADDR) | group(unix.RTNLGRP_IPV6_NETCONF),
	})
	if err != nil {
		_ = rules.Close()
		return fmt.Errorf("watch the guarded devices: %w", err)
	}
	g.doubtful.Store(true)
	g.disturb() // what happened before the subscriptions
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return g.follow(ctx, rules, func(netlink.Message) bool { return true }) })
	both.Go(func() error { return g.follow(ctx, devices, g.concerned) })
	return both.Wait()
}

// group returns the bit of a multicast group.
func group(number int) uint32 { return 1 << (number - 1) }

// Disturbed yields after rules of nftables or guarded devices were changed, by
// Apply or by others. Apply then puts right what is to be put right, and costs no
// transaction if there is nothing. Many changes yield one value.
func (g *Guard) Disturbed() <-chan struct{} { return g.disturbed }

func (g *Guard) disturb() {
	select {
	case g.disturbed <- struct{}{}:
	default: // one is waiting to be taken
	}
}

// follow disturbs for the messages of a subscription that matter, until ctx ends.
func (g *Guard) follow(ctx context.Context, conn *netlink.Conn, matters func(netlink.Message) bool) error {
	defer func() { _ = conn.Close() }() // a second time is no harm
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for {
		messages, err := conn.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			g.doubtful.Store(true)
			g.disturb() // changes were missed, and so it does not matter which
			continue
		case err != nil:
			return fmt.Errorf("watch the rules of nftables and the guarded devices: %w", err)
		}
		for _, m := range messages {
			if matters(m) {
				g.disturb()
				break
			}
		}
	}
}

// concerned reports whether a message of rtnetlink(7) is about a guarded device.
// Nothing is said of disable_ipv6 itself: but a device that gets IPv6 back gets
// its settings anew or an address.
func (g *Guard) concerned(m netlink.Message) bool {
	watched := g.watched.Load()
	if watched == nil {
		return false
	}
	index := 0
	if m.Header.Type == unix.RTM_DELLINK {
		// The kernel took the device's rules away, and counts that as no change.
		g.doubtful.Store(true)
	}
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR:
		// struct ifinfomsg and struct ifaddrmsg have the ifindex at the same place.
		if len(m.Data) >= 8 {
			index = int(int32(binary.NativeEndian.Uint32(m.Data[4:8])))
		}
	case unix.RTM_NEWNETCONF:
		index = netconfIndex(m.Data)
	}
	return index > 0 && (*watched)[index]
}

// netconfIndex returns the ifindex of a message about settings; values that are
// none stand for all devices.
func netconfIndex(data []byte) int {
	const header, ifindex = 4, 1 // struct netconfmsg with its padding, NETCONFA_IFINDEX
	if len(data) < header {
		return 0
	}
	attributes, err := netlink.NewAttributeDecoder(data[header:])
	if err != nil {
		return 0
	}
	for attributes.Next() {
		if attributes.Type() == ifindex && len(attributes.Bytes()) == 4 {
			return int(attributes.Int32())
		}
	}
	return 0
}
