package api

import (
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// view renders one moment of the desired and actual state for one request.
type view struct {
	base    string
	desired *model.Desired
	status  report.Status
	traffic map[model.ID]model.Traffic
	nics    ownNICs
}

// view returns what the request may see now.
func (a *API) view(c *call) *view { return a.viewOf(c, a.store.Snapshot()) }

// viewOf returns a view of a certain desired state, such as the one that a
// write made.
func (a *API) viewOf(c *call, d *model.Desired) *view {
	status := a.loop.Status()
	return &view{
		base: c.base, desired: d, status: status, traffic: a.traffic.Traffic(),
		nics: ownNICs{status.HostID, a.nics.Snapshot()},
	}
}

// at returns the entity with the href that the path segments make.
func (v *view) at(id string, segments ...string) entity {
	href := v.base
	for _, s := range segments {
		href += "/" + s
	}
	return entity{Href: href + "/" + id, ID: id}
}

// ref returns a reference to a top-level object.
func (v *view) ref(collection string, id model.ID) *entity {
	e := v.at(string(id), collection)
	return &e
}

// own reports whether a host is the one that this daemon runs on.
func (v *view) own(host model.ID) bool { return host != "" && v.status.HostID == host }

// here reports whether a host is the one that this daemon runs on and nothing is
// missing on which verdicts rest, so that the actual state speaks of it.
func (v *view) here(host model.ID) bool { return v.own(host) && v.status.Present() }

func linkTo(e entity, rel string) linkDTO { return linkDTO{Href: e.Href + "/" + rel, Rel: rel} }
