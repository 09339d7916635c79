package daemon

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/store"
)

// storeIdle is for how long after the last request the API's copy of a shared store is
// followed: all hosts together would be too much for its servers.
const storeIdle = 5 * time.Minute

// own is what this host must know of the desired state, and what it writes of itself.
type own interface {
	reconcile.Store
	// Connected says whether Snapshot follows the database at the moment.
	Connected() bool
	// FollowName gives a host the name of its machine, unless an operator chose another.
	FollowName(ctx context.Context, host model.ID, name string) error
}

// storeConfig is that of the whole store. A host follows one that others run only while
// somebody asks its API.
func storeConfig(cfg Config, log *slog.Logger) store.Config {
	log = log.With("component", "store")
	all := store.Config{
		Endpoints: cfg.Store, TLS: cfg.StoreCert.client(cfg.StoreCA, log), StateDir: cfg.StateDir, RunDir: filepath.Dir(cfg.Socket), Logger: log,
	}
	if len(cfg.Store) > 0 && !cfg.APIOnly {
		all.Idle = storeIdle
	}
	return all
}

// newSlice returns the part of a store that others run which this host follows.
func (h *host) newSlice(cfg Config) *store.Slice {
	all := storeConfig(cfg, h.log)
	all.Idle = 0
	return store.NewSlice(store.SliceConfig{Config: all, Relays: cfg.Relays, Whose: h.whose})
}

func (o Options) relays() ([]string, error) {
	if o.Relays == "" {
		return nil, nil
	}
	if o.Store == "" {
		return nil, errors.New("they need the servers whose database they have, which the key store names")
	}
	return ovsdb.ParseEndpoints(o.Relays)
}

// whose says what the slice must have: the host of this Open vSwitch, and the networks of
// which it has bridges or ports.
func (h *host) whose() store.Whose {
	var w store.Whose
	w.Host, w.Networks = h.loop.Remembered()
	actual, _ := h.sw.Actual()
	if actual == nil {
		return w
	}
	w.SystemID = actual.SystemID
	for _, b := range actual.Bridges {
		for _, id := range []model.ID{b.Network, plan.MarkedFor(b)} {
			if id != "" {
				w.Networks = append(w.Networks, id)
			}
		}
	}
	return w
}

// startSlice starts the slice, and lets it know when it may be another one.
func (h *host) startSlice(start starter) {
	if h.slice == nil {
		return
	}
	start("slice", h.slice.Run)
	start("whose", func(ctx context.Context) error {
		for {
			changed := h.sw.Changed()
			h.slice.Mind()
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
			}
		}
	})
}
