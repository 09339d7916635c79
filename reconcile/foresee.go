package reconcile

import (
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// Foresee returns what the loop would change so that its host becomes what a
// desired state asks for. What the loop puts off, because somebody keeps
// breaking it, is in it.
func Foresee(desired *model.Desired, s Status) plan.Plan {
	want := wantedOf(desired, s.HostID, s.Actual)
	g := guardian{memory: newMemory()}
	g.judge(&want, s.Actual, nil, time.Now())
	want.Plug = map[model.ID][]plan.Port{}
	for _, n := range want.Networks {
		for _, p := range s.Waiting[n.ID] {
			if port := p.Again(s.Actual.Links); obstacle(n, p, port, s.Actual) == "" {
				want.Plug[n.ID] = append(want.Plug[n.ID], port)
			}
		}
	}
	return plan.Diff(want, s.Actual)
}

// Conflicts returns the networks that a host must have by a desired state and
// cannot have, and why.
func Conflicts(desired *model.Desired, host model.ID, actual *plan.Actual) []plan.Conflict {
	return plan.Diff(wantedOf(desired, host, actual), actual).Conflicts
}

// wantedOf returns what a host must have.
func wantedOf(desired *model.Desired, host model.ID, actual *plan.Actual) plan.Want {
	w := newWishes(desired, host)
	return w.want(w.networks, nil, actual)
}

// wishes are what a desired state has for a host. It takes a look at all of it to
// know them.
type wishes struct {
	desired  *model.Desired
	host     model.Host
	networks []model.Network // sorted by name
	adopting []model.Attachment
}

func newWishes(desired *model.Desired, host model.ID) wishes {
	w := wishes{desired: desired, host: desired.Hosts[host], networks: desired.HostNetworks(host)}
	for _, a := range desired.Attachments {
		if a.Host == host && a.Adopts != "" {
			w.adopting = append(w.adopting, a)
		}
	}
	return w
}

// want returns what the host must have, with these of the networks: the others
// are calm, and so are their bridges.
func (w wishes) want(networks []model.Network, calm map[string]bool, actual *plan.Actual) plan.Want {
	want := plan.Want{
		Networks: networks, Calm: calm, Evicted: w.host.Evicted, Released: w.host.Released,
		Adopt: w.permissions(actual),
	}
	want.Leaving = leaving(want, w.desired, actual)
	return want
}
