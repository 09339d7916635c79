package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	libovsdb "github.com/ovn-kubernetes/libovsdb/model"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/report"
)

const (
	// heartbeatEvery is how often a host says that it is there, give or take a fifth, so
	// that many do not do so at once.
	heartbeatEvery = 5 * time.Second
	// beatGrid is to what moments heartbeats keep. A server looks at all its clients each
	// time that it wakes up: it is to find several heartbeats when it does.
	beatGrid = 500 * time.Millisecond
	// patience is for how long a host whose heartbeat stands still counts as there.
	patience = 15 * time.Second
	// reportPause is the least time between two reports.
	reportPause = 100 * time.Millisecond
	// writeTimeout bounds one transaction. A server that takes longer is given up.
	writeTimeout = 10 * time.Second
	// probeInterval is how often a connection is probed. A Reporter's heartbeats do so
	// too.
	probeInterval = time.Minute
	// claimPause is how often a row is looked at that another machine writes.
	claimPause = 3 * time.Second
)

// Loop tells how the host stands. Package reconcile has the real one.
type Loop interface {
	Status() report.Status
	// Changed returns a channel that is closed when Status is another one.
	Changed() <-chan struct{}
}

// ReporterConfig says what a Reporter reports, and to whom.
type ReporterConfig struct {
	// Endpoints are OVSDB connection methods of the servers that have Database. The host
	// reports to all of them, so that a Reader may follow any.
	Endpoints []string
	// TLS is for ssl endpoints.
	TLS  *tls.Config
	Loop Loop
	// SystemID returns the system-id of a host, "" if it is not known. Seen returns the
	// newest revision of the desired state that was read here.
	SystemID func(host model.ID) string
	Seen     func() int64
	// Boot names the run of this machine: no other machine has the same.
	Boot string
	// Version is that of isonetd, URL where its API is, "" for nowhere.
	Version, URL string
	Logger       *slog.Logger
}

// Reporter keeps the row of this host. Use NewReporter.
type Reporter struct {
	cfg     ReporterConfig
	servers []*server
	// newest is what is to be told.
	newest atomic.Pointer[news]
}

// news is a record, nil while there is nothing to report, and a channel that is closed
// when there is another one.
type news struct {
	record *record
	next   chan struct{}
}

// server is one of the servers to which the host reports.
type server struct {
	endpoint string
	reporter *Reporter
	mu       sync.Mutex
	health   Health
	// Of the goroutine of the session: what the row says, nil if that is not known; and
	// the other machine that writes it.
	written *record
	row     string // its UUID
	rival   rival
}

// rival is another machine that writes the row of this host.
type rival struct {
	boot      string
	heartbeat int64
	since     time.Time // when the heartbeat was seen to change
}

// Health tells how the reports to one server fare.
type Health struct {
	Endpoint  string
	Connected bool
	// Reports and Heartbeats count what was written, Failures what was not.
	Reports, Heartbeats, Failures uint64
	// Trouble says why the server does not have the newest report; "" if it has it, or
	// if there is none.
	Trouble string
}

// NewReporter returns a reporter. Run runs it.
func NewReporter(cfg ReporterConfig) *Reporter {
	r := &Reporter{cfg: cfg}
	r.newest.Store(&news{next: make(chan struct{})})
	for _, endpoint := range cfg.Endpoints {
		r.servers = append(r.servers, &server{endpoint: endpoint, reporter: r, health: Health{Endpoint: endpoint, Trouble: "it has not been reached yet"}})
	}
	return r
}

// Health tells how the reports to each server fare, in the order of the endpoints.
func (r *Reporter) Health() []Health {
	list := make([]Health, 0, len(r.servers))
	for _, s := range r.servers {
		s.mu.Lock()
		list = append(list, s.health)
		s.mu.Unlock()
	}
	return list
}

// Run reports until ctx ends, which is no error. That a server is lost, or is another one
// and empty, is no error either: it gets the row when it is there.
func (r *Reporter) Run(ctx context.Context) error {
	// The rows of the others are of no interest: nothing is followed.
	m, err := libovsdb.NewClientDBModel(Database, map[string]libovsdb.Model{})
	if err != nil {
		return fmt.Errorf("describe the database: %w", err)
	}
	var running sync.WaitGroup
	for _, s := range r.servers {
		cfg := ovsdb.Config{
			Endpoints: []string{s.endpoint}, TLS: r.cfg.TLS, Model: m, ProbeInterval: probeInterval, Many: true, Volatile: true,
			Logger: r.cfg.Logger.With("server", s.endpoint),
		}
		running.Go(func() { ovsdb.Keep(ctx, cfg, s.follow, s.ended) })
	}
	r.observe(ctx)
	running.Wait()
	return nil
}

// observe makes a record of each new status.
func (r *Reporter) observe(ctx context.Context) {
	for ctx.Err() == nil {
		changed, made, told := r.cfg.Loop.Changed(), time.Now(), r.cfg.Loop.Status().Revision
		next := &news{record: r.record(), next: make(chan struct{})}
		close(r.newest.Swap(next).next)
		r.await(ctx, changed, told)
		sleep(ctx, reportPause-time.Since(made)) // what comes after quiet is told at once
	}
}

// await waits for another status. A revision that concerns other hosts only makes none, but
// who waits for the host must learn that it has gone through it: that is told as often as
// there are heartbeats.
func (r *Reporter) await(ctx context.Context, changed <-chan struct{}, told int64) {
	for {
		timer := time.NewTimer(time.Until(nextBeat(time.Now())))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
			if r.cfg.Loop.Status().Revision == told {
				continue
			}
		}
		timer.Stop()
		return
	}
}

