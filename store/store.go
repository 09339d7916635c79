package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

// Config says where the desired state is kept.
type Config struct {
	// Endpoints are OVSDB connection methods of a server that has the
	// Isolated_Networks database; several are one cluster. Without any, the
	// store runs an ovsdb-server of its own.
	Endpoints []string
	// TLS is for ssl endpoints.
	TLS *tls.Config

	// StateDir is the directory of the store's own database, or of a copy of the
	// desired state if others run the server. It is made, accessible to the owner
	// only, if it does not exist. "" is no copy.
	StateDir string
	// RunDir is where the sockets of the store's own ovsdb-server go, in a
	// directory of their own. Empty means StateDir.
	RunDir string
	// OVSDBServer and OVSDBTool are the programs ovsdb-server(1) and
	// ovsdb-tool(1). Empty means the ones in PATH.
	OVSDBServer, OVSDBTool string

	// Idle is for how long after the last call of Ready or Update the store follows its
	// database. 0 is always.
	Idle time.Duration

	Logger *slog.Logger
}

// Store is the desired state. Use New.
type Store struct {
	cfg    Config
	newest atomic.Pointer[view] // readers take no lock; Run is the only writer
	rest   rest
	// writing holds a value while an Update runs: writers of one process take
	// turns, so that only those of other processes make work in vain.
	writing chan struct{}
	// settled is the transaction of the last Update, when its row in the table Request is
	// of no use any more, and pruned when old rows were last deleted. They belong to who
	// has the turn.
	settled string
	pruned  time.Time
	// memory is the file with the newest state of a shared store; nil is none.
	memory *recollection
}

// view is the newest state together with the session to change it with. Both
// are published at once: an Update runs on what Snapshot has shown, or newer.
type view struct {
	desired *model.Desired
	root    root
	// written is what the rows say. It is desired, but for those that are invalid, and
	// why they are.
	written *model.Desired
	invalid map[string]string
	// session is nil while there is none; err then says why.
	session *ovsdb.Session
	err     error
	lost    time.Time // when the last session ended
	// changed is closed when desired is replaced, replaced when anything is. Ready is closed
	// when desired may be looked at.
	changed, replaced, ready chan struct{}
}

// reason says why there is no session. While there is one, who asks waits for
// another, because the last one broke.
func (v *view) reason() error {
	if v.err == nil {
		return ovsdb.ErrLost
	}
	return v.err
}

// root is the database's root row.
type root struct {
	uuid     string
	revision int64
	// names counts the transactions that gave networks their names. Those of older
	// isonetd do not count it, and change recent.
	names  int
	recent map[string]int
}

// New returns a store that is empty until Run has read its database.
func New(cfg Config) *Store {
	s := &Store{cfg: cfg, writing: make(chan struct{}, 1), rest: rest{woken: make(chan struct{}, 1)}}
	s.newest.Store(&view{
		desired: model.NewDesired(), err: errors.New("it has not been reached yet"), lost: time.Now(),
		changed: make(chan struct{}), replaced: make(chan struct{}), ready: make(chan struct{}),
	})
	return s
}

// Run keeps the store connected until ctx ends, which is no error. It returns
// an error when the store cannot begin: its own database cannot be prepared,
// or its own ovsdb-server does not start. Call it once.
func (s *Store) Run(ctx context.Context) error {
	cfg := s.cfg.session()
	var err error
	if cfg.Model, err = desiredModel(); err != nil {
		return err
	}
	ended := s.disconnected
	if len(cfg.Endpoints) == 0 {
		server, err := startServer(ctx, s.cfg)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("store in %s: %w", s.cfg.StateDir, err)
		}
		defer server.stop() // after the last session with it
		cfg.Endpoints, cfg.Member = []string{server.endpoint()}, ovsdb.Any
		ended = func(err error) { s.disconnected(server.explain(err)) }
	} else if s.cfg.StateDir != "" {
		s.memory = recollect(copyOfAll, s.cfg, s.remembered)
		s.recall()
		var remembering sync.WaitGroup
		remembering.Go(func() { s.memory.run(ctx) })
		defer remembering.Wait()
	}
	s.whileAsked(ctx, func(ctx context.Context) { ovsdb.Keep(ctx, cfg, s.follow, ended) })
	s.disconnected(errors.New("it has been stopped"))
	return nil
}

// recall publishes the desired state that was saved last, as one that was lost then.
func (s *Store) recall() {
	r, known := s.memory.load(s.cfg.Logger)
	if !known {
		return
	}
	now := *s.newest.Load()
	now.desired, now.written, now.lost, now.changed = r.Desired, r.Desired, r.Fresh, make(chan struct{})
	s.replace(now)
	if s.cfg.Idle == 0 { // else who asks first waits for what is newer
		s.getReady()
	}
}

// remembered returns what to save of what the store has read, if it has.
func (s *Store) remembered() (remembered, bool) {
	now := s.newest.Load()
	r := remembered{Desired: now.desired, Fresh: now.lost}
	if now.session != nil {
		r.Fresh = time.Now()
	}
	return r, now.root.uuid != ""
}

