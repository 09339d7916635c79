package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// results counts what the loop and the switch reported.
type results struct {
	mu    sync.Mutex
	count map[string]int
}

func (r *results) add(result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[result]++
}

func (r *results) ObserveReconcile(_ time.Duration, result string)   { r.add("pass " + result) }
func (r *results) ObserveTransaction(_ time.Duration, result string) { r.add("transaction " + result) }

// committed returns how many transactions were made.
func (r *results) committed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count["transaction committed"]
}

// system is a loop over a real store and a real Open vSwitch.
type system struct {
	*testing.T
	ovs   *ovstest.OVS
	store *store.Store
	loop  *reconcile.Loop
	seen  *results
	links *fakeLinks
	host  model.ID
	// between is called with a plan before the switch applies it.
	between atomic.Pointer[func(context.Context, plan.Plan)]
}

// hold puts somebody between the loop and the switch.
func (s *system) hold(between func(context.Context, plan.Plan)) { s.between.Store(&between) }

// watched is a switch with somebody between it and the loop.
type watched struct {
	*ovs.Switch
	system *system
}

func (w watched) Apply(ctx context.Context, p plan.Plan) (int, error) {
	if between := w.system.between.Load(); between != nil {
		(*between)(ctx, p)
	}
	return w.Switch.Apply(ctx, p)
}

func start(t *testing.T) *system {
	t.Helper()
	devices := newLinks()
	s := startWith(t, devices, ovs.AutoDatapath)
	s.links = devices
	return s
}

func startWith(t *testing.T, devices ovs.Devices, datapathType string, options ...ovstest.Option) *system {
	t.Helper()
	s := &system{T: t, ovs: ovstest.Start(t, options...), seen: &results{count: map[string]int{}}}
	log := slog.New(slog.DiscardHandler)
	s.store = store.New(store.Config{StateDir: t.TempDir(), RunDir: s.ovs.Dir(), Logger: log})
	sw := ovs.New(ovs.Config{
		Endpoints: []string{s.ovs.Endpoint()}, DatapathType: datapathType, Observer: s.seen, Logger: log,
		Devices: devices,
	})
	s.loop = reconcile.New(s.store, watched{sw, s}, s.seen, log)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{s.store.Run, sw.Run, s.loop.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	status := s.until("the host is known", func(st report.Status) bool { return st.Connected && st.HostID != "" })
	s.host = status.HostID
	return s
}

// until waits for a status.
func (s *system) until(what string, condition func(report.Status) bool) report.Status {
	s.Helper()
	timeout := time.After(ovstest.Patience)
	for {
		changed := s.loop.Changed()
		status := s.loop.Status()
		if condition(status) {
			return status
		}
		select {
		case <-changed:
		case <-timeout:
			s.Fatalf("%s: not in time: %+v", what, status)
		}
	}
}

// update changes the desired state and returns its revision.
func (s *system) update(change func(*model.Desired) error) int64 {
	s.Helper()
	revision, err := s.store.Update(s.Context(), change)
	if err != nil {
		s.Fatalf("update: %v", err)
	}
	return revision
}

// attach makes networks and attaches them in one change.
func (s *system) attach(names ...string) (int64, []model.ID) {
	s.Helper()
	var ids []model.ID
	revision := s.update(func(d *model.Desired) error {
		ids = nil
		for _, name := range names {
			n, err := d.AddNetwork(model.Network{Name: name})
			if err != nil {
				return err
			}
			if _, err := d.Attach(s.host, n.ID, nil); err != nil {
				return err
			}
			ids = append(ids, n.ID)
		}
		return nil
	})
	return revision, ids
}

func (s *system) realised(revision int64, ids ...model.ID) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), ovstest.Patience)
	defer cancel()
	if err := s.loop.WaitFor(ctx, revision, ids...); err != nil {
		s.Fatalf("WaitFor revision %d: %v", revision, err)
	}
}

func TestManyNetworksAreOneTransaction(t *testing.T) {
	s := start(t)
	names := make([]string, 50)
	for i := range names {
		names[i] = fmt.Sprintf("net%d", i)
	}
	revision, ids := s.attach(names...)
	s.realised(revision, ids...)
	if got := s.seen.committed(); got != 1 {
		t.Errorf("%d transactions for 50 networks, want 1", got)
	}
	if got := len(strings.Fields(s.ovs.Vsctl("list-br"))); got != 50 {
		t.Errorf("%d bridges, want 50", got)
	}
	status := s.loop.Status()
	if status.Revision != revision || status.Repairs != 0 || status.LastError != "" {
		t.Errorf("status %+v", status)
	}
	revision = s.update(func(d *model.Desired) error {
		for _, id := range ids {
			if err := d.Detach(s.host, id); err != nil {
				return err
			}
		}
		return nil
	})
	s.realised(revision, ids...)
	if got := s.ovs.Vsctl("list-br"); got != "" {
		t.Errorf("bridges after detaching: %s", got)
	}
}

func TestDriftIsRepairedAndCounted(t *testing.T) {
	s := start(t)
	revision, ids := s.attach("red")
	s.realised(revision, ids...)
	for i, drift := range [][]string{
		{"del-br", "red"},
		{"set", "bridge", "red", "stp_enable=true"},
		{"clear", "port", "red", "trunks"},
	} {
		s.ovs.Vsctl(append([]string{"--no-wait"}, drift...)...)
		s.until("the repair of "+strings.Join(drift, " "), func(st report.Status) bool {
			return st.Repairs == uint64(i+1) && st.Networks[ids[0]].State == report.Active
		})
	}
	if got := s.ovs.Vsctl("get", "port", "red", "trunks"); got != "[4095]" {
		t.Errorf("trunks of the local port are %s after the repair", got)
	}
	passes := s.seen.committed()
	if passes != 4 {
		t.Errorf("%d transactions, want 4: one to make the bridge and one per repair", passes)
	}
}

