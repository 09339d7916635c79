package reconcile

import (
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

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
