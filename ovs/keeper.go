package ovs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs/openflow"
)

const (
	// exchangeTimeout bounds one exchange with vswitchd, which may be busy with
	// very many bridges.
	exchangeTimeout = 30 * time.Second
	// maxRedial is the longest pause between two tries to connect.
	maxRedial = 5 * time.Second
	// maxSpare is the longest pause before a repair: short enough that what lets
	// frames out is closed, and long enough that two who fight leave vswitchd and the
	// processors to others.
	maxSpare = 20 * time.Millisecond
	// calm is how long flows have to stay as they are until repairs are made at
	// once again.
	calm = 10 * time.Second
)

// keeper keeps what one bridge forwards by. Its goroutine owns the connection.
type keeper struct {
	flows  *flows
	bridge string
	cancel context.CancelFunc // nil before it runs

	// The rest down to state is guarded by the lock of flows.

	forwarding plan.Forwarding
	conn       *openflow.Conn // nil while there is none
	// kicked says that there is something to do; probe and count, what.
	kicked, probe, count bool
	state                plan.Flows

	// The rest belongs to the goroutine.

	// there is what the bridge is known to forward by; nil is anything.
	there *program
	// suspect says that something was changed, evidence in words what somebody else
	// changed.
	suspect  bool
	evidence string
	// removed is the same of flows that were removed, which vswitchd does by itself
	// when certain settings are changed. That is known within some time of since.
	removed      string
	removedSince time.Time
	// spare spaces repairs, but for the first one after a change of what the bridge
	// must forward by: vswitchd itself removes all flows when a network becomes
	// strict or ordinary.
	spare    *backoff.ExponentialBackOff
	repaired time.Time
	settled  *plan.Pipeline
	counted  map[int]plan.MemberCounters // as vswitchd counted them last, on whichever connection
	learning learning
}

func newKeeper(f *flows, w plan.Forwarding) *keeper {
	spare := backoff.NewExponentialBackOff()
	spare.InitialInterval, spare.MaxInterval = time.Millisecond, maxSpare
	return &keeper{flows: f, bridge: w.Bridge, forwarding: w, spare: spare, state: plan.Flows{Since: time.Now()}}
}

// want states anew what the bridge must forward by. The caller has the lock.
func (k *keeper) want(w plan.Forwarding) {
	if reflect.DeepEqual(k.forwarding, w) {
		return
	}
	if !reflect.DeepEqual(k.forwarding.Pipeline, w.Pipeline) {
		k.state.InPlace, k.flows.told = false, nil
	}
	k.forwarding = w
	k.kick(func(*keeper) {})
}

// counts says that the bridge's members are counted. The caller has the lock.
func (k *keeper) counts() bool {
	p := k.forwarding.Pipeline
	if p == nil {
		return false
	}
	for _, m := range p.Members {
		if p.BroadcastLimit > 0 || len(m.MACs) > 0 {
			return true
		}
	}
	return false
}

// kick gives the goroutine something to do. The caller has the lock.
func (k *keeper) kick(what func(*keeper)) {
	what(k)
	k.kicked = true
	if k.conn != nil {
		_ = k.conn.Interrupt() // a connection that is closed has ended anyway
	}
}

// stop ends the goroutine. The caller has the lock.
func (k *keeper) stop() {
	if k.cancel != nil {
		k.cancel()
	}
}

func (k *keeper) run(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 2*time.Millisecond, maxRedial
	for ctx.Err() == nil {
		k.flows.mu.Lock()
		back := k.flows.back
		k.flows.mu.Unlock()
		start := time.Now()
		err := k.session(ctx)
		if ctx.Err() != nil {
			return
		}
		k.publish(func(s *plan.Flows) {
			*s = plan.Flows{Since: s.Since, Restored: s.Restored, Last: s.Last, Members: s.Members, Err: err.Error()}
		})
		if time.Since(start) > calm {
			retry.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		case <-back:
		}
	}
}

