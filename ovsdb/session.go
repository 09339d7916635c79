package ovsdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

const (
	// dialTimeout bounds connecting and reading the schema.
	dialTimeout = 10 * time.Second
	// dumpTimeout bounds the first dump. It only says when a server that hangs is
	// given up: a machine that needs long for many rows must not begin anew for
	// ever.
	dumpTimeout = time.Minute
	// defaultProbe is Config.ProbeInterval and Config.ProbeTimeout unless they
	// are set.
	defaultProbe = 5 * time.Second
	// transactTimeout bounds one transaction whose caller sets no deadline.
	transactTimeout = 30 * time.Second
	// lateReply is how long an echo's reply may still be on its way when a session
	// ends.
	lateReply = 250 * time.Millisecond
	// closeTimeout bounds the wait for the client's own goroutines.
	closeTimeout = 2 * time.Second
)

// Config describes a session.
type Config struct {
	// Endpoints are OVSDB connection methods (ovsdb(7)): unix:PATH,
	// tcp:HOST:PORT or ssl:HOST:PORT. The first that works is used; when there
	// are several, they are one cluster and only its leader is.
	Endpoints []string
	// TLS is for ssl endpoints.
	TLS *tls.Config
	// Model names the tables and columns that the session uses.
	Model model.ClientDBModel
	// Monitor names the tables and the columns to keep a copy of. Every table
	// must be given its columns one by one: a copy that receives columns which
	// its Go type lacks cannot follow the database, and the session ends.
	Monitor []client.MonitorOption
	// ProbeInterval and ProbeTimeout bound how long a dead server goes
	// unnoticed, because the connection itself says nothing while a server is
	// stopped. Zero means 5 seconds.
	ProbeInterval, ProbeTimeout time.Duration
	// Lock names a lock of the server's. With it, the session's transactions
	// succeed only while the session has it: see Session.Owner. "" is none.
	Lock   string
	Logger *slog.Logger
}

// Session is one live connection with a copy of the monitored tables.
type Session struct {
	client  client.Client
	writer  *writer         // nil without a lock
	ctx     context.Context // ends with the session, for the sake of Transact
	changed chan struct{}
}

// Run opens a session and calls use with it. It returns when use does, or when
// the session is lost: the context given to use then ends, with ErrLost as its
// cause. It closes all it opened before it returns.
func Run(ctx context.Context, cfg Config, use func(ctx context.Context, s *Session) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c, err := newClient(cfg, cancel)
	if err != nil {
		return err
	}
	connected := false
	wind := watch(c, cancel)
	defer func() {
		cancel(nil) // ends the calls that keep the client from closing
		wind(connected)
	}()

	dialCtx, dialDone := context.WithTimeout(ctx, dialTimeout)
	defer dialDone()
	if err := await(dialCtx, func() error { return c.Connect(dialCtx) }); err != nil {
		return dialError(cfg, err)
	}
	connected = true

	s := &Session{client: c, ctx: ctx, changed: make(chan struct{}, 1)}
	c.Cache().AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(string, model.Model) { s.mark() },
		UpdateFunc: func(string, model.Model, model.Model) { s.mark() },
		DeleteFunc: func(string, model.Model) { s.mark() },
	})
	dialDone()
	dumpCtx, dumpDone := context.WithTimeout(ctx, dumpTimeout)
	defer dumpDone()
	err = await(dumpCtx, func() error {
		_, err := c.Monitor(dumpCtx, c.NewMonitor(cfg.Monitor...))
		return err
	})
	if err != nil {
		return fmt.Errorf("monitor %v: %w", cfg.Endpoints, err)
	}
	if cfg.Lock != "" {
		s.writer, err = openWriter(dumpCtx, c.CurrentEndpoint(), cfg.Lock, cfg.TLS, s.mark, func() { cancel(ErrLost) })
		if err != nil {
			return err
		}
		defer s.writer.close()
	}
	dumpDone()
	probed := make(chan struct{})
	go func() {
		defer close(probed)
		probe(ctx, cfg, c, cancel)
	}()
	defer func() {
		cancel(nil)
		<-probed
	}()

	err = use(ctx, s)
	if cause := context.Cause(ctx); errors.Is(cause, ErrLost) {
		return cause
	}
	return err
}

