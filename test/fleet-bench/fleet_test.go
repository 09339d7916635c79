// Package fleetbench measures a fleet of simulated hosts: the product's own slices and
// reporters, and real ovsdb-servers. "make bench-fleet" runs it. It fails when something
// is lost, never because something was slow.
package fleetbench

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/store"
)

const (
	// hostsVariable is the environment variable with the numbers of hosts, with commas
	// between them.
	hostsVariable = "ISONET_BENCH_HOSTS"
	defaultHosts  = "10,100,300,1000"
	networks      = 100 // of each host, by its label
	relays        = 3
	// rest is for how long it is measured what nothing costs.
	rest = 20 * time.Second
	// ticks are those of the CPU times in /proc/PID/stat, in a second (proc(5)).
	ticks = 100
)

// host is a simulated host: all of it but Open vSwitch, which does at once what it is
// told.
type host struct {
	systemID string
	slice    *store.Slice
	reporter *fleet.Reporter
	passes   atomic.Int64
	mu       sync.Mutex
	status   report.Status
	changed  chan struct{}
}

func (h *host) Status() report.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

func (h *host) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// loop makes everything active at once.
func (h *host) loop(ctx context.Context) {
	for ctx.Err() == nil {
		changed := h.slice.Changed()
		h.pass()
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

func (h *host) pass() {
	desired := h.slice.Snapshot()
	own, known := desired.HostOf(h.systemID)
	if !known {
		return
	}
	h.passes.Add(1)
	actual := &plan.Actual{Bridges: map[string]plan.Bridge{}, DatapathType: "netdev"}
	next := report.Status{HostID: own.ID, Connected: true, Revision: desired.Revision, Networks: map[model.ID]report.NetworkStatus{}}
	for _, n := range desired.HostNetworks(own.ID) {
		actual.Bridges[n.VdsmName] = plan.Bridge{UUID: string(n.ID), Name: n.VdsmName, Network: n.ID, DatapathType: "netdev"}
		next.Networks[n.ID] = report.NetworkStatus{State: report.Active, Isolation: report.Isolation{Verdict: report.Isolated}}
	}
	next.Host = reconcile.Seen(actual)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = next
	close(h.changed)
	h.changed = make(chan struct{})
}

// seen returns the revision that the host has seen.
func (h *host) seen() int64 {
	_, revision, _ := h.slice.Newest()
	return revision
}

// world is a fleet with its servers.
type world struct {
	*testing.B
	log     *slog.Logger
	cluster *ovstest.Cluster
	relays  []*ovstest.Server
	status  *ovstest.Server
	store   *store.Store
	reader  *fleet.Reader
	hosts   []*host
	running sync.WaitGroup
	ctx     context.Context
}

func newWorld(b *testing.B, size int) *world {
	b.Helper()
	w := &world{B: b, log: slog.New(slog.DiscardHandler)}
	w.cluster = ovstest.StartCluster(b, "../../store/isolated-networks.ovsschema", store.Database, 3)
	var endpoints []string
	for range relays {
		r := ovstest.StartRelay(b, store.Database, w.cluster.Endpoints()...)
		w.relays, endpoints = append(w.relays, r), append(endpoints, r.Endpoint())
	}
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		b.Fatal(err)
	}
	w.status = ovstest.NewServer(b, dir, filepath.Join(dir, "db"), "../../fleet/status.ovsschema")
	w.status.Start()
	var stop context.CancelFunc
	w.ctx, stop = context.WithCancel(context.Background())
	b.Cleanup(func() {
		stop()
		w.running.Wait()
		_ = os.RemoveAll(dir)
	})
	cfg := store.Config{Endpoints: w.cluster.Endpoints(), Logger: w.log}
	w.store = store.New(cfg)
	w.run(w.store.Run)
	<-w.store.Ready()
	w.reader = fleet.NewReader(fleet.ReaderConfig{
		Endpoints: []string{w.status.Endpoint()}, Logger: w.log, SystemID: func(id model.ID) string { return w.store.Snapshot().Hosts[id].SystemID },
	})
	w.run(w.reader.Run)
	w.write(w.fill(size))
	for i := range size {
		w.join(i, cfg, endpoints)
	}
	return w
}

func (w *world) run(part func(context.Context) error) {
	w.running.Go(func() {
		if err := part(w.ctx); err != nil {
			w.Error(err)
		}
	})
}

func systemID(i int) string { return fmt.Sprintf("host-%d", i) }

// fill adds the networks and the hosts.
func (w *world) fill(size int) func(*model.Desired) error {
	return func(d *model.Desired) error {
		for i := range networks {
			if _, err := d.AddNetwork(model.Network{Name: fmt.Sprintf("net%d", i), Label: "lab"}); err != nil {
				return err
			}
		}
		for i := range size {
			id := model.HostID(systemID(i))
			d.Hosts[id] = model.Host{ID: id, SystemID: systemID(i), Name: systemID(i), Labels: []string{"lab"}}
		}
		return nil
	}
}

// join starts a host.
func (w *world) join(i int, cfg store.Config, endpoints []string) {
	h := &host{systemID: systemID(i), changed: make(chan struct{})}
	h.slice = store.NewSlice(store.SliceConfig{Config: cfg, Relays: endpoints, Whose: func() store.Whose { return store.Whose{SystemID: h.systemID} }})
	h.reporter = fleet.NewReporter(fleet.ReporterConfig{
		Endpoints: []string{w.status.Endpoint()}, Loop: h, SystemID: func(model.ID) string { return h.systemID }, Seen: h.seen,
		Boot: h.systemID, Version: "bench", Logger: w.log,
	})
	w.hosts = append(w.hosts, h)
	w.run(h.slice.Run)
	w.run(h.reporter.Run)
	w.running.Go(func() { h.loop(w.ctx) })
}

// write commits a change. It goes on when the leader is lost meanwhile, as clients do.
func (w *world) write(change func(*model.Desired) error) int64 {
	w.Helper()
	var revision int64
	ovstest.Eventually(w, "the change is committed", func() (err error) {
		revision, err = w.store.Update(w.ctx, change)
		return err
	})
	return revision
}

// until waits until something is so for all hosts, and returns how long it took.
func (w *world) until(start time.Time, what string, so func(h *host) bool, changed func(h *host) <-chan struct{}) time.Duration {
	w.Helper()
	deadline := time.After(ovstest.Patience)
	for i, h := range w.hosts {
		for {
			news := changed(h)
			if so(h) {
				break
			}
			select {
			case <-news:
			case <-deadline:
				w.Fatalf("%s: host %d of %d is stuck: it has seen %d, and the slice says %v", what, i, len(w.hosts), h.seen(), h.slice.StaleSince())
			}
		}
	}
	return time.Since(start)
}

// seen waits until all hosts have seen a revision.
func (w *world) seen(start time.Time, what string, revision int64) time.Duration {
	return w.until(start, what, func(h *host) bool { return h.seen() >= revision }, func(h *host) <-chan struct{} {
		_, _, replaced := h.slice.Newest()
		return replaced
	})
}

// realised waits until all hosts have reported that they have realised a revision.
func (w *world) realised(start time.Time, what string, revision int64) time.Duration {
	return w.until(start, what, func(h *host) bool {
		s, known := w.reader.Status(model.HostID(h.systemID))
		return known && s.Member.Liveness == report.Up && s.Revision >= revision && len(s.Networks) == networks
	}, func(*host) <-chan struct{} { return w.reader.Changed() })
}

// costs returns the seconds of the processor that members, relays, the status server, and
// the hosts with who reads have used.
func (w *world) costs() map[string]float64 {
	all := map[string]float64{"status server": used(w, w.status.PID()), "hosts": used(w, os.Getpid())}
	for _, s := range w.cluster.Members {
		all["members"] += used(w, s.PID())
	}
	for _, s := range w.relays {
		all["relays"] += used(w, s.PID())
	}
	return all
}

// used returns the seconds of the processor that a process has used (proc(5)).
func used(t testing.TB, pid int) (seconds float64) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, at := range []int{11, 12} { // utime and stime
		n, err := strconv.ParseFloat(fields[at], 64)
		if err != nil {
			t.Fatal(err)
		}
		seconds += n / ticks
	}
	return seconds
}

