package ovirt

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// hostResource is the hosts.
type hostResource struct{ site }

// host renders a host.
func (v *view) host(h model.Host, f follow) *hostDTO {
	d := v.bareHost(h)
	d.Link = f.leave(d.Link)
	if f.has("cluster") {
		d.Cluster = v.cluster(v.bareCluster(), f.under("cluster"))
	}
	if f.has("networkattachments") {
		d.NetworkAttachments = v.attachments(v.hosts().On(h.ID), f.under("networkattachments"))
	}
	if f.has("networklabels") {
		d.NetworkLabels = v.labelsOfHost(h)
	}
	if f.has("nics") {
		d.NICs = v.nicList(v.nicsOf(h.ID), f.under("nics"))
	}
	if f.has("statistics") {
		d.Statistics.value = v.machineStatistics(h)
	}
	return d
}

func hostLinks() links {
	return links{
		"cluster":            clusterLinks(),
		"networkattachments": attachmentLinks(),
		"networklabels":      nil,
		"nics":               nicLinks(),
		"statistics":         nil,
	}
}

func (r hostResource) list() handler {
	return show(r.site, hostLinks(), func(c *rest.Call, v *view) ([]model.Host, error) {
		hosts := slices.SortedFunc(maps.Values(v.desired.Hosts), func(a, b model.Host) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
		})
		return find(c, hosts, fields[model.Host]{
			"name":       func(h model.Host) string { return h.Name },
			"address":    func(h model.Host) string { return h.Name },
			"cluster":    func(model.Host) string { return defaultName },
			"comment":    func(model.Host) string { return "" },
			"datacenter": func(model.Host) string { return defaultName },
			"id":         func(h model.Host) string { return string(h.ID) },
			"status":     func(h model.Host) string { return v.hostStatus(h) },
			"type":       func(model.Host) string { return hostType },
		})
	}, each("hosts", (*view).host))
}

func (r hostResource) get() handler { return show(r.site, hostLinks(), in(hostAt), (*view).host) }

func (r hostResource) listStatistics(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	h, err := hostAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	return listOf("statistics", rest.Limit(c, v.machineStatistics(h).Statistic)), nil
}

func (r hostResource) getStatistic(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	h, err := hostAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	return statisticAt(c, v.machineStatistics(h))
}

// update answers PUT hosts/{id}. What an operator can change of a host is its
// name: it then no longer follows that of the machine.
func (r hostResource) update(c *rest.Call) (rest.Document, error) {
	var body hostDTO
	if err := c.Read(&body); err != nil {
		return nil, err
	}
	f, err := followed(c, hostLinks())
	if err != nil {
		return nil, err
	}
	var id model.ID
	after, err := r.Write(c, change.Options{}, func(d *model.Desired) error {
		h, err := hostAt(c, d)
		if err != nil {
			return err
		}
		id = h.ID
		if err := sameID(body.entity, id); err != nil {
			return err
		}
		if body.Name == nil || *body.Name == h.Name {
			return nil
		}
		return d.RenameHost(id, *body.Name)
	})
	if err != nil {
		return nil, err
	}
	return r.viewOf(c, after).host(after.Hosts[id], f), nil
}

// remove answers DELETE hosts/{id}, for hosts that are gone for good. The
// daemon's own host is not; of others it does not know, so that one that still
// has networks takes force.
func (r hostResource) remove(c *rest.Call) (rest.Document, error) {
	force := c.Flag("force")
	_, err := r.Write(c, change.Options{}, func(d *model.Desired) error {
		h, err := hostAt(c, d)
		if err != nil {
			return err
		}
		if h.ID == r.Loop.Status().HostID {
			return model.Conflictf("Cannot remove Host. Host is operational. Please switch Host to Maintenance mode first. The host '%s' runs this isonetd: stop it, and remove the host by the isonetd of another one.", h.Name)
		}
		if networks := len(d.On(h.ID)); !force && (networks > 0 || len(h.Labels) > 0) {
			return model.Refuse(model.ErrConflict, model.HostNotEmpty, "Cannot remove Host. The host '%s' still has %d networks and %d labels, and this isonetd does not see whether it is alive: detach them first, or use force=true if the host is gone for good.",
				h.Name, networks, len(h.Labels))
		}
		return d.RemoveHost(h.ID)
	})
	return complete(), err
}
