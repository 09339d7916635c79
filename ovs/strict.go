package ovs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/isonet/isonet/model/plan"
)

const (
	// inspectEvery is how often flows are looked at although nothing happened:
	// somebody may have changed them by OpenFlow, which no event tells.
	inspectEvery = 30 * time.Second
	// openFlowAtOnce bounds how many bridges are worked on at the same time.
	openFlowAtOnce = 4
)

// strict keeps the pipelines of the strict networks on their bridges.
type strict struct {
	controller controller
	log        *slog.Logger

	mu sync.Mutex
	// wanted are the pipelines that Enforce was last asked for, by bridge.
	wanted map[string]plan.Pipeline
	// seen are those that were on their bridge when somebody looked last.
	seen map[string]plan.Pipeline
	// doubted are bridges with which something happened since that could have
	// removed flows. The number tells one doubt from the next.
	doubted map[string]int
	doubts  int
	// changed is closed when wanted changes.
	changed chan struct{}
}

func newStrict(runDir string, log *slog.Logger) *strict {
	return &strict{
		controller: controller{runDir}, log: log,
		wanted: map[string]plan.Pipeline{}, seen: map[string]plan.Pipeline{}, doubted: map[string]int{},
		changed: make(chan struct{}),
	}
}

// Enforce sees to it that each bridge has exactly the flows of its pipeline. It
// costs nothing while nothing happened. Bridges without a pipeline are left
// alone. It returns the bridges that had flows of somebody else. Its error joins
// a *plan.BridgeError for each bridge that failed; what could be done is done.
func (s *Switch) Enforce(ctx context.Context, pipelines ...plan.Pipeline) (foreign []string, err error) {
	s.strict.want(pipelines)
	open := s.strict.open()
	errs, found := make([]error, len(open)), make([]bool, len(open))
	group := errgroup.Group{}
	group.SetLimit(openFlowAtOnce)
	for i, p := range open {
		group.Go(func() error {
			var err error
			if found[i], err = s.strict.enforce(ctx, p); err != nil {
				errs[i] = &plan.BridgeError{Bridge: p.Bridge, Err: err}
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	for i, p := range open {
		if found[i] {
			foreign = append(foreign, p.Bridge)
		}
	}
	return foreign, errors.Join(errs...)
}

func (s *strict) want(pipelines []plan.Pipeline) {
	wanted := make(map[string]plan.Pipeline, len(pipelines))
	for _, p := range pipelines {
		wanted[p.Bridge] = p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if reflect.DeepEqual(wanted, s.wanted) {
		return
	}
	s.wanted = wanted
	maps.DeleteFunc(s.seen, func(bridge string, _ plan.Pipeline) bool { return wanted[bridge].Bridge == "" })
	close(s.changed)
	s.changed = make(chan struct{})
}

// open returns the pipelines that may not be on their bridge.
func (s *strict) open() []plan.Pipeline {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []plan.Pipeline
	for _, bridge := range slices.Sorted(maps.Keys(s.wanted)) {
		if s.doubted[bridge] != 0 || !reflect.DeepEqual(s.wanted[bridge], s.seen[bridge]) {
			open = append(open, s.wanted[bridge])
		}
	}
	return open
}

// enforce reports whether there were flows of somebody else.
func (s *strict) enforce(ctx context.Context, p plan.Pipeline) (foreign bool, err error) {
	s.mu.Lock()
	doubt, expected := s.doubted[p.Bridge], reflect.DeepEqual(s.seen[p.Bridge], p)
	s.mu.Unlock()
	there, foreign, err := s.controller.installed(ctx, p)
	if err != nil {
		return false, err
	}
	if !there {
		if expected {
			s.log.Warn("the flows of a strict network were removed or changed; installing them again", "bridge", p.Bridge)
		}
		if err := s.controller.install(ctx, p); err != nil {
			return foreign, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[p.Bridge] = p
	if s.doubted[p.Bridge] == doubt { // nothing happened meanwhile
		delete(s.doubted, p.Bridge)
	}
	return foreign, nil
}

// doubt says that the flows of some bridges may be gone. It reports whether
// there is one to look at.
func (s *strict) doubt(suspect func(bridge string) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for bridge := range s.wanted {
		if suspect(bridge) {
			s.doubts++
			s.doubted[bridge] = s.doubts
			found = true
		}
	}
	return found
}

// compare doubts the bridges that are other ones than before, and those with a
// change that makes vswitchd forget all flows.
func (s *strict) compare(before, after *plan.Actual) {
	if before == nil {
		return
	}
	s.doubt(func(name string) bool {
		old, now := before.Bridges[name], after.Bridges[name]
		return old.UUID != now.UUID || old.FailMode != now.FailMode || old.Controllers != now.Controllers ||
			old.DatapathType != now.DatapathType
	})
}

// guard doubts all flows whenever vswitchd was gone, and from time to time. It
// calls wake when there is something to look at.
func (s *strict) guard(ctx context.Context, wake func()) error {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 2*time.Millisecond, 50*time.Millisecond
	suspectAll := func() {
		if s.doubt(func(string) bool { return true }) {
			wake()
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		ticker := time.NewTicker(inspectEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				suspectAll()
			}
		}
	})
	group.Go(func() error {
		for ctx.Err() == nil {
			bridge, changed := s.any()
			if bridge == "" {
				wait(ctx, changed, nil)
				continue
			}
			_ = accompany(ctx, s.controller.socket(bridge), func() {
				retry.Reset()
				suspectAll()
			})
			wait(ctx, nil, time.After(retry.NextBackOff()))
		}
		return nil
	})
	return group.Wait()
}

// any returns one of the bridges with a pipeline; "" when there is none, which
// ends when the channel is closed.
func (s *strict) any() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, bridge := range slices.Sorted(maps.Keys(s.wanted)) {
		return bridge, s.changed
	}
	return "", s.changed
}

func wait(ctx context.Context, changed <-chan struct{}, timer <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer:
	}
}
