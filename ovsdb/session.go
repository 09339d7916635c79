package ovsdb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

const (
	// dialTimeout bounds connecting, to all endpoints together, and then reading the
	// schema.
	dialTimeout = 10 * time.Second
	// dumpTimeout bounds the first dump. It only says when a server that hangs is
	// given up: a machine that needs long for many rows must not begin anew for
	// ever.
	dumpTimeout = time.Minute
	// probeInterval and probeTimeout are Config.ProbeInterval and
	// Config.ProbeTimeout unless they are set. Heard tells of a server that is
	// silent long before it is given up, which costs a new copy of everything: one
	// that works on a large transaction must not be.
	probeInterval = time.Second
	probeTimeout  = 9 * time.Second
	// transactTimeout bounds one transaction whose caller sets no deadline.
	transactTimeout = 30 * time.Second
)

// Config describes a session.
type Config struct {
	// Endpoints are OVSDB connection methods (ovsdb(7)): unix:PATH,
	// tcp:HOST:PORT or ssl:HOST:PORT. When there are several, all have the same
	// database.
	Endpoints []string
	// Member says which of the servers will do.
	Member Member
	// TLS is for ssl endpoints.
	TLS *tls.Config
	// Model names the tables and columns that the session keeps a copy of.
	Model model.ClientDBModel
	// Conditions select the rows at first, see Session.Select. Nil is all rows, and
	// that they stay all.
	Conditions Conditions
	// ProbeInterval and ProbeTimeout bound how long a dead server goes
	// unnoticed, because the connection itself says nothing while a server is
	// stopped. Zero means 1 and 9 seconds.
	ProbeInterval, ProbeTimeout time.Duration
	// Lock names a lock of the server's. With it, the session's transactions
	// succeed only while the session has it: see Session.Owner. "" is none.
	Lock string
	// Many says that many clients have sessions with the same servers. Each probes
	// after a random time, half of ProbeInterval to one and a half of it, and Keep
	// pauses for a random time, so that they do not all come at once.
	Many bool
	// Volatile says that a transaction need not be on the server's disk when Transact
	// returns: it may be lost with the server, and costs nobody the wait for a disk.
	Volatile bool
	Logger   *slog.Logger
	// last is the endpoint of the session before, which broke; "" is none.
	last string
}

// Member says which servers of a database will do for a session.
type Member int

const (
	// Any is any server that has the database.
	Any Member = iota
	// Connected is a server that is connected to its cluster: a member with a
	// majority, leader or not, a relay that reaches one, or the only server. They are
	// tried in a random order.
	Connected
	// Leader is the server that leads the cluster, or the only one, or a relay that
	// reaches it: hosts of a fleet have no other way.
	Leader
)

// Session is one live connection with a copy of the tables that it follows.
type Session struct {
	connection *connection
	ctx        context.Context // ends with the session, for the sake of Transact
	changed    chan struct{}
	volatile   bool
	// heard is when the server last said something.
	heard atomic.Pointer[time.Time]
}

// Run opens a session and calls use with it. It returns when use does, or when
// the session is lost: the context given to use then ends, with ErrLost as its
// cause. It closes all it opened before it returns.
func Run(ctx context.Context, cfg Config, use func(ctx context.Context, s *Session) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cfg.Endpoints = ordered(cfg)
	s := &Session{ctx: ctx, changed: make(chan struct{}, 1), volatile: cfg.Volatile}
	s.hear()
	var err error
	if s.connection, err = connect(ctx, cfg, s.mark, cancel); err != nil {
		return err
	}
	probed := make(chan struct{})
	go func() {
		defer close(probed)
		s.probe(cfg, cancel)
	}()
	defer func() {
		cancel(nil)
		s.connection.close()
		<-probed
	}()
	err = use(ctx, s)
	if cause := context.Cause(ctx); errors.Is(cause, ErrLost) {
		return cause
	}
	return err
}