func newClient(cfg Config, cancel context.CancelCauseFunc) (client.Client, error) {
	if len(cfg.Endpoints) == 0 { // the client would choose one of its own
		return nil, errors.New("no OVSDB endpoint is given")
	}
	log := logr.FromSlogHandler(alarm{cfg.Logger.Handler(), cancel})
	options := []client.Option{
		client.WithLogger(&log),
		client.WithTLSConfig(cfg.TLS),
		client.WithLeaderOnly(len(cfg.Endpoints) > 1),
	}
	for _, e := range cfg.Endpoints {
		options = append(options, client.WithEndpoint(e))
	}
	c, err := client.NewOVSDBClient(cfg.Model, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare a session with %v: %w", cfg.Endpoints, err)
	}
	return c, nil
}

func dialError(cfg Config, err error) error {
	// The client has no types for these errors.
	if strings.Contains(err.Error(), "target database "+cfg.Model.Name()+" not found") {
		return fmt.Errorf("connect to %v: %w: %s; make it with \"ovsdb-tool create FILE SCHEMA\" and \"ovs-appctl -t ovsdb-server ovsdb-server/add-db FILE\" there",
			cfg.Endpoints, ErrNoDatabase, cfg.Model.Name())
	}
	if strings.Contains(err.Error(), "Column does not exist in schema") {
		return fmt.Errorf("connect to %v: the schema of the database %s is older than isonet needs: convert it with \"ovsdb-client convert SERVER SCHEMA\", where the schema of Open_vSwitch comes with a newer Open vSwitch: %w",
			cfg.Endpoints, cfg.Model.Name(), err)
	}
	return fmt.Errorf("connect to %v: %w", cfg.Endpoints, err)
}

// alarm is a log handler that ends the session when the client logs that its
// copy broke: the client says so nowhere else, and goes on with a copy that
// does not follow the database any more.
type alarm struct {
	slog.Handler
	cancel context.CancelCauseFunc
}

func (a alarm) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "during libovsdb cache populate") {
		a.cancel(fmt.Errorf("%w: the copy of the database broke", ErrLost))
	}
	return a.Handler.Handle(ctx, r)
}

func (a alarm) WithAttrs(attrs []slog.Attr) slog.Handler {
	return alarm{a.Handler.WithAttrs(attrs), a.cancel}
}

func (a alarm) WithGroup(name string) slog.Handler {
	return alarm{a.Handler.WithGroup(name), a.cancel}
}

// watch cancels the session when the client says that the connection ended.
// The client drops that notice when nobody waits for it, so somebody waits
// before it connects. The returned function closes the client and waits until
// it has wound up, but not for ever: the client blocks while a message for a
// stopped server fills the socket.
func watch(c client.Client, cancel context.CancelCauseFunc) func(connected bool) {
	ended, stop := make(chan struct{}), make(chan struct{})
	notice := c.DisconnectNotify()
	go func() {
		defer close(ended)
		select {
		case <-notice:
			cancel(ErrLost)
		case <-stop:
		}
	}()
	return func(connected bool) {
		bounded, done := context.WithTimeout(context.Background(), closeTimeout)
		defer done()
		_ = await(bounded, func() error { // late is all that a close can be
			c.Close()
			return nil
		})
		if connected {
			select {
			case <-ended:
			case <-bounded.Done():
			}
		}
		close(stop)
		<-ended
	}
}

