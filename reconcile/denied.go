package reconcile

import (
	"time"

	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// deniedNews is how long it is told that a member was denied something after it
// happened.
const deniedNews = time.Minute

// denials counts for a network. Of each interface it counts by the UUID: when a
// port is plugged in, vswitchd may go on to count under the number that another
// one had.
type denials struct {
	total plan.MemberCounters
	ports map[string]denial
}

// denial is what was counted of one interface.
type denial struct {
	ofport              int
	wrongMAC, overLimit tally
}

// tally is one counter.
type tally struct {
	// seen is what vswitchd had counted, total what of it is the interface's.
	seen, total uint64
	grew        time.Time
}

// add takes in what vswitchd has counted by now, which may have begun anew, and
// returns how much is new.
func (t *tally) add(counted uint64, now time.Time) uint64 {
	more := counted
	if counted >= t.seen {
		more -= t.seen
	}
	if more > 0 {
		t.grew = now
	}
	t.seen = counted
	t.total += more
	return more
}

// fresh returns the total if it grew of late, and when that is no news any more.
func (t *tally) fresh(now time.Time) (total uint64, over time.Time) {
	if over = t.grew.Add(deniedNews); t.grew.IsZero() || !now.Before(over) {
		return 0, time.Time{}
	}
	return t.total, over
}

// count returns the denials with what vswitchd has counted on the bridge by now,
// without interfaces that are gone.
func (d denials) count(b plan.Bridge, members map[int]plan.MemberCounters, now time.Time) denials {
	next := denials{total: d.total, ports: map[string]denial{}}
	for _, p := range b.Endpoints() {
		for _, i := range p.Interfaces {
			n, known := d.ports[i.UUID]
			counted, counts := members[i.OFPort]
			if counts && n.ofport != i.OFPort {
				former := d.former(i)
				n.ofport, n.wrongMAC.seen, n.overLimit.seen = i.OFPort, former.wrongMAC.seen, former.overLimit.seen
			}
			if counts {
				next.total.WrongMAC += n.wrongMAC.add(counted.WrongMAC, now)
				next.total.OverLimit += n.overLimit.add(counted.OverLimit, now)
			}
			if known || counts {
				next.ports[i.UUID] = n
			}
		}
	}
	return next
}

// former returns what was counted under a port's number when another one had it.
func (d denials) former(i plan.Interface) denial {
	for uuid, n := range d.ports {
		if uuid != i.UUID && n.ofport == i.OFPort {
			return n
		}
	}
	return denial{}
}

// news returns what was denied of late, and when the first of it is no news any
// more; zero is never.
func (d denials) news(now time.Time) (fresh map[string]plan.MemberCounters, over time.Time) {
	fresh = map[string]plan.MemberCounters{}
	for uuid, n := range d.ports {
		var c plan.MemberCounters
		var ends [2]time.Time
		c.WrongMAC, ends[0] = n.wrongMAC.fresh(now)
		c.OverLimit, ends[1] = n.overLimit.fresh(now)
		if c != (plan.MemberCounters{}) {
			fresh[uuid] = c
		}
		for _, end := range ends {
			if !end.IsZero() && (over.IsZero() || end.Before(over)) {
				over = end
			}
		}
	}
	return fresh, over
}

// counted returns all that was counted.
func (d denials) counted() report.Denied {
	ports := make(map[string]report.Drops, len(d.ports))
	for uuid, n := range d.ports {
		ports[uuid] = report.Drops{WrongMAC: n.wrongMAC.total, OverLimit: n.overLimit.total}
	}
	return report.Denied{Total: report.Drops(d.total), Ports: ports}
}
