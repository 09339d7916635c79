package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/isonet/isonet/wire"
)

// Backup returns all that operators asked for, of all hosts of the store, at one moment.
func (c *Client) Backup(ctx context.Context) (backup wire.Backup, err error) {
	return backup, c.call(ctx, http.MethodGet, "/isonet/backup", nil, nil, &backup)
}

// RestoreOptions say what a restore may do.
type RestoreOptions struct {
	// Older lets a backup be restored that does not have the newest changes.
	Older bool
	// Force lets bridges go although ports are plugged in.
	Force bool
	// DryRun asks only what would be done.
	DryRun bool
}

// Restore makes all that operators asked for be as in a backup, all of it or nothing. The
// daemon waits for Open vSwitch until ctx ends.
func (c *Client) Restore(ctx context.Context, backup wire.Backup, o RestoreOptions) (done wire.Restored, err error) {
	seconds, _ := strconv.Atoi(c.patience(ctx)) // "" is the default
	body := wire.RestoreRequest{Backup: backup, Older: o.Older, Force: o.Force, ConnectivityTimeout: seconds}
	return done, c.call(ctx, http.MethodPost, "/isonet/restore", onlyIf("dry_run", o.DryRun), body, &done)
}