// probe ends the session when the server stops answering.
func probe(ctx context.Context, cfg Config, c client.Client, cancel context.CancelCauseFunc) {
	interval, timeout := cfg.ProbeInterval, cfg.ProbeTimeout
	if interval == 0 {
		interval = defaultProbe
	}
	if timeout == 0 {
		timeout = defaultProbe
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		echo(ctx, c, timeout, func(err error) { cancel(fmt.Errorf("%w: %w", ErrLost, err)) })
	}
}

// echo asks the server for a sign of life, and calls lost when none comes in time.
// The client's Echo looks at the reply even when its context has ended, while the
// connection may just be writing it. So one that is on its way gets a moment to
// arrive before Echo is given up, which it must be for the client to close.
func echo(ctx context.Context, c client.Client, timeout time.Duration, lost func(error)) {
	waits, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	var err error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		err = c.Echo(waits)
	}()
	select {
	case <-answered:
		if err != nil {
			lost(fmt.Errorf("echo: %w", err))
		}
		return
	case <-ctx.Done():
	case <-time.After(timeout):
		lost(fmt.Errorf("no answer to an echo within %v", timeout))
	}
	select {
	case <-answered:
	case <-time.After(lateReply):
	}
}

// await runs call and returns its error, or the cause of ctx's end. The client
// heeds a context while it waits for an answer but not while it sends, so a
// call can outlast its context; it then ends with the connection.
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

func (s *Session) mark() {
	select {
	case s.changed <- struct{}{}:
	default: // a mark is already waiting
	}
}

// Owner says whether the session has Config.Lock, or needs none. A session waits
// for the lock and gets it when the session before it ends; Changed tells.
func (s *Session) Owner() bool { return s.writer == nil || s.writer.held.Load() }

// Changed receives a value after the copy or Owner changed. Many changes may
// make one.
func (s *Session) Changed() <-chan struct{} { return s.changed }

// Schema returns the server's schema of the database.
func (s *Session) Schema() ovsdb.DatabaseSchema { return s.client.Schema() }

// Rows returns the copy's rows of a table by their UUIDs. The rows are shared:
// do not change them. Rows of several tables may be of neighbouring moments;
// Changed then follows. Tables returns them as of one moment.
func (s *Session) Rows(table string) map[string]model.Model {
	return s.collect(table)[table]
}

// Tables returns the copy's rows of several tables, by table and UUID, as of
// one moment between two transactions: what a transaction changed is in it
// either as a whole or not at all. The rows are shared: do not change them. It
// returns nil when the session has ended.
func (s *Session) Tables(names ...string) map[string]map[string]model.Model {
	// The client replaces a row that changes, and it returns no table while it
	// applies a message. So what two readings in a row have in common was all
	// true at once when the second began.
	before := s.collect(names...)
	for before != nil {
		after := s.collect(names...)
		if maps.EqualFunc(before, after, maps.Equal[map[string]model.Model]) {
			return after
		}
		before = after
	}
	return nil
}

func (s *Session) collect(names ...string) map[string]map[string]model.Model {
	c := s.client.Cache()
	if c == nil { // the session has ended
		return nil
	}
	tables := make(map[string]map[string]model.Model, len(names))
	for _, name := range names {
		tables[name] = c.Table(name).RowsShallow()
	}
	return tables
}

// Transact commits the operations as one transaction and returns their
// results. When it returns nil, the change is on the server's disk. An error
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

	durable := true
	operations = append(operations, ovsdb.Operation{Op: ovsdb.OperationCommit, Durable: &durable})
	answer := make(chan []ovsdb.OperationResult, 1)
	err := await(ctx, func() error {
		results, err := s.transact(ctx, operations)
		answer <- results
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("transact: %w", err)
	}
	results := <-answer
	if err := check(results, len(operations)); err != nil {
		return nil, err
	}
	return results, nil
}

func (s *Session) transact(ctx context.Context, operations []ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	if s.writer == nil {
		return s.client.Transact(ctx, operations...)
	}
	return s.writer.transact(ctx, s.Schema().Name, operations)
}
