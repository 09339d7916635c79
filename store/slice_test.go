package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

const ownID, otherID = "own", "other"

// slice is a slice with its Run.
type slice struct {
	*store.Slice
	t     *testing.T
	stop  func()
	logs  *logs
	whose atomic.Pointer[store.Whose]
}

// follow runs a slice until stop or the end of the test.
func follow(t *testing.T, cfg store.SliceConfig, whose store.Whose) *slice {
	t.Helper()
	s := &slice{t: t, logs: &logs{}}
	s.whose.Store(&whose)
	cfg.Logger = slog.New(slog.NewTextHandler(s.logs, nil))
	cfg.Whose = func() store.Whose { return *s.whose.Load() }
	s.Slice = store.NewSlice(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run returned %v", err)
		}
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("the slice's log:\n%s", s.logs)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// until waits until the slice satisfies a condition.
func (s *slice) until(what string, condition func(d *model.Desired, revision int64) bool) *model.Desired {
	s.t.Helper()
	timer := time.NewTimer(ovstest.Patience)
	defer timer.Stop()
	for {
		d, revision, replaced := s.Newest()
		if condition(d, revision) {
			return d
		}
		select {
		case <-replaced:
		case <-timer.C:
			_, trouble := s.Trouble()
			s.t.Fatalf("never: %s; revision %d, trouble: %v; %+v", what, revision, trouble, d)
		}
	}
}

// part returns what a slice has of a desired state.
func part(all *model.Desired, whose store.Whose) *model.Desired {
	d := model.NewDesired()
	d.Revision = all.Revision
	for id, h := range all.Hosts {
		if h.SystemID == whose.SystemID || id == whose.Host {
			d.Hosts[id] = h
		}
	}
	for id, n := range all.Networks {
		if slices.Contains(whose.Networks, id) {
			d.Networks[id] = n
		}
		for host := range d.Hosts {
			if _, here := all.AttachmentOf(host, id); here {
				d.Networks[id] = n
			}
		}
	}
	for id, a := range all.Attachments {
		if _, own := d.Hosts[a.Host]; own {
			d.Attachments[id] = a
		}
	}
	return d
}

// served starts what slices follow in tests: a cluster, with a store that writes and a
// relay.
func served(t *testing.T, size int) (*ovstest.Cluster, *running, *ovstest.Server) {
	t.Helper()
	cluster := ovstest.StartCluster(t, schemaFile, store.Database, size)
	writer := remote(t, cluster.Endpoints()...)
	for _, id := range []string{ownID, otherID} {
		writer.must(func(d *model.Desired) error {
			d.Hosts[model.HostID(id)] = model.Host{ID: model.HostID(id), SystemID: id, Name: id}
			return nil
		})
	}
	return cluster, writer, ovstest.StartRelay(t, store.Database, cluster.Endpoints()...)
}

// shuffle changes a desired state at random.
func shuffle(random *rand.Rand, d *model.Desired) error {
	label := fmt.Sprint("l", random.IntN(3))
	host := model.HostID([]string{ownID, otherID}[random.IntN(2)])
	var any model.Network
	if ids := slices.Sorted(maps.Keys(d.Networks)); len(ids) > 0 {
		any = d.Networks[ids[random.IntN(len(ids))]]
	}
	h := d.Hosts[host]
	switch random.IntN(6) {
	case 0:
		_, err := d.AddNetwork(model.Network{Name: fmt.Sprint("n", random.IntN(1000000)), Label: []string{"", label}[random.IntN(2)]})
		return err
	case 1, 2: // labels come and go
		if slices.Contains(h.Labels, label) {
			h.Labels = slices.DeleteFunc(slices.Clone(h.Labels), func(l string) bool { return l == label })
		} else {
			h.Labels = slices.Sorted(slices.Values(append(slices.Clone(h.Labels), label)))
		}
		if len(h.Labels) == 0 {
			h.Labels = nil
		}
		d.Hosts[host] = h
	case 3: // an attachment comes or goes
		if any.ID == "" {
			return nil
		}
		id := model.AttachmentID(host, any.ID)
		if _, there := d.Attachments[id]; there {
			delete(d.Attachments, id)
		} else {
			d.Attachments[id] = model.Attachment{ID: id, Host: host, Network: any.ID, Explicit: true}
		}
	case 4: // a network gets another label, or changes
		if any.ID == "" {
			return nil
		}
		any.Label, any.Description = []string{"", label}[random.IntN(2)], fmt.Sprint(random.IntN(9))
		d.Networks[any.ID] = any
	case 5:
		if any.ID == "" || len(d.Networks) < 12 {
			return nil
		}
		return d.RemoveNetwork(any.ID)
	}
	return nil
}

// TestASliceIsAlwaysWhole changes everything at random, and labels together with
// networks: each slice that is published is what the store had at its revision.
func TestASliceIsAlwaysWhole(t *testing.T) {
	t.Parallel()
	_, writer, relay := served(t, 1)
	whose := store.Whose{SystemID: ownID}
	s := follow(t, store.SliceConfig{Config: store.Config{Endpoints: []string{relay.Endpoint()}}}, whose)
	published, ctx := []*model.Desired{}, t.Context()
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			changed := s.Changed()
			select {
			case <-s.Ready():
				published = append(published, s.Snapshot())
			default:
			}
			select {
			case <-changed:
			case <-watching.Done():
				return
			}
		}
	})
	random := rand.New(rand.NewPCG(5, 6))
	history := map[int64]*model.Desired{}
	keep := func() { d := writer.Snapshot(); history[d.Revision] = d }
	keep()
	for range 300 {
		writer.must(func(d *model.Desired) error {
			for range 1 + random.IntN(4) {
				if err := shuffle(random, d); err != nil {
					return err
				}
			}
			return nil
		})
		keep()
	}
	last := writer.Snapshot()
	s.until("it has the last revision", func(_ *model.Desired, revision int64) bool { return revision == last.Revision })
	stop()
	watcher.Wait()
	published = append(published, s.Snapshot())
	for _, d := range published {
		all := history[d.Revision]
		if all == nil {
			t.Fatalf("revision %d was never written", d.Revision)
		}
		if diff := cmp.Diff(part(all, whose), d); diff != "" {
			t.Fatalf("revision %d (-want +got):\n%s", d.Revision, diff)
		}
	}
	if diff := same(part(last, whose), s.Snapshot()); diff != "" {
		t.Errorf("at last (-want +got):\n%s", diff)
	}
	t.Logf("%d slices were published", len(published))
}