func (w *world) say(what string, took ...time.Duration) {
	cells := []string{strconv.Itoa(len(w.hosts)), what}
	for _, t := range took {
		cells = append(cells, strconv.FormatInt(t.Milliseconds(), 10))
	}
	fmt.Println("| " + strings.Join(cells, " | ") + " |")
}

// sayCosts says what was used since, divided by per.
func (w *world) sayCosts(what string, before map[string]float64, per float64) {
	now := w.costs()
	for _, name := range slices.Sorted(maps.Keys(now)) {
		fmt.Printf("| %d | %s: CPU of %s | %.1f |\n", len(w.hosts), what, name, (now[name]-before[name])*1000/per)
	}
}

// setMTU is a change that concerns all hosts.
func setMTU(mtu int) func(*model.Desired) error {
	return func(d *model.Desired) error {
		n, _ := d.FindNetwork("net0")
		n.MTU = mtu
		d.Networks[n.ID] = n
		return nil
	}
}

// elsewhere makes changes that concern no host, and fails when one does something about
// them.
func (w *world) elsewhere() {
	passes, reports := w.deeds()
	before := w.costs()
	const changes = 10
	var revision int64
	for i := range changes {
		revision = w.write(func(d *model.Desired) error {
			_, err := d.AddNetwork(model.Network{Name: fmt.Sprintf("other%d", i)})
			return err
		})
	}
	w.seen(time.Now(), "a change elsewhere", revision)
	w.sayCosts("a change that concerns no host", before, changes)
	if p, r := w.deeds(); p != passes || r != reports {
		w.Errorf("changes that concern no host made %d passes and %d reports", p-passes, r-reports)
	}
}

