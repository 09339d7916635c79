package ovs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"
	"golang.org/x/sync/errgroup"

	isonet "github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/ovs/totals"
	"github.com/isonet/isonet/ovsdb"
)

// AutoDatapath chooses the kernel's datapath ("system") if the kernel has it,
// else the userspace one ("netdev").
const AutoDatapath = "auto"

// lockName is the lock of the Open_vSwitch database (RFC 7047 section 4.1.8)
// that only one isonetd of a host has at a time.
const lockName = "isonet"

// deviceRest is the least time between a snapshot and the next one if nothing but
// devices changed. A bridge that is made or removed changes its device several
// times, and one of hundreds must not keep a processor busy that vswitchd needs.
// A change of the database, such as a port that is plugged in, does not wait.
const deviceRest = 10 * time.Millisecond

// ErrDisconnected says that there is no session with Open vSwitch now.
var ErrDisconnected = errors.New("no session with the Open vSwitch database: is ovsdb-server running, and may isonetd use its socket?")

// Observer is told of every transaction; for metrics.
type Observer interface {
	// ObserveTransaction is called with the time that the server took to
	// commit. Result is "committed" or "error".
	ObserveTransaction(took time.Duration, result string)
}

// Devices are the network devices of vswitchd's network namespace.
type Devices interface {
	// Links returns the devices, nil before the first look.
	Links() *plan.Links
	// Changed is closed when the answer of Links changes.
	Changed() <-chan struct{}
}

// Config describes the host's Open vSwitch.
type Config struct {
	Endpoints    []string // of the Open_vSwitch database, see ovsdb.Config
	DatapathType string   // AutoDatapath, "system" or "netdev"
	// Devices tell what is plugged in. Without them nothing that has a device is
	// known to be allowed.
	Devices Devices
	// RemoveDevices removes network devices at once, by their ifindexes. Without
	// it vswitchd removes those of bridges one after the other.
	RemoveDevices func(indexes ...int) error
	// RunDir is where vswitchd makes its sockets (OVS_RUNDIR); "" is found out.
	RunDir   string
	Observer Observer
	// Totals is the file that keeps the traffic totals while the program does
	// not run; "" is none.
	Totals string
	// Wanted returns the networks that are to be on the host with a system-id,
	// and whether that is known yet. A network that is not wanted and has no
	// bridge loses its totals. Without Wanted none is wanted.
	Wanted func(systemID string) (networks map[isonet.ID]bool, known bool)
	// Owner returns the network whose bridge one is, "" for somebody else's.
	// Without it the marks tell.
	Owner func(plan.Bridge) isonet.ID
	// Strange returns the columns, of those that a database has by table, that nobody
	// knows. Without it there are none.
	Strange func(columns map[string][]string) []string
	Logger  *slog.Logger
}

// Switch is the host's Open vSwitch.
type Switch struct {
	cfg Config

	mu      sync.Mutex
	session *ovsdb.Session // nil while disconnected, and without a snapshot that can be used
	// lost says since when there is no session, and why.
	lost     plan.Sighting
	datapath datapath
	// behind is how far vswitchd is behind the database.
	behind   backlog
	vswitchd *vswitchd
	actual   *plan.Actual // kept while disconnected
	changed  chan struct{}
	// lingering are names of bridges whose rows are gone and whose devices
	// vswitchd may not have removed yet.
	lingering map[string]bool
	// removals are those that vswitchd has not begun with.
	removals []removal

	versions atomic.Uint64 // of bridges
	traffic  *traffic.Accumulator
	flows    *flows
	runDir   *runDir
	// placing holds a value when the accumulator has to be told what is where, and
	// placed is closed when it was told for the first time.
	placing, placed chan struct{}
}

// New returns a Switch; Run runs it.
func New(cfg Config) *Switch {
	auto := cfg.DatapathType == AutoDatapath
	cfg.DatapathType = chooseDatapath(cfg.DatapathType)
	if cfg.Owner == nil {
		cfg.Owner = plan.MarkedFor
	}
	dir := newRunDir(cfg)
	cfg.Logger.Info("datapath of the bridges", "type", cfg.DatapathType)
	s := &Switch{
		datapath: datapath{auto: auto, chosen: cfg.DatapathType},
		cfg:      cfg, changed: make(chan struct{}), lingering: map[string]bool{},
		traffic: traffic.New(), placing: make(chan struct{}, 1), placed: make(chan struct{}), vswitchd: &vswitchd{runDir: dir}, runDir: dir,
	}
	s.flows = newFlows(dir, cfg.Logger, s.wake)
	return s
}

// Run keeps two connections to the database until ctx ends: one for the
// configuration, one for the counters.
func (s *Switch) Run(ctx context.Context) error {
	save := s.restore()
	defer save()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.keep(ctx) })
	group.Go(func() error { s.count(ctx); return nil })
	group.Go(func() error { s.vswitchd.run(ctx); return nil })
	group.Go(func() error { s.place(ctx); return nil })
	group.Go(func() error { every(ctx, totals.Interval, save); return nil })
	group.Go(func() error { return s.flows.run(ctx) })
	group.Go(func() error { s.sweep(ctx); return nil })
	return group.Wait()
}