func (r *Reporter) record() *record {
	status := r.cfg.Loop.Status()
	systemID := r.cfg.SystemID(status.HostID)
	if silent(systemID, status) {
		return nil
	}
	return newRecord(member{systemID, r.cfg.Boot, r.cfg.Version, r.cfg.URL}, status)
}

// sleep pauses until ctx ends at the latest.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// follow keeps the row as long as a session lasts.
func (s *server) follow(ctx context.Context, session *ovsdb.Session) error {
	s.written = nil // it may be another server's
	s.note(func(h *Health) { h.Connected, h.Trouble = true, "" })
	var due time.Time // of the next heartbeat
	for {
		now := s.reporter.newest.Load()
		next := time.Hour // nothing to report until there is news
		var err error
		if now.record != nil {
			next, err = s.keep(ctx, session, now.record, &due)
		}
		var refused *ovsdb.Error
		switch {
		case errors.Is(err, ovsdb.ErrStale):
			s.written = nil // somebody changed the row: look
			next = reportPause
		case err != nil:
			s.note(func(h *Health) { h.Failures++ })
			if errors.As(err, &refused) {
				return fmt.Errorf("report to the server of fleet-status: %w", err)
			}
			return err
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-now.next:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// keep writes what differs, or the heartbeat when it is time. It returns when to call it
// again at the latest.
func (s *server) keep(ctx context.Context, session *ovsdb.Session, r *record, due *time.Time) (time.Duration, error) {
	ctx, done := context.WithTimeout(ctx, writeTimeout)
	defer done()
	if s.written == nil || s.written.systemID != r.systemID {
		mine, err := s.claim(ctx, session, r)
		if err != nil || !mine {
			return claimPause, err
		}
		*due = nextBeat(time.Now())
	}
	operations := r.differs(s.row, s.written)
	if wait := time.Until(*due); len(operations) == 0 && wait > 0 {
		return wait, nil
	}
	now := time.Now()
	operations = append([]rfc.Operation{unchanged(s.row, s.written.boot())}, operations...)
	if _, err := session.Transact(ctx, append(operations, beat(s.row, now, s.reporter.cfg.Seen()))...); err != nil {
		return 0, err
	}
	s.written, *due = r, nextBeat(now)
	s.note(func(h *Health) {
		if len(operations) > 1 {
			h.Reports++
		} else {
			h.Heartbeats++
		}
	})
	return time.Until(*due), nil
}

// nextBeat returns when the heartbeat after one is due. Hosts whose clocks agree choose
// among a few moments.
func nextBeat(now time.Time) time.Time {
	pause := heartbeatEvery*4/5 + rand.N(heartbeatEvery*2/5)
	wall := now.Add(pause)
	return now.Add(pause - wall.Sub(wall.Truncate(beatGrid))) // by a clock that nobody sets
}

// claim finds out what the row says, and makes it this machine's unless another one is
// seen to write it.
func (s *server) claim(ctx context.Context, session *ovsdb.Session, r *record) (mine bool, err error) {
	results, err := session.Transact(ctx, rfc.Operation{Op: rfc.OperationSelect, Table: Table, Where: where(r.systemID), Columns: append(Columns(), "_uuid")})
	if err != nil {
		return false, err
	}
	now := time.Now()
	var operations []rfc.Operation
	if rows := results[0].Rows; len(rows) > 0 {
		have, heartbeat := recordOf(r.systemID, rows[0])
		row, _ := rows[0]["_uuid"].(rfc.UUID)
		if have.boot() == r.boot() {
			s.written, s.row, s.rival = have, row.GoUUID, rival{}
			return true, nil
		}
		if s.alive(have.boot(), heartbeat, now) {
			return false, nil
		}
		operations = []rfc.Operation{unchanged(row.GoUUID, have.boot()), {Op: rfc.OperationDelete, Table: Table, Where: at(row.GoUUID)}}
	}
	results, err = session.Transact(ctx, append(operations, r.insert(now, s.reporter.cfg.Seen()))...)
	if err != nil {
		return false, err
	}
	s.written, s.row, s.rival = r, results[len(operations)].UUID.GoUUID, rival{}
	s.note(func(h *Health) { h.Reports, h.Trouble = h.Reports+1, "" })
	return true, nil
}

// alive says whether another machine writes the row of this host: a machine with the same
// system-id, or this one before it was started anew.
func (s *server) alive(boot string, heartbeat int64, now time.Time) bool {
	if heartbeat == 0 || now.Sub(time.Unix(heartbeat, 0)) > patience {
		return false
	}
	if s.rival.boot != boot || s.rival.heartbeat != heartbeat {
		first := s.rival.boot != boot
		s.rival = rival{boot, heartbeat, now}
		if !first { // it was seen to write
			s.note(func(h *Health) {
				if h.Trouble == "" {
					s.reporter.cfg.Logger.Warn("another machine reports as this host: two machines have the same system-id; give one of them another one", "server", s.endpoint, "boot", boot)
				}
				h.Trouble = "another machine with the same system-id reports as this host"
			})
		}
	}
	return now.Sub(s.rival.since) <= patience
}

func (s *server) ended(err error) {
	s.note(func(h *Health) {
		h.Connected, h.Trouble = false, fmt.Sprint(err)
	})
}

func (s *server) note(change func(*Health)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.health)
}