// TestWhatIsElsewhereWakesNobody changes what does not concern a host.
func TestWhatIsElsewhereWakesNobody(t *testing.T) {
	t.Parallel()
	_, writer, relay := served(t, 1)
	writer.must(func(d *model.Desired) error {
		h := d.Hosts[model.HostID(ownID)]
		h.Labels = []string{"mine"}
		d.Hosts[h.ID] = h
		_, err := d.AddNetwork(model.Network{Name: "red", Label: "mine"})
		return err
	})
	s := follow(t, store.SliceConfig{Config: store.Config{Endpoints: []string{relay.Endpoint()}}}, store.Whose{SystemID: ownID})
	before := s.until("red", func(d *model.Desired, _ int64) bool { return len(d.Networks) == 1 })
	changed := s.Changed()
	var revision int64
	for i := range 20 {
		revision = writer.must(func(d *model.Desired) error {
			h := d.Hosts[model.HostID(otherID)]
			h.Labels = []string{fmt.Sprint("theirs", i)}
			d.Hosts[h.ID] = h
			_, err := d.AddNetwork(model.Network{Name: fmt.Sprint("n", i), Label: h.Labels[0]})
			return err
		})
	}
	s.until("it has the last revision", func(_ *model.Desired, now int64) bool { return now == revision })
	if s.Snapshot() != before {
		t.Error("the snapshot is another one")
	}
	select {
	case <-changed:
		t.Error("somebody was woken")
	default:
	}
}

// TestASliceGoesByWhoseItIs follows other hosts, and networks that are on none.
func TestASliceGoesByWhoseItIs(t *testing.T) {
	t.Parallel()
	_, writer, relay := served(t, 1)
	var detached, labelled model.ID
	writer.must(func(d *model.Desired) error {
		n, err := d.AddNetwork(model.Network{Name: "detached"})
		detached = n.ID
		return err
	})
	writer.must(func(d *model.Desired) error {
		h := d.Hosts[model.HostID(otherID)]
		h.Labels = []string{"theirs"}
		d.Hosts[h.ID] = h
		n, err := d.AddNetwork(model.Network{Name: "labelled", Label: "theirs"})
		labelled = n.ID
		return err
	})
	s := follow(t, store.SliceConfig{Config: store.Config{Endpoints: []string{relay.Endpoint()}}}, store.Whose{})
	for _, whose := range []store.Whose{
		{SystemID: ownID},
		{SystemID: otherID, Networks: []model.ID{detached}},
		{SystemID: ownID, Host: model.HostID(otherID)},
		{Host: model.HostID(otherID), Networks: []model.ID{labelled}},
		{SystemID: "unknown"},
	} {
		s.whose.Store(&whose)
		s.Mind()
		want := part(writer.Snapshot(), whose)
		s.until(fmt.Sprintf("it is that of %+v", whose), func(d *model.Desired, _ int64) bool { return same(want, d) == "" })
	}
	select {
	case <-s.Ready():
	default:
		t.Error("it is not ready")
	}
}

