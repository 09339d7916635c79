package ovs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	flowtext "github.com/digitalocean/go-openvswitch/ovs"

	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs/openflow"
)

// exchange is one connection, and what a keeper says on it.
type exchange struct {
	ctx     context.Context
	k       *keeper
	conn    *openflow.Conn
	bundles uint32
	// old says that vswitchd tells of changes without the flows: it is of the
	// version 2.17.
	old bool
}

// greet makes vswitchd tell of changes from now on.
func (x *exchange) greet() error {
	if _, err := x.conn.Send(openflow.Greeting()); err != nil {
		return err
	}
	m, err := x.receive(time.Now().Add(exchangeTimeout))
	if err != nil {
		return err
	}
	if err := openflow.CheckGreeting(m); err != nil {
		return err
	}
	err = x.ask(nil, nil, openflow.SetAsync(), openflow.SetConfig(), openflow.FlowMonitor())
	if !openflow.IsRefusal(err) {
		return err
	}
	x.old = true
	return x.ask(nil, nil, openflow.OldFlowMonitor())
}

// ask sends requests, gives the answers to handle and returns when all of them
// were done. Refusals are tolerated of the requests that tolerate names, by their
// places; another is returned, after the others were done.
func (x *exchange) ask(handle func(openflow.Message) error, tolerate func(int) bool, requests ...openflow.Request) error {
	last, err := x.conn.Send(append(slices.Clone(requests), openflow.BarrierRequest())...)
	if err != nil {
		return err
	}
	first := last - uint32(len(requests))
	limit := time.Now().Add(exchangeTimeout)
	var refused error
	for {
		m, err := x.receive(limit)
		if err != nil {
			return err
		}
		switch {
		case m.Type == openflow.Barrier && m.ID == last:
			return refused
		case m.Type == openflow.ErrorMessage:
			if tolerate == nil || !tolerate(int(m.ID-first)) {
				refused = errors.Join(refused, openflow.DecodeError(m))
			}
		case handle != nil && x.answers(m, first, last):
			err = handle(m)
		default:
			err = x.hear(m)
		}
		if err != nil {
			return err
		}
	}
}

// answers says that a message is the answer to a request, and not news.
func (x *exchange) answers(m openflow.Message, first, last uint32) bool {
	answer := m.Type == openflow.Multipart || m.Type == openflow.ConfigReply
	return answer && m.ID-first < last-first
}

// receive waits for a message although others may want something else.
func (x *exchange) receive(limit time.Time) (openflow.Message, error) {
	for {
		if err := x.conn.SetDeadline(limit); err != nil {
			return openflow.Message{}, fmt.Errorf("listen to ovs-vswitchd: %w", err)
		}
		m, err := x.conn.Receive()
		switch {
		case err == nil:
			x.k.flows.heard()
			return m, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return m, err
		case !time.Now().Before(limit):
			return m, fmt.Errorf("ovs-vswitchd does not answer over OpenFlow for %v: see whether it runs ('ovs-appctl version')", exchangeTimeout)
		}
	}
}

// hear takes what vswitchd says unasked.
func (x *exchange) hear(m openflow.Message) error {
	if body, is := openflow.OldUpdates(m); is {
		return openflow.DecodeOldUpdates(body, x.happened)
	}
	switch m.Type {
	case openflow.EchoRequest:
		return x.conn.Answer(m, openflow.EchoOf(m))
	case openflow.Multipart:
		part, err := openflow.DecodePart(m)
		if err != nil || part.Kind != openflow.FlowMonitors {
			return err
		}
		return openflow.DecodeUpdates(part.Body, x.happened)
	case openflow.RequestForward:
		x.suspect("a meter or a group was added, changed or removed")
	case openflow.PortStatus:
		port, err := openflow.ChangedPort(m)
		if err == nil && port.Refuses != 0 {
			x.suspect(refusal(port))
		}
		return err
	case openflow.ErrorMessage:
		return openflow.DecodeError(m)
	}
	return nil
}

// happened takes what happened to a flow.
func (x *exchange) happened(event openflow.Event, f openflow.Flow) {
	x.k.flows.mu.Lock()
	w := x.k.forwarding
	x.k.flows.mu.Unlock()
	if w.Pipeline != nil && isLearned(f) {
		x.k.learning.happened(event, f)
		switch p := x.k.there; {
		case event == openflow.Removed, p == nil, p.learned(f): // without a program all is about to be looked at
		case event == openflow.Added && p.members[learnedAt(f)].OFPort == 0, x.old:
			// It was learned of a former member while that was removed.
			x.k.suspect = x.k.suspect || !x.old
		default:
			x.suspect(fmt.Sprintf("learned flows were changed ('%s')", textOf(f)))
		}
		return
	}
	verb := map[openflow.Event]string{openflow.Added: "added", openflow.Removed: "removed", openflow.Modified: "changed"}[event]
	evidence := fmt.Sprintf("flows were %s (the first: '%s')", verb, textOf(f))
	if event == openflow.Removed || isNormal(f) {
		x.k.suspect = true
		x.k.gone(evidence)
		return
	}
	x.suspect(evidence)
}

