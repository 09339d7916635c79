package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

func TestDenials(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	bridge := func(interfaces ...plan.Interface) plan.Bridge {
		b := plan.Bridge{Name: "red"}
		for _, i := range interfaces {
			b.Ports = append(b.Ports, plan.Port{Name: i.Name, Interfaces: []plan.Interface{i}})
		}
		return b
	}
	one, two := plan.Interface{UUID: "1", Name: "vnet1", OFPort: 1}, plan.Interface{UUID: "2", Name: "vnet2", OFPort: 2}
	again := plan.Interface{UUID: "3", Name: "vnet1", OFPort: 1}
	type members = map[int]plan.MemberCounters
	var d denials
	for _, step := range []struct {
		after   time.Duration
		bridge  plan.Bridge
		members members
		want    report.Denied
		fresh   map[string]plan.MemberCounters
	}{
		{0, bridge(one, two), nil, report.Denied{Ports: map[string]report.Drops{}}, nil},
		{
			0, bridge(one, two),
			members{1: {}, 2: {OverLimit: 3}},
			report.Denied{Total: report.Drops{OverLimit: 3}, Ports: map[string]report.Drops{"1": {}, "2": {OverLimit: 3}}},
			map[string]plan.MemberCounters{"2": {OverLimit: 3}},
		},
		{
			30 * time.Second, bridge(one, two),
			members{1: {WrongMAC: 5}, 2: {OverLimit: 3}},
			report.Denied{Total: report.Drops{WrongMAC: 5, OverLimit: 3}, Ports: map[string]report.Drops{"1": {WrongMAC: 5}, "2": {OverLimit: 3}}},
			map[string]plan.MemberCounters{"1": {WrongMAC: 5}, "2": {OverLimit: 3}},
		},
		{ // another VM gets the number of the first one, whose frames are still counted
			40 * time.Second, bridge(again, two),
			members{1: {WrongMAC: 5}, 2: {OverLimit: 3}},
			report.Denied{Total: report.Drops{WrongMAC: 5, OverLimit: 3}, Ports: map[string]report.Drops{"2": {OverLimit: 3}, "3": {}}},
			nil,
		},
		{ // vswitchd begins anew
			80 * time.Second, bridge(again, two),
			members{1: {WrongMAC: 2}, 2: {OverLimit: 1}},
			report.Denied{Total: report.Drops{WrongMAC: 7, OverLimit: 4}, Ports: map[string]report.Drops{"2": {OverLimit: 4}, "3": {WrongMAC: 2}}},
			map[string]plan.MemberCounters{"2": {OverLimit: 4}, "3": {WrongMAC: 2}},
		},
		{ // nothing is counted any more, as without a limit
			10 * time.Second, bridge(again, two), nil,
			report.Denied{Total: report.Drops{WrongMAC: 7, OverLimit: 4}, Ports: map[string]report.Drops{"2": {OverLimit: 4}, "3": {WrongMAC: 2}}},
			map[string]plan.MemberCounters{"2": {OverLimit: 4}, "3": {WrongMAC: 2}},
		},
	} {
		start = start.Add(step.after)
		d = d.count(step.bridge, step.members, start)
		if diff := cmp.Diff(step.want, d.counted()); diff != "" {
			t.Errorf("with %v (-want +got):\n%s", step.members, diff)
		}
		fresh, over := d.news(start)
		if step.fresh == nil {
			step.fresh = map[string]plan.MemberCounters{}
		}
		if diff := cmp.Diff(step.fresh, fresh); diff != "" || over.IsZero() == (len(fresh) > 0) || !over.IsZero() && !over.After(start) {
			t.Errorf("news until %v (-want +got):\n%s", over, diff)
		}
	}
	if fresh, over := d.news(start.Add(deniedNews)); len(fresh) != 0 || !over.IsZero() {
		t.Errorf("after a minute: %v until %v", fresh, over)
	}
}