func (s *Switch) keep(ctx context.Context) error {
	m, err := configuration()
	if err != nil {
		return err
	}
	cfg := ovsdb.Config{Endpoints: s.cfg.Endpoints, Model: m, Lock: lockName, Logger: s.cfg.Logger}
	ovsdb.Keep(ctx, cfg, s.follow, s.unreachable)
	return nil
}

// follow publishes a snapshot after every change, as long as the session lasts.
func (s *Switch) follow(ctx context.Context, session *ovsdb.Session) error {
	defer s.publish(nil, nil, nil)
	v := view{picture: newPicture(s.cfg.DatapathType, func() uint64 { return s.versions.Add(1) }, s.cfg.Owner)}
	var strange []string
	if s.cfg.Strange != nil {
		strange = s.cfg.Strange(session.Columns())
	}
	if before, _ := s.Actual(); before != nil { // of an earlier session
		v.changed = slices.Collect(maps.Keys(before.Bridges))
	}
	var published <-chan struct{} // tells when the devices of the last snapshot are the past
	var rested time.Time          // until when devices alone make no snapshot
	for {
		links, linksChanged, err := s.links(ctx)
		if err != nil {
			return err
		}
		changed, err := s.read(ctx, session, &v)
		if err != nil {
			return err
		}
		if v.actual == nil {
			s.publish(nil, nil, nil) // what was seen before is the past
		} else if changed || linksChanged != published {
			actual := *v.actual
			actual.Links, actual.Strange = links.For(actual.Bridges), strange
			s.publish(session, &actual, v.changed)
			v.changed = nil
			published, rested = linksChanged, time.Now().Add(deviceRest)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-session.Changed():
			continue
		case <-linksChanged:
		}
		rest := time.After(time.Until(rested))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-session.Changed():
		case <-rest:
		}
	}
}

// view is what a session showed last.
type view struct {
	picture *picture
	owner   bool
	// actual is the host without the devices; nil when the rows are not the state
	// of one.
	actual *plan.Actual
	// changed are the names of the bridges that may not be what they were in the
	// last snapshot.
	changed []string
}

// read brings a view up to date. It reports whether that changed anything.
func (s *Switch) read(ctx context.Context, session *ovsdb.Session, v *view) (changed bool, err error) {
	owner := session.Owner() // before the rows, which it may have changed by then
	changed = owner != v.owner
	v.owner = owner
	var actual *plan.Actual
	live := session.Look(func(all ovsdb.Tables, changes ovsdb.Changes) {
		changed = changed || len(changes) > 0
		var names []string
		actual, names = v.picture.update(all, changes)
		v.changed = append(v.changed, names...)
	})
	switch {
	case !live:
		return false, ovsdb.ErrLost
	case !changed: // what there is to know is known
		return false, nil
	}
	v.actual = nil
	if actual != nil {
		s.runDir.tell(actual.RunDir)
	}
	switch {
	case actual == nil:
		s.unusable("Open vSwitch's database is empty", "restart Open vSwitch, which creates its first row, or run \"ovs-vsctl init\"")
		return true, nil
	case actual.SystemID == "" && owner:
		return true, s.identify(ctx, session, actual)
	case actual.SystemID == "": // the other one gives the host its system-id
		s.unusable("Open_vSwitch external_ids:system-id is not set", "wait: the other isonetd sets it")
		return true, nil
	}
	if err := isonet.ValidateSystemID(actual.SystemID); err != nil {
		s.unusable(fmt.Sprintf("Open_vSwitch external_ids:system-id cannot be used: %v", err),
			"set the one that the host had, or another: \"ovs-vsctl set Open_vSwitch . external_ids:system-id=$(uuidgen)\"")
		return true, nil
	}
	actual.Standby = !owner
	s.announceOwner(actual.Standby)
	v.actual = actual
	return true, nil
}

// announceOwner logs when this isonetd waits for another one, or no longer does.
func (s *Switch) announceOwner(standby bool) {
	before, _ := s.Actual()
	switch was := before != nil && before.Standby; {
	case standby && !was:
		s.cfg.Logger.Warn("another isonetd manages this Open vSwitch; this one only reads and takes over when the other one ends", "lock", lockName)
	case was && !standby:
		s.cfg.Logger.Info("took over from another isonetd", "lock", lockName)
	}
}

