package reconcile

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// Hold makes this machine a host of a desired state that it shares with others,
// until ctx ends, and tells whether it is.
type Hold func(ctx context.Context, host model.ID, tell func(mine bool)) error

// Among says that other machines have the same desired state, so that another one
// may say that it is the same host. Call it before Run.
func (l *Loop) Among(hold Hold) { l.tenures.hold = hold }

// tenures are this machine's claims to hosts, one at a time. They belong to
// Run's goroutine.
type tenures struct {
	hold    Hold // nil: nobody else can be the host
	now     *tenure
	running sync.WaitGroup
}

// tenure is a claim to be a host.
type tenure struct {
	host model.ID
	// began is when it was made.
	began  time.Time
	answer atomic.Int32 // undecided at first
	end    func()
}

// The answers to a claim.
const (
	undecided int32 = iota
	granted
	denied
)

// claim returns the answer to this machine's claim to be a host. One that stands by
// claims none: the other isonetd of this machine does.
func (l *Loop) claim(ctx context.Context, host model.ID, standby bool) *tenure {
	ts := &l.tenures
	if standby {
		host = ""
	}
	if ts.now != nil && ts.now.host == host {
		return ts.now
	}
	if ts.now != nil {
		ts.now.end()
	}
	t := &tenure{host: host, began: time.Now(), end: func() {}}
	ts.now = t
	if ts.hold == nil || host == "" {
		t.answer.Store(granted)
		return t
	}
	ctx, t.end = context.WithCancel(ctx)
	ts.running.Go(func() {
		err := ts.hold(ctx, host, func(mine bool) {
			answer := denied
			if mine {
				answer = granted
			}
			if t.answer.Swap(answer) != answer {
				l.wake()
			}
		})
		if err != nil {
			l.log.Error("it cannot be found out whether another machine is this host, too", "error", err)
		}
	})
	return t
}

// deniedFor reports whether another machine is known to be a host.
func (ts *tenures) deniedFor(host model.ID) bool {
	return ts.now != nil && ts.now.host == host && ts.now.answer.Load() == denied
}

// wait is what a pass does while this machine may not be the host: nothing.
func (l *Loop) wait(t *tenure, host model.Host, desired *model.Desired, actual *plan.Actual) {
	if t.answer.Load() == undecided {
		l.stranger.Store(&plan.Sighting{
			Seen: t.began, Cause: "it is not known whether another machine is this host, too",
			Remedy: "check that the server of the store answers",
		})
		return
	}
	said := plan.Sighting{
		Cause: fmt.Sprintf("another machine that is up is the host '%s', too: its Open vSwitch has the same system-id %s, as that of a cloned image has", host.Name, host.SystemID),
		Remedy: `give this machine an id of its own ("ovs-vsctl set Open_vSwitch . external_ids:system-id=$(uuidgen | tee /etc/openvswitch/system-id.conf)"); ` +
			"if the other machine is gone for good, restart isonetd here",
	}
	if !l.status.Load().Occupied {
		l.log.Error(said.Cause, "remedy", said.Remedy)
	}
	l.stranger.Store(&said)
	l.calm = calm{}
	for _, s := range l.stages {
		s.cease()
	}
	networks := map[model.ID]report.NetworkStatus{}
	for _, n := range desired.HostNetworks(host.ID) {
		networks[n.ID] = report.NetworkStatus{State: report.Pending, Reason: report.NotYet}
	}
	l.publish(func(s *standing) {
		s.setConnected(true)
		s.Standby, s.Occupied = false, true
		s.see(actual, nil)
		s.HostID, s.Revision, s.Networks, s.Held = host.ID, desired.Revision, networks, nil
	})
}
