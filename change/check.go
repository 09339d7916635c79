package change

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// How much a write tells of hosts: a fleet has a thousand.
const (
	namedHosts    = 8  // in a sentence
	refusingHosts = 8  // whose refusals are told
	maxWarnings   = 16 // when those are about VMs of other hosts
)

// check finds what the change means for the hosts that it touches, and refuses what the
// Open vSwitch of one of them would refuse. With force it evicts the lost networks.
// Hosts that are not heard of are not asked: they get the change when they are back. While
// it is not known whether a host is heard of, the ports of its last report are in use.
func (ch *change) check(d *model.Desired, hosts Hosts, o Options) error {
	own := hosts.Own.Status()
	if err := own.Idle(); err != nil {
		return err
	}
	about := cmp.Or(o.Host, own.HostID)
	impacts := impactsOf(ch.before, d)
	if len(o.Also) > 0 {
		impacts[about] = impacts[about].with(o.Also)
	}
	ch.touches = map[model.ID][]model.ID{}
	var refusals []error
	var away []string
	for _, host := range byName(d, impacts) {
		i, name := impacts[host], cmp.Or(d.Hosts[host].Name, ch.before.Hosts[host].Name)
		ch.touches[host] = i.ids()
		status, known := hosts.Status(host)
		heard := known && status.Reports()
		switch {
		case !heard && own.HostID == "" && !own.Nowhere:
			return Unreachable(own) // it may be the one that isonetd runs on
		case heard && host == about:
			refusals = append(refusals, ch.await(d, host, status, i, o.Force))
		case host == own.HostID:
			refusals = append(refusals, onHost(name, ch.await(d, host, status, i, o.Force)))
		case heard && status.Present():
			ch.warn(i.cutMTUs(status.Host), name)
			if o.Force {
				i.lost = i.used(status.Host)
			}
			refusals = append(refusals, onHost(name, ch.ask(d, host, status, i, o.Force)))
		default:
			away = append(away, name)
			if o.Force {
				d.Evict(host, idsOf(i.lost)...)
			} else if known && status.Unsure() {
				refusals = append(refusals, onHost(name, i.inUse(d, status.Host)))
			}
		}
	}
	if len(away) > 0 && hosts.Others != nil {
		ch.warnings = append(ch.warnings, awayWarning(away))
	}
	return model.Join(fewer(refusals)...)
}

// await checks the change for a host that will be waited for.
func (ch *change) await(d *model.Desired, host model.ID, status report.Status, i impact, force bool) error {
	if err := Realisable(status); err != nil {
		return err
	}
	ch.warnings = append(ch.warnings, i.cutMTUs(status.Host)...)
	p := part{host: host, touched: i.ids(), leaving: released(host, ch.before, d)}
	if force {
		p.leaving = append(p.leaving, idsOf(i.lost)...)
	}
	ch.parts = append(ch.parts, p)
	return ch.ask(d, host, status, i, force)
}

// ask refuses what the Open vSwitch of a host would refuse, or evicts what it loses.
func (ch *change) ask(d *model.Desired, host model.ID, status report.Status, i impact, force bool) error {
	back := released(host, ch.before, d)
	i.lost = slices.DeleteFunc(slices.Clone(i.lost), func(n model.Network) bool { return slices.Contains(back, n.ID) })
	conflicts := i.conflicts(d, host, status.Host)
	if !force {
		return model.Join(conflicts, i.inUse(d, status.Host))
	}
	if conflicts == nil {
		d.Evict(host, idsOf(i.lost)...)
	}
	return conflicts
}

// released returns the networks whose bridges a change gives back on a host.
func released(host model.ID, before, after *model.Desired) []model.ID {
	return slices.DeleteFunc(slices.Clone(after.Hosts[host].Released), func(id model.ID) bool {
		return slices.Contains(before.Hosts[host].Released, id)
	})
}

// warn tells what the VMs of a host that isonetd does not run on will notice.
func (ch *change) warn(texts []string, host string) {
	for _, text := range texts {
		if len(ch.warnings) < maxWarnings {
			ch.warnings = append(ch.warnings, fmt.Sprintf("On the host '%s': %s", host, text))
		}
	}
}

// byName sorts the hosts of impacts by name.
func byName(d *model.Desired, impacts map[model.ID]impact) []model.ID {
	return slices.SortedFunc(maps.Keys(impacts), func(a, b model.ID) int {
		return cmp.Or(strings.Compare(d.Hosts[a].Name, d.Hosts[b].Name), strings.Compare(string(a), string(b)))
	})
}

// fewer leaves as many refusals as anybody reads, and says how many hosts more refuse.
func fewer(refusals []error) []error {
	refusals = slices.DeleteFunc(refusals, func(err error) bool { return err == nil })
	if more := len(refusals) - refusingHosts; more > 0 {
		refusals = append(refusals[:refusingHosts], model.Conflictf("%d more hosts refuse it.", more))
	}
	return refusals
}

func awayWarning(hosts []string) string {
	return fmt.Sprintf("These hosts do not report, so that nobody could ask them, and get the change when they are back: %s.", named(hosts))
}

// named names some of many.
func named(names []string) string {
	more := ""
	if len(names) > namedHosts {
		more = fmt.Sprintf(" and %d more", len(names)-namedHosts)
		names = names[:namedHosts]
	}
	return strings.Join(names, ", ") + more
}
