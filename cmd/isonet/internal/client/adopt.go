package client

import (
	"context"
	"net/http"
	"net/url"
)

// NetworkName says which network it is.
type NetworkName struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Adoption is a bridge that became a network's.
type Adoption struct {
	Bridge  string      `json:"bridge"`
	Network NetworkName `json:"network"`
	// Created says that the network did not exist before.
	Created bool `json:"created"`
	// MTU of the network in bytes.
	MTU int `json:"mtu"`
}

// Released is a bridge that is the daemon's no longer.
type Released struct {
	Bridge  string      `json:"bridge"`
	Network NetworkName `json:"network"`
	// Unquarantined are ports that were cut off, Protected those that still reach
	// only ports that are not protected.
	Unquarantined []string `json:"unquarantined"`
	Protected     []string `json:"protected"`
}

// Pruned are the stale ports of a network that were removed.
type Pruned struct {
	Network NetworkName `json:"network"`
	Ports   []string    `json:"ports"`
}

// Adopt lets a network, which need not exist, take over a bridge of the
// daemon's host. With dryRun it only asks whether that would be done, as the
// other calls of this file do.
func (c *Client) Adopt(ctx context.Context, bridge, network string, dryRun bool) (done Adoption, err error) {
	body := map[string]any{"bridge": bridge, "network": network}
	return done, c.call(ctx, http.MethodPost, "/isonet/adopt", rehearsed(dryRun), body, &done)
}

// Release gives the bridge of a network back. Force lets ports out of their
// quarantine.
func (c *Client) Release(ctx context.Context, network string, force, dryRun bool) (done Released, err error) {
	body := map[string]any{"network": network, "force": force}
	return done, c.call(ctx, http.MethodPost, "/isonet/release", rehearsed(dryRun), body, &done)
}

// Prune removes the ports of a network whose devices vanished.
func (c *Client) Prune(ctx context.Context, network string, dryRun bool) (done Pruned, err error) {
	body := map[string]any{"network": network}
	return done, c.call(ctx, http.MethodPost, "/isonet/prune", rehearsed(dryRun), body, &done)
}

// ReleaseDevice takes the host guard off a device that has left the networks.
func (c *Client) ReleaseDevice(ctx context.Context, device string, dryRun bool) error {
	body := map[string]any{"device": device}
	return c.call(ctx, http.MethodPost, "/isonet/guard/release", rehearsed(dryRun), body, &struct{}{})
}

func rehearsed(dryRun bool) url.Values {
	if !dryRun {
		return nil
	}
	return url.Values{"dry_run": {"true"}}
}
