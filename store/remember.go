package store

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/model"
)

// The files in the state directory: what a host goes by, and all of the store for whoever
// reads it by this host.
const (
	copyOfSlice = "desired"
	copyOfAll   = "desired-all"
)

// saveInterval is how often at most the desired state is saved: in a store of many
// hosts somebody changes it all the time.
const saveInterval = time.Second

// remembered is what is known of a store when it is not reached at the start.
type remembered struct {
	// Endpoints are those of the store: what another one said is of no use.
	Endpoints []string
	Desired   *model.Desired
	// Fresh is when that was known to be the newest.
	Fresh time.Time
	// Tenant says which machine was which host then.
	Tenant tenantOf
}

// tenantOf is a machine and the host that it is, see Slice.Hold.
type tenantOf struct {
	Host    model.ID
	Machine string
}

// recollection is a file in the state directory with the newest desired state.
type recollection struct {
	endpoints []string
	file      *statefile.File
	// unsaved holds a value while the file is older.
	unsaved chan struct{}
	// newest returns what to save, and whether there is something.
	newest func() (remembered, bool)
}

// recollect returns the file of a name. Of a slice it is what the host goes by.
func recollect(name string, cfg Config, newest func() (remembered, bool)) *recollection {
	return &recollection{
		endpoints: cfg.Endpoints, unsaved: make(chan struct{}, 1), newest: newest,
		file: statefile.New(filepath.Join(cfg.StateDir, name), "desired 1", statefile.Texts{
			Broken:  "the copy of the desired state is lost: the host stays as it is until the store is reached; look into the file that is kept aside",
			Unsaved: "the desired state cannot be copied: after a restart the host stays as it is until the store is reached; trying on",
			Saved:   "the desired state can be copied again",
		}, cfg.Logger),
	}
}

// load returns what was saved last, if it is of any use.
func (c *recollection) load(log *slog.Logger) (remembered, bool) {
	var r remembered
	if c == nil || !c.file.Load(&r) || r.Desired == nil || r.Desired.Validate() != nil || !slices.Equal(r.Endpoints, c.endpoints) {
		return remembered{}, false
	}
	r.Desired.Recalled = true
	log.Info("going by the desired state of the last time until the store is reached", "revision", r.Desired.Revision, "fresh", r.Fresh)
	return r, true
}

// run saves what is newest when it has changed, until ctx ends.
func (c *recollection) run(ctx context.Context) {
	if c == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			c.save()
			return
		case <-c.unsaved:
		}
		c.save()
		pause := time.NewTimer(saveInterval)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

func (c *recollection) save() {
	if r, known := c.newest(); known {
		r.Endpoints = c.endpoints
		c.file.Save(r)
	}
}

// unsave asks for a save.
func (c *recollection) unsave() {
	if c == nil {
		return
	}
	select {
	case c.unsaved <- struct{}{}:
	default: // somebody asked already
	}
}