// follow publishes the state after every change, as long as the session lasts.
func (s *Store) follow(ctx context.Context, session *ovsdb.Session) error {
	written := model.NewDesired()
	for {
		var root root
		var there bool
		var changes ovsdb.Changes
		if !session.Look(func(all ovsdb.Tables, since ovsdb.Changes) {
			root, there = readRoot(all)
			changes = since
		}) {
			return ovsdb.ErrLost
		}
		if written = after(written, changes); there {
			s.publish(session, root, written)
		} else if err := s.createRoot(ctx, session); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-session.Changed():
		}
	}
}

// createRoot makes a new database usable. When another process is faster, the
// server refuses, and the next session finds that one's row.
func (s *Store) createRoot(ctx context.Context, session *ovsdb.Session) error {
	_, err := session.Transact(ctx, rfc.Operation{
		Op: rfc.OperationInsert, Table: schema.IsolatedNetworksTable,
		// A revision that readers have seen means that somebody deleted the row.
		Row: rfc.Row{"revision": int(s.newest.Load().root.revision)},
	})
	if err != nil {
		return fmt.Errorf("create the root row of the database: %w", err)
	}
	return nil
}

func (s *Store) publish(session *ovsdb.Session, root root, written *model.Desired) {
	before := s.newest.Load()
	counting, invalid := valid(written, before.desired)
	tellInvalid(s.cfg.Logger, before.invalid, invalid)
	desired, changed := before.desired, before.changed
	if root.revision != desired.Revision || desired.Recalled || !counting.Equal(desired) {
		desired, changed = &model.Desired{
			Revision: root.revision, Networks: counting.Networks, Hosts: counting.Hosts, Attachments: counting.Attachments,
		}, make(chan struct{})
	}
	s.replace(view{desired: desired, root: root, written: written, invalid: invalid, session: session, changed: changed, ready: before.ready})
	s.getReady()
}

// tellInvalid logs which rows have a problem that they did not have before.
func tellInvalid(log *slog.Logger, before, now map[string]string) {
	for row, problem := range now {
		if before[row] != problem {
			log.Warn("ignoring what somebody wrote without isonet: correct or delete the row with ovsdb-client; what it was before counts until then", "row", row, "problem", problem)
		}
	}
}

func (s *Store) disconnected(err error) {
	now := *s.newest.Load()
	if now.session != nil {
		now.lost = time.Now()
	}
	now.session, now.err = nil, err
	s.replace(now)
	if now.root.uuid != "" || now.desired.Recalled { // what was known may be looked at, as what is stale
		s.getReady()
	}
}

// getReady lets the snapshot be looked at. Only Run calls it.
func (s *Store) getReady() {
	select {
	case <-s.newest.Load().ready:
	default:
		close(s.newest.Load().ready)
	}
}

func (s *Store) replace(v view) {
	v.replaced = make(chan struct{})
	old := s.newest.Swap(&v)
	s.memory.unsave()
	close(old.replaced)
	if v.changed != old.changed {
		close(old.changed)
	}
}

// Ready returns a channel that is closed when the first complete snapshot is
// there, or another one after nobody has asked for Config.Idle. That may be the last one
// known, of the run before too, see StaleSince.
func (s *Store) Ready() <-chan struct{} {
	s.rest.ask()
	return s.newest.Load().ready
}

// Snapshot returns the newest desired state, which nobody changes: Clone it to
// change it. It is empty before Ready, and the last one known while there is
// no connection.
func (s *Store) Snapshot() *model.Desired { return s.newest.Load().desired }

// Recalled returns nil: a store of this host's own is always there. A Slice has more.
func (s *Store) Recalled() *model.Desired { return nil }

// Changed returns a channel that is closed when Snapshot returns something
// new. Take it before the snapshot, so as to miss nothing.
func (s *Store) Changed() <-chan struct{} { return s.newest.Load().changed }

// Newest returns what Snapshot does, its revision, and what Changed does.
func (s *Store) Newest() (desired *model.Desired, revision int64, changed <-chan struct{}) {
	now := s.newest.Load()
	return now.desired, now.desired.Revision, now.changed
}

// Connected says whether the store follows its database at the moment.
func (s *Store) Connected() bool { return s.newest.Load().session != nil }

// Trouble returns since when the store does not follow its database, and why; zero
// and nil when it does.
func (s *Store) Trouble() (since time.Time, err error) {
	now := s.newest.Load()
	if now.session != nil {
		return time.Time{}, nil
	}
	return now.lost, now.reason()
}

// Invalid returns the rows that somebody wrote without isonet and that cannot count, as
// "TABLE UUID", and why. What they were before counts; one that is new does not. Nobody
// changes the map.
func (s *Store) Invalid() map[string]string { return s.newest.Load().invalid }

// StaleSince returns since when the store does not follow its database; zero
// when it does.
func (s *Store) StaleSince() time.Time {
	now := s.newest.Load()
	if now.session != nil {
		return time.Time{}
	}
	return now.lost
}
