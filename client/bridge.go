package client

import (
	"context"
	"maps"
	"net/http"
	"net/url"

	"github.com/isonet/isonet/wire"
)

// Adopt lets a network take over a bridge of the daemon's host, by the network's
// name or id. A network that does not exist is made. With dryRun it only asks
// whether that would be done, as the other calls of this kind do.
func (c *Client) Adopt(ctx context.Context, bridge, network string, dryRun bool) (done wire.Adoption, err error) {
	body := wire.AdoptRequest{Bridge: bridge, Network: network}
	return done, c.call(ctx, http.MethodPost, "/isonet/adopt", onlyIf("dry_run", dryRun), body, &done)
}

// Release gives the bridge of a network of the daemon's host back, by the
// network's name or id. Force lets ports out of their quarantine.
func (c *Client) Release(ctx context.Context, network string, force, dryRun bool) (done wire.Released, err error) {
	body := wire.ReleaseRequest{Network: network, Force: force}
	return done, c.call(ctx, http.MethodPost, "/isonet/release", onlyIf("dry_run", dryRun), body, &done)
}

// Prune removes the ports of a network, by its name or id, whose devices
// vanished from the daemon's host.
func (c *Client) Prune(ctx context.Context, network string, dryRun bool) (done wire.Pruned, err error) {
	body := wire.PruneRequest{Network: network}
	return done, c.call(ctx, http.MethodPost, "/isonet/prune", onlyIf("dry_run", dryRun), body, &done)
}

// Register makes the daemon's host known again, after somebody removed it. It takes force
// if networks with bridges there do not exist any more.
func (c *Client) Register(ctx context.Context, force, dryRun bool) (made wire.Host, err error) {
	query := url.Values{}
	maps.Copy(query, onlyIf("force", force))
	maps.Copy(query, onlyIf("dry_run", dryRun))
	return made, c.call(ctx, http.MethodPost, "/isonet/register", query, struct{}{}, &made)
}

// ReleaseDevice takes the host guard off a device of the daemon's host that has
// left the networks.
func (c *Client) ReleaseDevice(ctx context.Context, device string, dryRun bool) error {
	body := wire.DeviceRelease{Device: device}
	return c.call(ctx, http.MethodPost, "/isonet/guard/release", onlyIf("dry_run", dryRun), body, nil)
}
