package guard

import (
	"context"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Run tells by Disturbed of every change of the nftables rules of the network
// namespace of its thread until ctx ends: a firewall that is reloaded flushes
// the guard's rules too. Without the privilege there are no rules to watch, and
// it only waits.
func (g *Guard) Run(ctx context.Context) error {
	for {
		err := g.watch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			g.disturb() // changes were missed, and so it does not matter which
		case unavailable(err) != "":
			<-ctx.Done()
			return nil
		default:
			return fmt.Errorf("watch the rules of nftables: %w", err)
		}
	}
}

// Disturbed yields after rules of nftables were changed, by Apply or by others.
// Apply then puts right what is to be put right, and costs no transaction if
// there is nothing. Many changes yield one value.
func (g *Guard) Disturbed() <-chan struct{} { return g.disturbed }

func (g *Guard) disturb() {
	select {
	case g.disturbed <- struct{}{}:
	default: // one is waiting to be taken
	}
}

// watch lasts as long as one subscription.
func (g *Guard) watch(ctx context.Context) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer func() { _ = conn.Close() }() // a second time is no harm
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	g.disturb() // what happened before the subscription
	for {
		if _, err := conn.Receive(); err != nil {
			return err
		}
		g.disturb()
	}
}