// deeds counts the passes and the reports of all hosts.
func (w *world) deeds() (passes int64, reports uint64) {
	for _, h := range w.hosts {
		passes += h.passes.Load()
		reports += h.reporter.Health()[0].Reports
	}
	return passes, reports
}

func BenchmarkFleet(b *testing.B) {
	fmt.Println("| hosts | what | ms |\n|---:|---|---:|")
	for text := range strings.SplitSeq(cmp.Or(os.Getenv(hostsVariable), defaultHosts), ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			b.Fatalf("%s: %q is no number of hosts", hostsVariable, text)
		}
		b.Run(text, func(b *testing.B) { measure(b, size) })
	}
}

func measure(b *testing.B, size int) {
	start := time.Now()
	w := newWorld(b, size)
	first := w.store.Snapshot().Revision
	w.say("all connect: seen, realised and reported", w.seen(start, "the start", first), w.realised(start, "the start", first))
	for i := range 3 {
		start = time.Now()
		revision := w.write(setMTU(1400 + i))
		committed := time.Since(start)
		w.say("an MTU changes for all: committed, seen, realised and reported", committed,
			w.seen(start, "an MTU", revision), w.realised(start, "an MTU", revision))
	}
	before := w.costs()
	time.Sleep(rest) // nothing is waited for: this is what it costs
	w.sayCosts("at rest, each second", before, rest.Seconds())
	w.elsewhere()

	start = time.Now()
	w.relays[0].Stop()
	revision := w.write(setMTU(1300))
	w.say("a relay dies: seen, realised and reported", w.seen(start, "a dead relay", revision), w.realised(start, "a dead relay", revision))
	start = time.Now()
	w.cluster.Leader().Stop()
	revision = w.write(setMTU(1200))
	committed := time.Since(start)
	w.say("the leader dies: committed, seen, realised and reported", committed,
		w.seen(start, "a dead leader", revision), w.realised(start, "a dead leader", revision))
}