// probe ends the session when the server stops answering.
func (s *Session) probe(cfg Config, cancel context.CancelCauseFunc) {
	pause := func() time.Duration {
		interval := cmp.Or(cfg.ProbeInterval, probeInterval)
		if cfg.Many {
			return interval/2 + rand.N(interval)
		}
		return interval
	}
	timer := time.NewTimer(pause())
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
			timer.Reset(pause())
		}
		if err := s.connection.echo(s.ctx, cmp.Or(cfg.ProbeTimeout, probeTimeout)); err != nil {
			cancel(fmt.Errorf("%w: %w", ErrLost, err))
			return
		}
		s.hear()
	}
}

// await runs call and returns its error, or the cause of ctx's end. A call heeds
// a context while it waits for an answer but not while it sends, so it can outlast
// its context; it then ends with the connection.
func await(ctx context.Context, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Heard returns when the server last said something: it is asked for a sign of
// life every Config.ProbeInterval, and its copy follows without being asked.
func (s *Session) Heard() time.Time { return *s.heard.Load() }

func (s *Session) hear() {
	now := time.Now()
	s.heard.Store(&now)
}

func (s *Session) mark() {
	s.hear()
	select {
	case s.changed <- struct{}{}:
	default: // a mark is already waiting
	}
}

// Owner says whether the session has Config.Lock, or needs none. A session waits
// for the lock and gets it when the session before it ends; Changed tells.
func (s *Session) Owner() bool { return s.connection.lock == "" || s.connection.held.Load() }

// Steal takes Config.Lock from the session that has it (RFC 7047 section 4.1.9),
// which waits for it from then on.
func (s *Session) Steal(ctx context.Context) error { return s.connection.steal(ctx) }

// Endpoint returns the one of Config.Endpoints that the session is with.
func (s *Session) Endpoint() string { return s.connection.endpoint }

// Select changes which rows the copy has: those that satisfy Config.Conditions are
// replaced. When it returns nil, the copy has what is selected now, and Look shows it.
// After an error nobody knows what the copy has: end the session. Config.Conditions
// must not have been nil. The caller must not select from two goroutines at once.
func (s *Session) Select(ctx context.Context, conditions Conditions) error {
	ctx, done := context.WithTimeout(ctx, dumpTimeout)
	defer done()
	return s.connection.choose(ctx, conditions)
}

// Columns returns the columns that the database has, those that the session does
// not follow too, by table. The caller must not change them.
func (s *Session) Columns() map[string][]string { return s.connection.columns }

// Changed receives a value after the copy or Owner changed. Many changes may
// make one.
func (s *Session) Changed() <-chan struct{} { return s.changed }

// Look calls see with the rows as of one moment between two transactions: what a
// transaction changed is in them either as a whole or not at all. Changes are what
// became of them since the last Look; at the first that is all. See must not keep
// or change the tables, nor take long. It may keep the rows, which never change.
// Look returns false when the session has ended.
func (s *Session) Look(see func(all Tables, changes Changes)) bool {
	if s.ctx.Err() != nil {
		return false
	}
	c := s.connection.copy
	c.mu.Lock()
	defer c.mu.Unlock()
	changes := c.changes
	c.changes = Changes{}
	see(c.rows, changes)
	return true
}

// Transact commits the operations as one transaction and returns their
// results. When it returns nil, the change is on the server's disk, unless
// Config.Volatile says otherwise. An error
// that Is *Error, ErrStale or ErrNotOwner says that nothing was written; with any other
// error the outcome is unknown. It ends with the session at the latest, and
// the error then is ErrLost or what the connection said.
func (s *Session) Transact(ctx context.Context, operations ...ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, transactTimeout)
		defer done()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	detach := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	defer detach()

	if !s.volatile {
		durable := true
		operations = append(operations, ovsdb.Operation{Op: ovsdb.OperationCommit, Durable: &durable})
	}
	results, err := s.connection.transact(ctx, operations)
	if err != nil {
		return nil, fmt.Errorf("transact: %w", err)
	}
	if err := check(results, len(operations)); err != nil {
		return nil, err
	}
	return results, nil
}