// publish changes the state, and tells those who wait for a change.
func (k *keeper) publish(change func(*plan.Flows)) {
	k.flows.mu.Lock()
	before := k.state
	change(&k.state)
	k.flows.told = nil
	if before.Known != k.state.Known || before.InPlace != k.state.InPlace {
		k.state.Since = time.Now()
	}
	after := k.state
	k.flows.mu.Unlock()
	if !reflect.DeepEqual(before, after) {
		k.flows.wake()
	}
}

// session holds one connection until it breaks, and returns why. What was true
// on an earlier one counts for nothing.
func (k *keeper) session(ctx context.Context) error {
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", k.flows.socket(k.bridge))
	if err != nil {
		return fmt.Errorf("the flows of the bridge '%s' cannot be looked at, because ovs-vswitchd does not answer: %w", k.bridge, err)
	}
	conn := openflow.NewConn(raw)
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	k.flows.mu.Lock()
	k.conn, k.kicked, k.probe = conn, false, true
	k.flows.mu.Unlock()
	defer func() {
		k.flows.mu.Lock()
		k.conn = nil
		k.flows.mu.Unlock()
		_ = conn.Close() // what it says, the reader has seen
	}()
	k.there, k.suspect, k.evidence, k.removed = nil, false, "", ""
	k.learning = newLearning()
	x := &exchange{ctx: ctx, k: k, conn: conn}
	if err := x.greet(); err != nil {
		return fmt.Errorf("the flows of the bridge '%s' cannot be looked at: %w", k.bridge, err)
	}
	for {
		if err := k.settle(x); err != nil {
			return fmt.Errorf("the flows of the bridge '%s' cannot be looked at: %w", k.bridge, err)
		}
		if err := k.listen(x); err != nil {
			return fmt.Errorf("ovs-vswitchd ended the connection to the bridge '%s': %w", k.bridge, err)
		}
	}
}

// listen waits until there is something to do.
func (k *keeper) listen(x *exchange) error {
	for !k.suspect && len(k.learning.unsure) == 0 {
		k.flows.mu.Lock()
		if k.kicked {
			k.flows.mu.Unlock()
			return nil
		}
		err := x.conn.SetDeadline(time.Time{})
		k.flows.mu.Unlock()
		if err != nil {
			return err
		}
		m, err := x.conn.Receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return err
		}
		if err := x.hear(m); err != nil {
			return err
		}
	}
	return nil
}

// settle makes the bridge forward by what it must, as far as that is allowed, and
// says what came of it.
func (k *keeper) settle(x *exchange) error {
	k.flows.mu.Lock()
	w, probe, count := k.forwarding, k.probe, k.count
	k.kicked, k.probe, k.count = false, false, false
	k.flows.mu.Unlock()
	if err := k.learning.settle(x); err != nil {
		return err
	}
	if !reflect.DeepEqual(w.Pipeline, k.settled) {
		k.settled, k.repaired = w.Pipeline, time.Time{}
	}
	want := newProgram(w, k.learning.full)
	var err error
	switch {
	case w.Report:
		k.there = nil
		err = k.report(x, want)
	case k.there != nil && !k.suspect:
		if err = k.change(x, want, w); err == nil && probe {
			err = k.verify(x, want, w)
		}
	case k.suspect:
		err = k.repair(x, want, w)
	default:
		err = k.verify(x, want, w)
	}
	if err == nil && count && k.there != nil {
		err = k.countMembers(x, want)
	}
	if err != nil {
		k.there = nil
	}
	if openflow.IsRefusal(err) { // the connection goes on, and the next probe tries again
		k.publish(func(s *plan.Flows) { s.Known, s.InPlace, s.Err = false, false, err.Error() })
		return nil
	}
	return err
}

// report only looks.
func (k *keeper) report(x *exchange, want program) error {
	k.suspect, k.evidence = false, ""
	found, err := x.look(want)
	if err != nil {
		return err
	}
	k.publish(func(s *plan.Flows) {
		s.Known, s.InPlace, s.Foreign, s.Err = true, found.none(), found.words(k.bridge), ""
	})
	return nil
}