// isNormal says that a flow is the one that vswitchd makes when it has removed all,
// unless the bridge is secure.
func isNormal(f openflow.Flow) bool {
	return f == openflow.Flow{Instructions: openflow.Actions(openflow.Output(openflow.Normal))}
}

func (x *exchange) suspect(evidence string) {
	x.k.suspect = true
	if x.k.evidence == "" {
		x.k.evidence = evidence
	}
}

// textOf names a flow as ovs-ofctl takes it, to look for it.
func textOf(f openflow.Flow) string {
	match := flowtext.MatchFlow{Table: int(f.Table), Cookie: f.Cookie}
	text, err := match.MarshalText()
	if err != nil {
		return fmt.Sprintf("table=%d", f.Table)
	}
	return string(text)
}

func refusal(p openflow.Port) string {
	return fmt.Sprintf("the port '%s' was made to drop frames ('ovs-ofctl mod-port')", p.Name)
}

// pause lets time pass.
func (x *exchange) pause(d time.Duration) error {
	select {
	case <-x.ctx.Done():
		return x.ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// deviation is in what a bridge is not as it must be.
type deviation struct {
	// missing and surplus count flows; one that was changed is both. Normal counts
	// those of an ordinary switch among the surplus ones.
	missing, surplus, normal int
	// first is one of the surplus ones, alien one that neither isonet nor vswitchd
	// makes.
	first, alien *openflow.Flow
	// wrongMeters says that one is missing or another.
	wrongMeters   bool
	surplusMeters []uint32
	groups        int
	ports         []openflow.Port
	fragments     int
}

func (d deviation) none() bool { return d.missing+d.surplus == 0 && !d.wrongMeters && d.clean() }

func (d deviation) clean() bool {
	return len(d.surplusMeters)+d.groups+len(d.ports)+d.fragments == 0
}

// left says that it can be what isonet itself or vswitchd left from before.
func (d deviation) left() bool {
	return d.alien == nil && d.groups+len(d.ports)+d.fragments == 0
}

// flushed says that it can be what vswitchd does when it removes all flows.
func (d deviation) flushed() bool { return d.surplus == d.normal && d.clean() }

// words says what it is; "" is nothing.
func (d deviation) words(bridge string) string {
	var list []string
	add := func(n int, format string, args ...any) {
		if n > 0 {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	if d.surplus > 0 {
		f := d.first
		if d.alien != nil {
			f = d.alien
		}
		add(d.surplus, "flows that isonet did not make or that were changed: %d (look with 'ovs-ofctl dump-flows %s %s')", d.surplus, bridge, textOf(*f))
	}
	add(max(0, d.missing-d.surplus), "flows that were removed: %d", d.missing-d.surplus)
	if d.wrongMeters {
		list = append(list, "a meter was removed or changed")
	}
	add(len(d.surplusMeters), "meters that isonet did not make: %v", d.surplusMeters)
	add(d.groups, "groups that isonet did not make: %d", d.groups)
	for _, p := range d.ports {
		list = append(list, refusal(p))
	}
	add(d.fragments, "IP fragments are dropped or changed ('ovs-ofctl set-frags')")
	return strings.Join(list, "; ")
}

// look compares everything that is on the bridge, but what it learned, with what
// must be there. Where members learn, what has the mark of learned flows is not
// listed: it can be too much, and a keeper removes it when it did not see it come.
func (x *exchange) look(want program) (deviation, error) {
	var d deviation
	var unlisted uint64
	if len(want.members) > 0 && !x.reports() {
		unlisted = learnedMark
	}
	missing, meters := maps.Clone(want.flows), maps.Clone(want.meters)
	err := x.ask(func(m openflow.Message) error {
		if m.Type == openflow.ConfigReply {
			var err error
			d.fragments, err = openflow.Fragments(m)
			return err
		}
		part, err := openflow.DecodePart(m)
		if err != nil {
			return err
		}
		switch part.Kind {
		case openflow.FlowStats:
			return openflow.DecodeFlows(part.Body, func(f openflow.Flow, _ uint64) {
				switch wanted, there := want.flows[placeOf(f)]; {
				case there && wanted == f:
					delete(missing, placeOf(f))
				case !want.learned(f):
					d.strange(f)
				}
			})
		case openflow.MeterConfig:
			return openflow.DecodeMeters(part.Body, func(m openflow.Meter) {
				wanted, there := want.meters[m.ID]
				switch {
				case !there:
					d.surplusMeters = append(d.surplusMeters, m.ID)
				case wanted == m:
					delete(meters, m.ID)
				}
			})
		case openflow.GroupDesc:
			return openflow.DecodeGroups(part.Body, func(uint32) { d.groups++ })
		case openflow.PortDesc:
			return openflow.DecodePorts(part.Body, func(p openflow.Port) {
				if p.Refuses != 0 {
					d.ports = append(d.ports, p)
				}
			})
		}
		return nil
	}, nil, openflow.FlowsRequest(0, unlisted), openflow.MetersRequest(), openflow.GroupsRequest(), openflow.PortsRequest(), openflow.ConfigRequest())
	d.missing, d.wrongMeters = len(missing), len(meters) > 0
	return d, err
}

// reports says that what somebody else changed is left as it is.
func (x *exchange) reports() bool {
	x.k.flows.mu.Lock()
	defer x.k.flows.mu.Unlock()
	return x.k.forwarding.Report
}

// strange takes a flow that must not be there.
func (d *deviation) strange(f openflow.Flow) {
	d.surplus++
	if d.first == nil {
		d.first = &f
	}
	if isNormal(f) {
		d.normal++
		return
	}
	if d.alien == nil && f.Cookie&cookieMask != cookieMark {
		d.alien = &f
	}
}

// bundle makes requests take effect at once.
func (x *exchange) bundle(requests ...openflow.Request) []openflow.Request {
	x.bundles++
	return openflow.Bundle(x.bundles, requests...)
}

// install replaces all flows, with those that were learned.
func (x *exchange) install(want program) error {
	x.k.learning.forget()
	all := []openflow.Request{openflow.DeleteAll(0, 0)}
	for _, f := range want.flows {
		all = append(all, openflow.Add(f))
	}
	return x.replace(all, nil, want.meters)
}

// replace changes flows, and the meters that they name. Flows may name meters that
// exist only, so these come first and go last. Which of the old ones are there,
// somebody else may have changed: each is added and changed, and one of the two
// refusals is the rule.
func (x *exchange) replace(changes []openflow.Request, old, now map[uint32]openflow.Meter) error {
	var requests []openflow.Request
	for id, m := range now {
		if old[id] != m {
			requests = append(requests, openflow.AddMeter(m), openflow.ModifyMeter(m))
		}
	}
	set := len(requests)
	if len(changes) > 0 {
		requests = append(requests, x.bundle(changes...)...)
	}
	gone := len(requests)
	for id := range old {
		if _, there := now[id]; !there {
			requests = append(requests, openflow.DeleteMeter(id))
		}
	}
	failed := map[int]bool{}
	return x.ask(nil, func(place int) bool {
		switch {
		case place >= gone:
			return true
		case place < set:
			failed[place/2] = !failed[place/2] // both are one too many
			return failed[place/2]
		}
		return false
	}, requests...)
}

// restore puts back what deviates, and forgets what was learned while nobody
// watched.
func (x *exchange) restore(d deviation, want program) error {
	var requests []openflow.Request
	switch {
	case d.missing+d.surplus > 0 || d.wrongMeters:
		if err := x.install(want); err != nil {
			return err
		}
	default:
		x.k.learning.forget()
		requests = x.bundle(openflow.DeleteAll(learnedMark, learnedMark))
	}
	for _, id := range d.surplusMeters {
		requests = append(requests, openflow.DeleteMeter(id))
	}
	if d.groups > 0 {
		requests = append(requests, openflow.DeleteGroups())
	}
	for _, p := range d.ports {
		requests = append(requests, openflow.OpenPort(p))
	}
	if d.fragments != 0 {
		requests = append(requests, openflow.SetConfig())
	}
	return x.ask(nil, nil, requests...)
}

// counters reads what members were denied.
func (x *exchange) counters(want program) (map[int]plan.MemberCounters, error) {
	counted := map[int]plan.MemberCounters{}
	err := x.ask(func(m openflow.Message) error {
		part, err := openflow.DecodePart(m)
		if err != nil {
			return err
		}
		switch part.Kind {
		case openflow.FlowStats:
			return openflow.DecodeFlows(part.Body, func(f openflow.Flow, frames uint64) {
				if port, denied := want.denied[f.Match]; denied {
					counted[port] = plan.MemberCounters{WrongMAC: frames, OverLimit: counted[port].OverLimit}
				}
			})
		case openflow.MeterStats:
			return openflow.DecodeMeterStats(part.Body, func(id uint32, dropped uint64) {
				counted[int(id)] = plan.MemberCounters{WrongMAC: counted[int(id)].WrongMAC, OverLimit: dropped}
			})
		}
		return nil
	}, nil, openflow.FlowsRequest(deniedCookie, ^uint64(0)), openflow.MeterStatsRequest())
	return counted, err
}