// TestAHostWritesAboutItself registers a host by a relay, lets it follow its machine's name,
// and says that networks have left it.
func TestAHostWritesAboutItself(t *testing.T) {
	t.Parallel()
	_, writer, relay := served(t, 3)
	const id = "new"
	host := model.HostID(id)
	s := follow(t, store.SliceConfig{Config: store.Config{Endpoints: []string{relay.Endpoint()}}}, store.Whose{SystemID: id})
	revision := writer.Snapshot().Revision
	for range 2 { // the second time it is there
		if err := s.Register(t.Context(), id, "first"); err != nil {
			t.Fatal(err)
		}
	}
	if h := s.Snapshot().Hosts[host]; h.Name != "first" || h.SystemID != id {
		t.Errorf("the host is %+v", h)
	}
	// As seen by a slice that does not show the host.
	blind := follow(t, store.SliceConfig{Config: store.Config{Endpoints: []string{relay.Endpoint()}}}, store.Whose{SystemID: ownID})
	blind.until("it is there", func(d *model.Desired, _ int64) bool { return len(d.Hosts) == 1 })
	ctx, done := context.WithCancel(t.Context())
	done()
	if err := blind.Register(ctx, id, "again"); err == nil {
		t.Error("a host is registered that is not shown")
	}
	if err := s.FollowName(t.Context(), host, "second"); err != nil {
		t.Fatal(err)
	}
	s.until("the name", func(d *model.Desired, _ int64) bool { return d.Hosts[host].Name == "second" })
	a, b := model.NewID(), model.NewID()
	writer.until("the host", func(d *model.Desired) bool { return d.Hosts[host].Name == "second" })
	if now := writer.Snapshot().Revision; now != revision {
		t.Errorf("the revision went from %d to %d", revision, now)
	}
	writer.must(func(d *model.Desired) error {
		h := d.Hosts[host]
		h.Named, h.Evicted, h.Released = true, []model.ID{a, b}, []model.ID{b}
		d.Hosts[host] = h
		return nil
	})
	if err := s.FollowName(t.Context(), host, "third"); err != nil {
		t.Fatal(err)
	}
	if err := s.Left(t.Context(), host, b); err != nil {
		t.Fatal(err)
	}
	d := s.until("one is left", func(d *model.Desired, _ int64) bool { return len(d.Hosts[host].Evicted) == 1 })
	if h := d.Hosts[host]; h.Name != "second" || !slices.Equal(h.Evicted, []model.ID{a}) || h.Released != nil {
		t.Errorf("the host is %+v", h)
	}
}

// TestASliceDoesNotGoBack lets a slice come from a relay to one that is behind: the slice
// stays what it was until somebody has as much.
func TestASliceDoesNotGoBack(t *testing.T) {
	t.Parallel()
	cluster, writer, good := served(t, 1)
	between := ovstest.StartRelay(t, store.Database, cluster.Endpoints()...)
	behind := ovstest.StartRelay(t, store.Database, between.Endpoint())
	late := follow(t, store.SliceConfig{Config: store.Config{Endpoints: []string{behind.Endpoint()}}}, store.Whose{SystemID: ownID})
	late.until("the relay is up to date", func(d *model.Desired, _ int64) bool { return len(d.Hosts) == 1 })
	between.Signal(syscall.SIGSTOP) // for less time than it takes to find that out
	writer.must(func(d *model.Desired) error {
		h := d.Hosts[model.HostID(ownID)]
		h.Labels = []string{"mine"}
		d.Hosts[h.ID] = h
		_, err := d.AddNetwork(model.Network{Name: "red", Label: "mine"})
		return err
	})
	dir := tempDir(t)
	cfg := store.SliceConfig{Config: store.Config{Endpoints: cluster.Endpoints(), StateDir: dir}, Relays: []string{good.Endpoint()}}
	s := follow(t, cfg, store.Whose{SystemID: ownID})
	s.until("red", func(d *model.Desired, _ int64) bool { return len(d.Networks) == 1 })
	s.stop()
	cfg.Relays = []string{behind.Endpoint()}
	s = follow(t, cfg, store.Whose{SystemID: ownID})
	ovstest.Eventually(t, "it says that the relay is behind", func() error {
		if _, err := s.Trouble(); err == nil || !strings.Contains(err.Error(), "is behind") {
			return fmt.Errorf("trouble: %w", err)
		}
		return nil
	})
	if d := s.Snapshot(); len(d.Networks) != 1 || !d.Recalled {
		t.Errorf("the slice is %+v", d)
	}
	between.Signal(syscall.SIGCONT)
	s.until("it follows", func(d *model.Desired, _ int64) bool { return s.Connected() && !d.Recalled && len(d.Networks) == 1 })
}

