package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/isonet/isonet/wire"
)

// Adopt lets a network, which need not exist, take over a bridge of the
// daemon's host. With dryRun it only asks whether that would be done, as the
// other calls of this file do.
func (c *Client) Adopt(ctx context.Context, bridge, network string, dryRun bool) (done wire.Adoption, err error) {
	body := wire.AdoptRequest{Bridge: bridge, Network: network}
	return done, c.call(ctx, http.MethodPost, "/isonet/adopt", rehearsed(dryRun), body, &done)
}

// Release gives the bridge of a network back. Force lets ports out of their
// quarantine.
func (c *Client) Release(ctx context.Context, network string, force, dryRun bool) (done wire.Released, err error) {
	body := wire.ReleaseRequest{Network: network, Force: force}
	return done, c.call(ctx, http.MethodPost, "/isonet/release", rehearsed(dryRun), body, &done)
}

// Prune removes the ports of a network whose devices vanished.
func (c *Client) Prune(ctx context.Context, network string, dryRun bool) (done wire.Pruned, err error) {
	body := wire.PruneRequest{Network: network}
	return done, c.call(ctx, http.MethodPost, "/isonet/prune", rehearsed(dryRun), body, &done)
}

// ReleaseDevice takes the host guard off a device that has left the networks.
func (c *Client) ReleaseDevice(ctx context.Context, device string, dryRun bool) error {
	body := wire.DeviceRelease{Device: device}
	return c.call(ctx, http.MethodPost, "/isonet/guard/release", rehearsed(dryRun), body, &struct{}{})
}

func rehearsed(dryRun bool) url.Values {
	if !dryRun {
		return nil
	}
	return url.Values{"dry_run": {"true"}}
}
