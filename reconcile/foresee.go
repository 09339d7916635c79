package reconcile

import (
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// Foresee returns what the loop would change so that a host becomes what a
// desired state asks for. What the loop puts off, because somebody keeps
// breaking it, is in it.
func Foresee(desired *model.Desired, host model.ID, actual *plan.Actual) plan.Plan {
	want := wanted(desired, desired.Hosts[host], actual)
	g := guardian{memory: newMemory()}
	g.judge(&want, actual, nil, time.Now())
	return plan.Diff(want, actual)
}

// Conflicts returns the networks that a host must have by a desired state and
// cannot have, and why.
func Conflicts(desired *model.Desired, host model.ID, actual *plan.Actual) []plan.Conflict {
	return plan.Diff(wanted(desired, desired.Hosts[host], actual), actual).Conflicts
}

// wanted returns what a host must have.
func wanted(desired *model.Desired, host model.Host, actual *plan.Actual) plan.Want {
	want := plan.Want{
		Networks: desired.HostNetworks(host.ID), Evicted: host.Evicted, Released: host.Released,
		Adopt: permissions(desired, host.ID, actual),
	}
	want.Leaving = leaving(want, desired, actual)
	return want
}
