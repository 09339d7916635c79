package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	libovsdb "github.com/ovn-kubernetes/libovsdb/model"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

const (
	// sliceProbe is how often about a host asks one of several servers for a sign of
	// life. A relay with 333 hosts spends 1 ms on each.
	sliceProbe = 15 * time.Second
	// behindPatience is how long another server may be tried when one is behind what was
	// seen, and oldPatience is how long what is older is not believed: until a relay
	// must have noticed that it has lost its cluster. Later the store itself has gone
	// back, as by a backup.
	behindPatience = 3 * time.Second
	oldPatience    = time.Minute
)

// Whose says whose slice it is.
type Whose struct {
	// SystemID is that of the machine's Open vSwitch, "" while it is not known.
	SystemID string
	// Host is the one that the machine was last, "" if it was none.
	Host model.ID
	// Networks are those that have something on the machine, whether they are to be on
	// the host or not.
	Networks []model.ID
}

// SliceConfig says where a slice comes from.
type SliceConfig struct {
	// Config is that of the store. It has endpoints.
	Config
	// Relays are OVSDB endpoints of servers to follow it by: relays, or members of its
	// cluster, of which none needs to lead. Empty means those of the store.
	Relays []string
	// Whose is asked after every change, and when Mind was called.
	Whose func() Whose
}

// Slice is the part of a shared store that one host needs: its row, its attachments,
// and the networks of its labels, of its attachments and of Whose. It is what a Store
// has, without what does not concern the host. What changes elsewhere wakes nobody.
type Slice struct {
	cfg      SliceConfig
	newest   atomic.Pointer[part] // readers take no lock; Run is the only writer
	ready    chan struct{}
	isReady  sync.Once
	minded   chan struct{}
	memory   *recollection // nil is none
	tenant   atomic.Pointer[tenantOf]
	recalled atomic.Pointer[model.Desired] // from the memory when Run began
	// behind is since when no server has what was seen of the store. It belongs to Run's
	// goroutine.
	behind time.Time
}

// part is the newest state of a slice, with the session that has it.
type part struct {
	desired *model.Desired
	// revision is the newest one at which that is what the store has, of the root row
	// with this UUID; "" is one that was recalled.
	revision int64
	root     string
	invalid  map[string]string
	// session is nil while there is none; err then says why.
	session *ovsdb.Session
	err     error
	lost    time.Time // when the last session ended
	// changed is closed when desired is replaced, replaced when anything is.
	changed, replaced chan struct{}
}

// rootRevision is the root row, without what a host does not need.
type rootRevision struct {
	UUID     string `ovsdb:"_uuid"`
	Revision int    `ovsdb:"revision"`
}

// NewSlice returns a slice that is empty until Run has read the database.
func NewSlice(cfg SliceConfig) *Slice {
	s := &Slice{cfg: cfg, ready: make(chan struct{}), minded: make(chan struct{}, 1)}
	s.newest.Store(&part{
		desired: model.NewDesired(), err: errors.New("it has not been reached yet"), lost: time.Now(),
		changed: make(chan struct{}), replaced: make(chan struct{}),
	})
	return s
}

// Run keeps the slice connected until ctx ends, which is no error. Call it once.
func (s *Slice) Run(ctx context.Context) error {
	cfg := s.cfg.session()
	cfg.Member, cfg.ProbeTimeout, cfg.Conditions = ovsdb.Connected, 0, selection{}.conditions()
	if len(s.cfg.Relays) > 0 {
		cfg.Endpoints = s.cfg.Relays
	}
	if len(cfg.Endpoints) > 1 {
		cfg.Many, cfg.ProbeInterval = true, sliceProbe
	}
	var err error
	if cfg.Model, err = libovsdb.NewClientDBModel(Database, map[string]libovsdb.Model{
		schema.IsolatedNetworksTable: &rootRevision{}, schema.NetworkTable: &schema.Network{},
		schema.HostTable: &schema.Host{}, schema.AttachmentTable: &schema.Attachment{},
	}); err != nil {
		return fmt.Errorf("describe the host's part of the database: %w", err)
	}
	if s.cfg.StateDir != "" {
		s.memory = recollect(copyOfSlice, s.cfg.Config, s.remembered)
		s.recall()
		var remembering sync.WaitGroup
		remembering.Go(func() { s.memory.run(ctx) })
		defer remembering.Wait()
	}
	ovsdb.Keep(ctx, cfg, func(ctx context.Context, session *ovsdb.Session) error {
		f := &sliceSession{slice: s, session: session, written: model.NewDesired()}
		return f.follow(ctx)
	}, s.disconnected)
	s.disconnected(errors.New("it has been stopped"))
	return nil
}

// Mind says that the answer of SliceConfig.Whose may be another one.
func (s *Slice) Mind() {
	select {
	case s.minded <- struct{}{}:
	default: // it will be asked
	}
}