// links returns the host's devices and what tells of others. It waits for the
// first look at them: before it, a bridge could get the name of a device.
func (s *Switch) links(ctx context.Context) (*plan.Links, <-chan struct{}, error) {
	if s.cfg.Devices == nil {
		return nil, nil, nil
	}
	for {
		changed := s.cfg.Devices.Changed()
		if links := s.cfg.Devices.Links(); links != nil {
			return links, changed, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// identify gives a host without a system-id one. OVSDB's insert changes
// nothing when another program was faster.
func (s *Switch) identify(ctx context.Context, session *ovsdb.Session, actual *plan.Actual) error {
	id := uuid.NewString()
	if before, _ := s.Actual(); before != nil && before.SystemID != "" { // somebody took it away
		id = before.SystemID
	}
	_, err := session.Transact(ctx, rfc.Operation{
		Op: rfc.OperationMutate, Table: "Open_vSwitch", Where: byUUID(actual.RootUUID),
		Mutations: []rfc.Mutation{
			// An empty one is none, and would stay: ovs-ctl(8) writes it.
			*rfc.NewMutation("external_ids", rfc.MutateOperationDelete, ovsMap(map[string]string{"system-id": ""})),
			*rfc.NewMutation("external_ids", rfc.MutateOperationInsert, ovsMap(map[string]string{"system-id": id})),
		},
	})
	if err != nil {
		return fmt.Errorf("set Open_vSwitch external_ids:system-id, which the host lacks: %w", err)
	}
	s.cfg.Logger.Info("gave the host a system-id", "system_id", id)
	return nil
}

// publish replaces the snapshot, of which these bridges may have changed, come or
// gone; a nil session says that it is the past.
func (s *Switch) publish(session *ovsdb.Session, actual *plan.Actual, changed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if actual == nil && s.session == nil {
		return // it is the past already
	}
	if actual == nil {
		actual = s.actual
	}
	for _, name := range changed {
		if _, there := actual.Bridges[name]; !there {
			s.lingering[name] = true
		}
	}
	s.flows.compare(s.actual, actual, changed)
	if session != nil && moved(s.actual, actual, changed) {
		select {
		case s.placing <- struct{}{}:
		default: // it looks at the newest snapshot in any case
		}
	}
	if session == nil && s.session != nil {
		s.lost.Seen = s.session.Heard()
	}
	s.behind.follow(actual, time.Now())
	if session != nil {
		s.lost = plan.Sighting{}
		s.datapath.place(actual)
		actual.Lingering = s.linger(actual.Links)
	}
	s.session, s.actual = session, actual
	s.announce()
}

// announce tells those who wait for a change. The caller has the lock.
func (s *Switch) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wake makes the loop look again although the database has not changed.
func (s *Switch) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announce()
}

// Actual returns the newest snapshot, nil before the first, and whether it is
// the present: whether there is a session.
func (s *Switch) Actual() (actual *plan.Actual, connected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.actual, s.session != nil
}

// Changed returns a channel that is closed when Actual changes.
func (s *Switch) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// linger returns the names of the devices that are left of bridges which were
// removed a moment ago.
func (s *Switch) linger(links *plan.Links) map[string]bool {
	for name := range s.lingering {
		if _, there := links.Named(name); !there {
			delete(s.lingering, name)
		}
	}
	return maps.Clone(s.lingering)
}

// Apply commits a plan as one durable transaction: a port that was removed as a
// way out must not be there again when the machine starts after a crash, before
// isonetd does. It returns the next_cfg of the transaction once Actual shows it,
// so that the caller does not compute the same plan again from an older snapshot.
// An error that is an ovsdb.ErrStale, an ovsdb.ErrNotOwner, an *ovsdb.Error or
// ErrDisconnected says that nothing changed.
func (s *Switch) Apply(ctx context.Context, p plan.Plan) (int, error) {
	s.mu.Lock()
	session, actual := s.session, s.actual
	s.keepDevices(p.Create)
	s.mu.Unlock()
	if session == nil {
		return 0, ErrDisconnected
	}
	operations, err := compile(p, actual.RootUUID)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	results, err := session.Transact(ctx, operations...)
	if err != nil {
		s.cfg.Observer.ObserveTransaction(time.Since(start), "error")
		return 0, fmt.Errorf("apply to Open vSwitch (%s): %w", p, err)
	}
	s.cfg.Observer.ObserveTransaction(time.Since(start), "committed")
	nextCfg, err := selectedNextCfg(results)
	if err != nil {
		return 0, err
	}
	if err := s.await(ctx, nextCfg); err != nil {
		return nextCfg, err
	}
	if r := devicesOf(p, actual); len(r) > 1 && s.cfg.RemoveDevices != nil { // the first is vswitchd's
		s.mu.Lock()
		defer s.mu.Unlock()
		s.removals = append(s.removals, r)
	}
	return nextCfg, nil
}

// selectedNextCfg reads the answer of compile's last operation, which the
// commit follows.
func selectedNextCfg(results []rfc.OperationResult) (int, error) {
	if len(results) >= 2 {
		if rows := results[len(results)-2].Rows; len(rows) == 1 {
			if n, ok := rows[0]["next_cfg"].(float64); ok {
				return int(n), nil
			}
		}
	}
	return 0, errors.New("the Open vSwitch database did not tell its new next_cfg: its Open_vSwitch row is gone")
}

func (s *Switch) await(ctx context.Context, nextCfg int) error {
	for {
		changed := s.Changed()
		actual, connected := s.Actual()
		switch {
		case !connected:
			return ErrDisconnected
		case actual.NextCfg >= nextCfg:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for next_cfg %d to be seen: %w", nextCfg, ctx.Err())
		case <-changed:
		}
	}
}