// TestASliceChangesItsRelay kills relays under a slice.
func TestASliceChangesItsRelay(t *testing.T) {
	t.Parallel()
	cluster, writer, one := served(t, 3)
	two := ovstest.StartRelay(t, store.Database, cluster.Endpoints()...)
	s := follow(t, store.SliceConfig{Config: store.Config{Endpoints: cluster.Endpoints()}, Relays: []string{one.Endpoint(), two.Endpoint()}}, store.Whose{SystemID: ownID})
	for i, relay := range []*ovstest.Server{one, two, one} {
		label := fmt.Sprint("l", i)
		relay.Stop()
		writer.must(func(d *model.Desired) error {
			h := d.Hosts[model.HostID(ownID)]
			h.Labels = []string{label}
			d.Hosts[h.ID] = h
			_, err := d.AddNetwork(model.Network{Name: fmt.Sprint("n", i), Label: label})
			return err
		})
		s.until("the new network", func(d *model.Desired, _ int64) bool { return slices.Contains(names(d), fmt.Sprint("n", i)) })
		relay.Start()
	}
}

// TestAStoreRests opens a store that is asked now and then.
func TestAStoreRests(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	writer := embedded(t, dir)
	writer.must(adding("red"))
	s := launch(t, store.Config{Endpoints: []string{endpoint(dir)}, Idle: 200 * time.Millisecond})
	for i := range 3 {
		name := fmt.Sprint("n", i)
		writer.must(adding(name))
		s.await(s.Ready(), "it is awake")
		s.until("it has what is new", func(d *model.Desired) bool { return slices.Contains(names(d), name) })
		ovstest.Eventually(t, "it rests", func() error {
			if s.Connected() {
				return fmt.Errorf("it has a session")
			}
			return nil
		})
		select {
		case <-s.Ready(): // of what was before: it is on its way to be asked
			if !s.Connected() {
				t.Error("it is ready without having looked")
			}
		default:
		}
		s.must(adding("by itself " + name)) // which wakes it too
	}
}

// TestAStoreThatRestsBeginsWithALook begins with what was known by the run before: who asks
// first gets what is newest, or that when nobody answers.
func TestAStoreThatRestsBeginsWithALook(t *testing.T) {
	t.Parallel()
	dir, copies := tempDir(t), tempDir(t)
	writer := embedded(t, dir)
	writer.must(adding("old"))
	cfg := store.Config{Endpoints: []string{endpoint(dir)}, StateDir: copies, Idle: time.Hour}
	s := launch(t, cfg)
	s.await(s.Ready(), "it is awake")
	s.until("the old network", func(d *model.Desired) bool { return slices.Contains(names(d), "old") })
	s.stop()
	writer.must(adding("new"))
	s = launch(t, cfg)
	s.await(s.Ready(), "it is awake again")
	if d := s.Snapshot(); !slices.Contains(names(d), "new") {
		t.Errorf("the first answer has the networks %v", names(d))
	}
	s.stop()
	writer.stop()
	s = launch(t, cfg)
	s.await(s.Ready(), "it gives up")
	if d := s.Snapshot(); !d.Recalled || !slices.Contains(names(d), "new") {
		t.Errorf("without a server it has %+v", d)
	}
}

// TestTokensWakeAStore looks for a token in a store that rests.
func TestTokensWakeAStore(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	embedded(t, dir).must(adding("red"))
	s := launch(t, store.Config{Endpoints: []string{endpoint(dir)}, Idle: time.Hour})
	if tokens, err := s.Tokens(t.Context()); err != nil || len(tokens) != 0 {
		t.Errorf("tokens %v, %v", tokens, err)
	}
}
