package ovirt

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// NICs knows the network interfaces of this host without any I/O. Package nic
// has the real one.
type NICs interface {
	// Snapshot returns them in order, which nobody changes.
	Snapshot() []model.NIC
}

// Machine knows the machine of this host without any I/O. Package kernel/load has the
// real one.
type Machine interface {
	Snapshot() model.Machine
}

// site is what the resources stand on.
type site struct {
	rest.Backend
	nics    NICs
	machine Machine
}

// ownNICs are the network interfaces of the daemon's own host. It cannot see
// those of others.
type ownNICs struct {
	host model.ID // "" before it is known
	nics []model.NIC
}

func (s site) ownNICs() ownNICs { return ownNICs{s.Loop.Status().HostID, s.nics.Snapshot()} }

// of returns the interfaces of a host as far as they are known.
func (o ownNICs) of(host model.ID) []model.NIC {
	if o.host != host {
		return nil
	}
	return o.nics
}

// view renders one moment of the desired and actual state for one request. It never changes:
// a reply that is too long to keep is rendered twice.
type view struct {
	base    string
	desired *model.Desired
	// hosts is the index of desired, made when it is needed.
	hosts  func() *model.HostIndex
	status report.Status
	others change.Others // nil where nothing is known of them
	// told is what was told of other hosts: a reply is of one moment. nil is nothing.
	told    map[model.ID]*report.Status
	traffic map[model.ID]model.Traffic
	nics    ownNICs
	machine model.Machine
	// failed are the networks that are in error on a host.
	failed func() map[model.ID]bool
}

// view returns what the request may see now.
func (s site) view(c *rest.Call) *view { return s.viewOf(c, s.Store.Snapshot()) }

// viewOf returns a view of a certain desired state, such as the one that a
// write made.
func (s site) viewOf(c *rest.Call, d *model.Desired) *view {
	status := s.Loop.Status()
	v := &view{
		base: c.Base(), desired: d, hosts: sync.OnceValue(func() *model.HostIndex { return model.NewHostIndex(d) }), status: status,
		others: s.Others, told: map[model.ID]*report.Status{}, traffic: s.Traffic.Traffic(),
		nics: ownNICs{status.HostID, s.nics.Snapshot()}, machine: s.machine.Snapshot(),
	}
	v.failed = sync.OnceValue(v.failedNetworks)
	return v
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

// statusOf returns how a host is; false when nothing is known of it.
func (v *view) statusOf(host model.ID) (report.Status, bool) {
	switch {
	case v.own(host):
		return v.status, true
	case v.others == nil:
		return report.Status{}, false
	}
	told, asked := v.told[host]
	if !asked {
		if s, known := v.others.Status(host); known {
			told = &s
		}
		v.told[host] = told
	}
	if told == nil {
		return report.Status{}, false
	}
	return *told, true
}

// present returns how a host is of which nothing is missing on which verdicts rest, so
// that the actual state speaks of it.
func (v *view) present(host model.ID) (report.Status, bool) {
	s, known := v.statusOf(host)
	return s, known && s.Present()
}

// failedNetworks returns the networks that are in error on a host.
func (v *view) failedNetworks() map[model.ID]bool {
	failed := map[model.ID]bool{}
	for id := range v.desired.Hosts {
		s, present := v.present(id)
		if !present {
			continue
		}
		for network, verdict := range s.Networks {
			if verdict.State == report.Failed {
				failed[network] = true
			}
		}
	}
	return failed
}

// linksTo returns the links of an entity.
func linksTo(e entity, rels ...string) []linkDTO {
	links := make([]linkDTO, len(rels))
	for i, rel := range rels {
		links[i] = linkDTO{Href: e.Href + "/" + rel, Rel: rel}
	}
	return links
}

// sortedNetworks are the networks of the data center by name.
func (v *view) sortedNetworks() []model.Network {
	return slices.SortedFunc(maps.Values(v.desired.Networks), func(a, b model.Network) int {
		return strings.Compare(a.Name, b.Name)
	})
}