func TestANameTakenOnTheHostIsAConflictUntilItIsFree(t *testing.T) {
	s := start(t)
	s.ovs.Vsctl("add-br", "red")
	revision, ids := s.attach("red", "taken", "blue")
	err := s.loop.WaitFor(s.Context(), revision, ids...)
	var realise *report.RealiseError
	if !errors.As(err, &realise) || !errors.Is(err, model.ErrConflict) {
		t.Fatalf("WaitFor: %v, want a *RealiseError that is a conflict", err)
	}
	for _, want := range []string{"a bridge 'red'", "a network device 'taken'"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	s.realised(revision, ids[2]) // the others are made all the same
	s.ovs.Vsctl("del-br", "red")
	s.until("the name is free", func(st report.Status) bool { return st.Networks[ids[0]].State == report.Active })
	if got := s.loop.Status().Networks[ids[1]].State; got != report.Failed {
		t.Errorf("the network 'taken' is %s", got)
	}
}

func TestWhileVSwitchdHangsANetworkIsPending(t *testing.T) {
	s := start(t)
	s.ovs.SignalVSwitchd(syscall.SIGSTOP)
	revision, ids := s.attach("red")
	s.until("the verdict", func(st report.Status) bool {
		return st.Revision >= revision && st.Networks[ids[0]].State == report.Pending
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.loop.WaitFor(ctx, revision, ids...)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "Open vSwitch has not") {
		t.Errorf("WaitFor: %v, want the end of its context and the reason", err)
	}
	s.ovs.SignalVSwitchd(syscall.SIGCONT)
	s.realised(revision, ids...)
}

// TestABridgeThatVSwitchdDoesNotMake checks that a strict network too says that its bridge
// is not there, and where to look, instead of what comes after it.
func TestABridgeThatVSwitchdDoesNotMake(t *testing.T) {
	s := startWith(t, newLinks(), "nonsense")
	revision, ids := s.attach("red")
	s.update(func(d *model.Desired) error {
		n := d.Networks[ids[0]]
		n.Strict = true
		d.Networks[ids[0]] = n
		return nil
	})
	s.until("the cause", func(st report.Status) bool {
		return st.Revision > revision && strings.Contains(st.Networks[ids[0]].Reason, "has not opened the bridge 'red' yet; if that lasts, the log of ovs-vswitchd")
	})
}

// bridge returns the bridge of a name that a status tells of.
func bridge(st report.Status, name string) report.Bridge {
	b, _ := st.Host.BridgeNamed(name)
	return b
}

// open says that a bridge has a port that frames can pass.
func open(st report.Status, name string) bool {
	return slices.ContainsFunc(bridge(st, name).Ports, func(p report.Port) bool { return p.Live })
}

func TestABridgeInUseIsHeldAndNamed(t *testing.T) {
	s := start(t)
	revision, ids := s.attach("red")
	s.realised(revision, ids...)
	s.ovs.Vsctl("add-port", "red", "vm1")
	s.until("the port is open", func(st report.Status) bool { return open(st, "red") })
	revision = s.update(func(d *model.Desired) error { return d.RemoveNetwork(ids[0]) })
	if err := s.loop.WaitFor(t.Context(), revision, ids...); !errors.Is(err, model.ErrConflict) || !strings.Contains(err.Error(), "vm1") {
		t.Errorf("WaitFor: %v, want a conflict that names the port", err)
	}
	s.until("held", func(st report.Status) bool {
		return len(st.Held) == 1 && st.Held[0].Bridge == "red" && st.Held[0].Ports[0] == "vm1"
	})
	s.ovs.Vsctl("del-port", "red", "vm1")
	s.until("gone", func(st report.Status) bool {
		_, exists := st.Host.BridgeNamed("red")
		return len(st.Held) == 0 && !exists
	})
}

func TestTheDatabaseGoesAndComesBack(t *testing.T) {
	s := start(t)
	revision, ids := s.attach("red")
	s.realised(revision, ids...)
	s.ovs.AwaitSessions(3)
	s.ovs.StopServer()
	s.until("disconnected", func(st report.Status) bool { return !st.Connected && st.Host != nil })
	revision = s.update(func(d *model.Desired) error {
		n := d.Networks[ids[0]]
		n.MTU = 1300
		return d.UpdateNetwork(n)
	})
	s.ovs.StartServer()
	s.realised(revision, ids...)
	if got := s.ovs.Vsctl("get", "interface", "red", "mtu"); got != "1300" {
		t.Errorf("MTU %s after the database came back, want 1300", got)
	}
	if got := s.loop.Status().Reconnects; got == 0 {
		t.Error("no reconnect was counted")
	}
}

func TestNothingIsWrittenOnceConverged(t *testing.T) {
	s := start(t)
	revision, ids := s.attach("red", "blue")
	s.realised(revision, ids...)
	before := s.ovs.NextCfg()
	s.ovs.Vsctl("add-br", "theirs") // an event that concerns nobody
	s.until("the event is seen", func(st report.Status) bool { _, ok := st.Host.BridgeNamed("theirs"); return ok })
	if got := s.ovs.NextCfg(); got != before+1 {
		t.Errorf("next_cfg went from %d to %d; only ovs-vsctl's own write was due", before, got)
	}
}