// change makes one program of another, which is all that is there.
func (k *keeper) change(x *exchange, want program, w plan.Forwarding) error {
	before := k.there
	if changes := before.changes(want); len(changes) > 0 || !reflect.DeepEqual(before.meters, want.meters) {
		k.there = &want
		if err := x.replace(changes, before.meters, want.meters); err != nil {
			k.there = nil
			return err
		}
	}
	k.inPlace(w)
	return nil
}

// inPlace says that the bridge forwards by what it must, unless that is something
// else by now.
func (k *keeper) inPlace(w plan.Forwarding) {
	k.publish(func(s *plan.Flows) {
		s.Known, s.Foreign, s.Err = true, "", ""
		s.InPlace = reflect.DeepEqual(k.forwarding.Pipeline, w.Pipeline) && !k.suspect
	})
}

// repair puts everything back, without a look that would take time, and then
// looks.
func (k *keeper) repair(x *exchange, want program, w plan.Forwarding) error {
	if time.Since(k.repaired) > calm {
		k.spare.Reset()
	} else if err := x.pause(k.spare.NextBackOff()); err != nil {
		return err
	}
	k.repaired = time.Now()
	k.there, k.suspect = &want, false
	if err := x.install(want); err != nil {
		k.there = nil
		return err
	}
	return k.verify(x, want, w)
}

// verify looks at everything, and puts back what is not as it must be.
func (k *keeper) verify(x *exchange, want program, w plan.Forwarding) error {
	first := !k.known()
	found, err := x.look(want)
	if err != nil {
		return err
	}
	switch {
	case first && found.left():
	case found.flushed():
		k.gone(found.words(k.bridge))
	case k.evidence == "":
		k.evidence = found.words(k.bridge)
	}
	if !found.none() || first && w.Pipeline != nil {
		k.there = &want
		if err := x.restore(found, want); err != nil {
			return err
		}
		if found, err = x.look(want); err != nil {
			return err
		}
	}
	if !found.none() && !k.suspect {
		return &openflow.Error{Text: "it does not keep what it was given: " + found.words(k.bridge)}
	}
	k.there = &want
	if !k.suspect {
		k.tell()
	}
	k.inPlace(w)
	return nil
}

// tell says what somebody else had changed, when it was put back.
func (k *keeper) tell() {
	if k.evidence == "" && k.removed != "" && !k.shaken() {
		if wait := time.Until(k.removedSince.Add(doubt)); wait > 0 {
			time.AfterFunc(wait, func() {
				k.flows.mu.Lock()
				defer k.flows.mu.Unlock()
				k.kick(func(k *keeper) { k.probe = true })
			})
			return
		}
		k.evidence = k.removed
	}
	evidence := k.evidence
	k.evidence, k.removed = "", ""
	if evidence != "" {
		k.flows.log.Warn("somebody else changed what a bridge forwards by; it was put back", "bridge", k.bridge, "found", evidence)
		k.publish(func(s *plan.Flows) { s.Restored++; s.Last = evidence })
	}
}

// gone says that flows were removed.
func (k *keeper) gone(evidence string) {
	if k.removed == "" && evidence != "" {
		k.removed, k.removedSince = evidence, time.Now()
	}
}

func (k *keeper) known() bool {
	k.flows.mu.Lock()
	defer k.flows.mu.Unlock()
	return k.state.Known
}

// shaken says that vswitchd may have removed flows by itself.
func (k *keeper) shaken() bool {
	k.flows.mu.Lock()
	defer k.flows.mu.Unlock()
	_, shaken := k.flows.shaken[k.bridge]
	return shaken
}

// countMembers reads what members were denied.
func (k *keeper) countMembers(x *exchange, want program) error {
	now, err := x.counters(want)
	if err != nil {
		return err
	}
	before := k.counted
	k.counted = now
	k.publish(func(s *plan.Flows) {
		members := map[int]plan.MemberCounters{}
		for port, c := range now {
			total := s.Members[port]
			total.WrongMAC += since(before[port].WrongMAC, c.WrongMAC)
			total.OverLimit += since(before[port].OverLimit, c.OverLimit)
			members[port] = total
		}
		s.Members = members
	})
	return nil
}

// since returns how much a counter grew, which begins anew with its flow.
func since(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}
