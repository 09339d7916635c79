package ovs

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/isonet/isonet/model/plan"
)

const (
	// probeEvery is how often one bridge after the other is looked at although
	// vswitchd told of nothing. It is also how often vswitchd has to answer.
	probeEvery = time.Second
	// countEvery is how old the counters of members become, about.
	countEvery = 10 * time.Second
	// silence is after how long without an answer vswitchd counts as gone.
	silence = 5 * time.Second
	// comeback is how often the directory of the management sockets is looked at
	// while one of them does not answer.
	comeback = 100 * time.Millisecond
	// aftermath is how long after the cause vswitchd may remove flows, and doubt how
	// long it may take until the cause is known.
	aftermath, doubt = 5 * time.Second, time.Second
)

// flows keeps what the bridges forward by. Each bridge has a goroutine and a
// connection of its own, and nobody waits for another.
type flows struct {
	runDir *runDir
	log    *slog.Logger
	wake   func()

	mu      sync.Mutex
	keepers map[string]*keeper
	ctx     context.Context // nil before run
	running sync.WaitGroup
	// told is what is known of each bridge; nil when that has changed since.
	told map[string]plan.Flows
	// answered is when vswitchd last said anything; it has one thread for all
	// bridges.
	answered time.Time
	// shaken are bridges whose flows vswitchd removes by itself.
	shaken map[string]shock
	// back is closed when vswitchd may have come back.
	back chan struct{}
}

func newFlows(runDir *runDir, log *slog.Logger, wake func()) *flows {
	return &flows{
		runDir: runDir, log: log, wake: wake,
		keepers: map[string]*keeper{}, shaken: map[string]shock{}, back: make(chan struct{}),
	}
}

// Forward states what bridges must forward by, and returns at once. Bridges that
// are not among them are left alone. Flows tells what came of it, and Changed
// when that changes.
func (s *Switch) Forward(want ...plan.Forwarding) { s.flows.forward(want) }

// Flows returns what is known of the flows of the bridges that Forward was last
// called with, by their names. Nobody may change it.
func (s *Switch) Flows() map[string]plan.Flows { return s.flows.states() }

// Answered returns when vswitchd last answered over OpenFlow, on whichever
// bridge's connection; zero is never. While there is a bridge it is asked every
// second.
func (s *Switch) Answered() time.Time {
	s.flows.mu.Lock()
	defer s.flows.mu.Unlock()
	return s.flows.answered
}

func (f *flows) forward(want []plan.Forwarding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	named := map[string]bool{}
	for _, w := range want {
		named[w.Bridge] = true
		k, there := f.keepers[w.Bridge]
		if !there {
			k = newKeeper(f, w)
			f.told = nil
			f.keepers[w.Bridge] = k
			if f.ctx != nil {
				f.start(k)
			}
			continue
		}
		k.want(w)
	}
	for name, k := range f.keepers {
		if !named[name] {
			delete(f.keepers, name)
			f.told = nil
			k.stop()
		}
	}
}

// start starts a keeper. The caller has the lock.
func (f *flows) start(k *keeper) {
	ctx, cancel := context.WithCancel(f.ctx)
	k.cancel = cancel
	f.running.Go(func() { k.run(ctx) })
}

// unread returns the bridges whose flows are not known at present; nil as a rule.
func (f *flows) unread() map[string]plan.Sighting {
	f.mu.Lock()
	defer f.mu.Unlock()
	var unread map[string]plan.Sighting
	for name, k := range f.keepers {
		if k.state.Known {
			continue
		}
		if unread == nil {
			unread = map[string]plan.Sighting{}
		}
		unread[name] = plan.Sighting{Seen: k.state.Since, Cause: k.state.Err, Remedy: "check that ovs-vswitchd runs, and that isonetd may use its sockets"}
	}
	return unread
}

func (f *flows) states() map[string]plan.Flows {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == nil {
		f.told = make(map[string]plan.Flows, len(f.keepers))
		for name, k := range f.keepers {
			f.told[name] = k.state
		}
	}
	return f.told
}

// run keeps the flows until ctx ends.
func (f *flows) run(ctx context.Context) error {
	f.mu.Lock()
	f.ctx = ctx
	for _, k := range f.keepers {
		f.start(k)
	}
	f.mu.Unlock()
	f.running.Go(func() { f.lookout(ctx) })
	f.running.Go(func() { f.probe(ctx) })
	<-ctx.Done()
	f.running.Wait()
	return nil
}

// lookout tells those who wait for vswitchd when it has made its sockets anew,
// which changes their directory.
func (f *flows) lookout(ctx context.Context) {
	var last time.Time
	every(ctx, comeback, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.lacking() {
			return
		}
		if info, err := os.Stat(f.runDir.path()); err == nil && !info.ModTime().Equal(last) {
			last = info.ModTime()
			close(f.back)
			f.back = make(chan struct{})
		}
	})
}

// lacking says that a bridge has no connection. The caller has the lock.
func (f *flows) lacking() bool {
	for _, k := range f.keepers {
		if k.conn == nil {
			return true
		}
	}
	return false
}

// probe looks at one bridge after the other, and counts in turn.
func (f *flows) probe(ctx context.Context) {
	turn, count, silent := 0, 0, false
	every(ctx, probeEvery, func() {
		if f.next(&turn, &count) != silent {
			silent = !silent
			f.wake()
		}
	})
}

// next gives those whose turn it is something to do, and reports whether vswitchd
// is silent.
func (f *flows) next(turn, count *int) (silent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.SortedFunc(maps.Values(f.keepers), func(a, b *keeper) int { return cmp.Compare(a.bridge, b.bridge) })
	if len(all) == 0 {
		return false
	}
	*turn++
	all[*turn%len(all)].kick(func(k *keeper) { k.probe = true })
	counting := slices.DeleteFunc(all, func(k *keeper) bool { return !k.counts() })
	const rounds = int(countEvery / probeEvery)
	for range (len(counting) + rounds - 1) / rounds {
		*count++
		counting[*count%len(counting)].kick(func(k *keeper) { k.count = true })
	}
	return time.Since(f.answered) > silence
}

// heard notes that vswitchd said something.
func (f *flows) heard() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered = time.Now()
}

// compare notes the bridges with a change that makes vswitchd remove all flows:
// that nobody else did. Only these bridges are not the same before and after.
func (f *flows) compare(before, after *plan.Actual, changed []string) {
	if before == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range changed {
		old, now := before.Bridges[name], after.Bridges[name]
		_, kept := f.keepers[name]
		if kept && (old.UUID != now.UUID || old.FailMode != now.FailMode || old.Controllers != now.Controllers || old.DatapathType != now.DatapathType) {
			f.shaken[name] = shock{cfg: after.NextCfg, at: time.Now()}
		}
	}
	for name, s := range f.shaken {
		if s.cfg > after.CurCfg { // it is ahead
			f.shaken[name] = shock{cfg: s.cfg, at: time.Now()}
		}
	}
	maps.DeleteFunc(f.shaken, func(_ string, s shock) bool { return time.Since(s.at) > aftermath })
}

// shock is a change that makes vswitchd remove all flows of a bridge, until a
// cur_cfg, and when that was still ahead.
type shock struct {
	cfg int
	at  time.Time
}

func (f *flows) socket(bridge string) string { return filepath.Join(f.runDir.path(), bridge+".mgmt") }
