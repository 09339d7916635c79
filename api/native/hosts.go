package native

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

// mostProblems is how many problems of a host are told.
const mostProblems = 8

// listHosts tells how all hosts are, and with a revision what became of it there.
func (r resources) listHosts(c *rest.Call) error {
	revision, networks, err := asked(c)
	if err != nil {
		return err
	}
	patience, err := c.Seconds("wait")
	if err != nil {
		return err
	}
	r.TellStale(c)
	hosts := change.Hosts{Own: r.Loop, Others: r.Others}
	var outcomes map[model.ID]change.Outcome
	if revision > 0 {
		c.AllowReply(patience)
		ctx, cancel := context.WithTimeout(c.Context(), patience)
		defer cancel()
		outcomes = hosts.Await(ctx, revision, concerned(hosts, r.Store.Snapshot(), networks))
	}
	d := r.Store.Snapshot()
	reply := wire.Hosts{Revision: d.Revision, Hosts: []wire.HostOverview{}}
	for _, h := range slices.SortedFunc(maps.Values(d.Hosts), func(a, b model.Host) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
	}) {
		status, known := hosts.Status(h.ID)
		o := overview(d, h, status, known)
		o.Change, o.ChangeReason = string(outcomes[h.ID].State), outcomes[h.ID].Reason
		reply.Hosts = append(reply.Hosts, o)
	}
	return c.SendJSON(http.StatusOK, reply)
}

// asked reads which change the request is about; revision 0 is none.
func asked(c *rest.Call) (revision int64, networks []model.ID, err error) {
	text := c.Query().Get("revision")
	if text == "" {
		return 0, nil, nil
	}
	if revision, err = strconv.ParseInt(text, 10, 64); err != nil || revision < 1 {
		return 0, nil, rest.Refuse(rest.ErrValue, "The revision %q is none: it is a number, as in the header %s.", text, wire.RevisionHeader)
	}
	for name := range strings.SplitSeq(c.Query().Get("networks"), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		id, is := model.ParseID(name)
		if !is {
			return 0, nil, rest.Refuse(rest.ErrValue, "The network %q is no id.", name)
		}
		networks = append(networks, id)
	}
	return revision, networks, nil
}

// concerned are the hosts that must have one of the networks, or have its bridge yet, each
// with those of its networks; without networks all hosts with all of theirs.
func concerned(hosts change.Hosts, d *model.Desired, networks []model.ID) map[model.ID][]model.ID {
	found := map[model.ID][]model.ID{}
	for host := range d.Hosts {
		if len(networks) == 0 {
			for _, n := range d.HostNetworks(host) {
				found[host] = append(found[host], n.ID)
			}
			continue
		}
		status, known := hosts.Status(host)
		for _, id := range networks {
			_, wanted := d.AttachmentOf(host, id)
			has := false
			if known && status.Host != nil {
				_, has = status.Host.BridgeOf(id)
			}
			if wanted || has {
				found[host] = append(found[host], id)
			}
		}
	}
	return found
}

// overview says how a host is.
func overview(d *model.Desired, h model.Host, s report.Status, known bool) wire.HostOverview {
	o := wire.HostOverview{
		Host: wire.Host{ID: string(h.ID), Name: h.Name}, Status: change.StateOf(h, s, known), Maintenance: h.Maintenance,
		Realised: s.Revision, Problems: []wire.NetworkProblem{},
	}
	lacks := s.Lacks()
	switch {
	case !known:
		o.Reason = "it has never reported: check that isonetd runs there and reaches the servers of fleet-status"
		return o
	case lacks != nil:
		o.Reason = lacks.String()
	}
	if m := s.Member; m != nil {
		o.Heard, o.Seen, o.Version = m.Heard, m.Seen, m.Version
	}
	o.Networks = len(s.Networks)
	if lacks != nil {
		return o // nothing is known of them
	}
	for id, v := range s.Networks {
		if v.State != report.Active || !v.Isolation.Isolated() {
			o.Problems = append(o.Problems, wire.NetworkProblem{
				NetworkName: wire.NetworkName{ID: string(id), Name: d.Networks[id].Name},
				State:       string(v.State), Isolation: string(v.Isolation.Verdict), Reason: cmp.Or(v.Reason, v.Isolation.Reason),
			})
		}
	}
	slices.SortFunc(o.Problems, func(a, b wire.NetworkProblem) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	o.Faulty = len(o.Problems)
	o.Problems = o.Problems[:min(mostProblems, o.Faulty)]
	return o
}

// statusOf is what another host reports, in the form of that of this one. Own says that
// it is this one.
func (r resources) statusOf(reference string) (s wire.Status, own bool, err error) {
	d := r.Store.Snapshot()
	h, found := hostNamed(d, reference)
	if !found {
		return s, false, model.NotFoundf("There is no host '%s', or several have the name: see 'isonet host list'.", reference)
	}
	if h.ID == r.Loop.Status().HostID {
		return s, true, nil
	}
	status, known := change.Hosts{Own: r.Loop, Others: r.Others}.Status(h.ID)
	if !known {
		return s, false, model.Conflictf("The host '%s' has not reported here: ask its own isonetd, or check that it reaches the servers of fleet-status.", h.Name)
	}
	return Status(Moment{Desired: d, Status: status}), false, nil
}

// hostNamed finds a host by its id, or by a name that one host has.
func hostNamed(d *model.Desired, reference string) (model.Host, bool) {
	if id, is := model.ParseID(reference); is {
		h, there := d.Hosts[id]
		return h, there
	}
	var found []model.Host
	for _, h := range d.Hosts {
		if h.Name == reference {
			found = append(found, h)
		}
	}
	if len(found) != 1 {
		return model.Host{}, false
	}
	return found[0], true
}
