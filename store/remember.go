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

// saveInterval is how often at most the desired state is saved: in a store of many
// hosts somebody changes it all the time.
const saveInterval = time.Second

// remembered is what a host knows of a shared store that it does not reach when it
// starts.
type remembered struct {
	// Endpoints are those of the store: what another one said is of no use.
	Endpoints []string
	Desired   *model.Desired
	// Fresh is when that was known to be the newest.
	Fresh time.Time
	// Tenant says which machine was which host then.
	Tenant tenantOf
}

// tenantOf is a machine and the host that it is, see Hold.
type tenantOf struct {
	Host    model.ID
	Machine string
}

// copyOf returns the file in the state directory that has the newest desired state.
func copyOf(stateDir string, log *slog.Logger) *statefile.File {
	return statefile.New(filepath.Join(stateDir, "desired"), "desired 1", statefile.Texts{
		Broken:  "the copy of the desired state is lost: the host stays as it is until the store is reached; look into the file that is kept aside",
		Unsaved: "the desired state cannot be copied: after a restart the host stays as it is until the store is reached; trying on",
		Saved:   "the desired state can be copied again",
	}, log)
}

// recall publishes the desired state that was saved last, as one that was lost then.
func (s *Store) recall() {
	var r remembered
	if !s.file.Load(&r) || r.Desired == nil || r.Desired.Validate() != nil || !slices.Equal(r.Endpoints, s.cfg.Endpoints) {
		return
	}
	r.Desired.Recalled = true
	s.recalled.Store(r.Desired)
	s.tenant.Store(&r.Tenant)
	now := *s.newest.Load()
	now.desired, now.written, now.lost, now.changed = r.Desired, r.Desired, r.Fresh, make(chan struct{})
	s.replace(now)
	s.isReady.Do(func() { close(s.ready) })
	s.cfg.Logger.Info("going by the desired state of the last time until the store is reached", "revision", r.Desired.Revision, "fresh", r.Fresh)
}

// remember saves the desired state when it or the tenant has changed, until ctx ends.
func (s *Store) remember(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			s.save()
			return
		case <-s.unsaved:
		}
		s.save()
		pause := time.NewTimer(saveInterval)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// save saves what the store has read, if it has.
func (s *Store) save() {
	now := s.newest.Load()
	if now.root.uuid == "" {
		return
	}
	r := remembered{Endpoints: s.cfg.Endpoints, Desired: now.desired, Fresh: now.lost}
	if now.session != nil {
		r.Fresh = time.Now()
	}
	if tenant := s.tenant.Load(); tenant != nil {
		r.Tenant = *tenant
		if _, there := now.desired.Hosts[tenant.Host]; !there && tenant.Host != "" {
			return // somebody removed it: what it had is worth more than that
		}
	}
	s.file.Save(r)
}

// unsave asks for a save.
func (s *Store) unsave() {
	select {
	case s.unsaved <- struct{}{}:
	default: // somebody asked already
	}
}