// recall publishes the slice that was saved last, as one that was lost then.
func (s *Slice) recall() {
	r, known := s.memory.load(s.cfg.Logger)
	if !known {
		return
	}
	s.tenant.Store(&r.Tenant)
	s.recalled.Store(r.Desired)
	now := *s.newest.Load()
	now.desired, now.revision, now.lost, now.changed = r.Desired, r.Desired.Revision, r.Fresh, make(chan struct{})
	s.replace(now)
	s.isReady.Do(func() { close(s.ready) })
}

// remembered returns what to save, if something was read.
func (s *Slice) remembered() (remembered, bool) {
	now := s.newest.Load()
	r := remembered{Desired: now.desired, Fresh: now.lost}
	if now.session != nil {
		r.Fresh = time.Now()
	}
	if tenant := s.tenant.Load(); tenant != nil {
		r.Tenant = *tenant
		if _, there := now.desired.Hosts[tenant.Host]; !there && tenant.Host != "" {
			return r, false // somebody removed it: what it had is worth more than that
		}
	}
	return r, now.root != ""
}

// publish publishes what the rows say, as of a revision of the root row.
func (s *Slice) publish(session *ovsdb.Session, root rootRevision, written *model.Desired) {
	before := s.newest.Load()
	counting, invalid := valid(written, before.desired)
	tellInvalid(s.cfg.Logger, before.invalid, invalid)
	now := part{desired: before.desired, revision: int64(root.Revision), root: root.UUID, invalid: invalid, session: session, changed: before.changed}
	if now.desired.Recalled || !counting.Equal(now.desired) {
		now.changed = make(chan struct{})
		now.desired = &model.Desired{
			Revision: now.revision, Networks: counting.Networks, Hosts: counting.Hosts, Attachments: counting.Attachments,
		}
	}
	s.replace(now)
	s.isReady.Do(func() { close(s.ready) })
}

// advance publishes that nothing of the slice changed up to a revision.
func (s *Slice) advance(session *ovsdb.Session, root rootRevision) {
	now := *s.newest.Load()
	if now.session == session && now.revision == int64(root.Revision) {
		return
	}
	now.session, now.err, now.revision = session, nil, int64(root.Revision)
	s.replace(now)
}

func (s *Slice) disconnected(err error) {
	now := *s.newest.Load()
	if now.session != nil {
		now.lost = time.Now()
	}
	now.session, now.err = nil, err
	s.replace(now)
}

func (s *Slice) replace(p part) {
	p.replaced = make(chan struct{})
	old := s.newest.Swap(&p)
	close(old.replaced)
	if p.changed != old.changed || (p.session == nil) != (old.session == nil) {
		s.memory.unsave()
	}
	if p.changed != old.changed {
		close(old.changed)
	}
}

// Ready returns a channel that is closed when the first complete snapshot is there. That
// may be the last one of the run before, see StaleSince.
func (s *Slice) Ready() <-chan struct{} { return s.ready }

// Snapshot returns the newest slice, which nobody changes. It is empty before Ready, and
// the last one known while there is no connection. Its revision is the one with which
// the slice changed last.
func (s *Slice) Snapshot() *model.Desired { return s.newest.Load().desired }

// Recalled returns what the last run remembered, with which the slice began; nil if that
// was nothing.
func (s *Slice) Recalled() *model.Desired { return s.recalled.Load() }

// Changed returns a channel that is closed when Snapshot returns something new. Take it
// before the snapshot, so as to miss nothing.
func (s *Slice) Changed() <-chan struct{} { return s.newest.Load().changed }

// Newest returns what Snapshot does, the newest revision of the store at which that is
// the slice, and a channel that is closed when either is another one.
func (s *Slice) Newest() (desired *model.Desired, revision int64, replaced <-chan struct{}) {
	now := s.newest.Load()
	return now.desired, now.revision, now.replaced
}

// Connected says whether the slice follows its database at the moment.
func (s *Slice) Connected() bool { return s.newest.Load().session != nil }

// Trouble returns since when the slice does not follow its database, and why; zero and
// nil when it does.
func (s *Slice) Trouble() (since time.Time, err error) {
	now := s.newest.Load()
	switch {
	case now.session != nil:
		return time.Time{}, nil
	case now.err == nil:
		return now.lost, ovsdb.ErrLost
	}
	return now.lost, now.err
}

// Invalid returns the rows of the slice that somebody wrote without isonet and that
// cannot count, as Store.Invalid does.
func (s *Slice) Invalid() map[string]string { return s.newest.Load().invalid }

// StaleSince returns since when the slice does not follow its database; zero when it
// does.
func (s *Slice) StaleSince() time.Time {
	since, _ := s.Trouble()
	return since
}
