package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// systemIDChanged is the reason of the event that tells of it.
const systemIDChanged = "system_id"

// Alone says that the desired state is of this one machine, so that whatever
// system-id its Open vSwitch has is that of its host. Call it before Run.
func (l *Loop) Alone() { l.alone = true }

// Remembered returns the host that this machine was, before this program began too, "" if
// none, and the networks of which it remembers ports. It can be called after Recall.
func (l *Loop) Remembered() (host model.ID, networks []model.ID) {
	k := l.ports.keep
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.host, slices.Collect(maps.Keys(k.kept))
}

// HostID returns the host that this machine was found to be last; "" before.
func (l *Loop) HostID() model.ID { return l.status.Load().HostID }

// identify returns the host that this machine is in the desired state, and whether
// there is one. A host does not go because the system-id of its Open vSwitch has
// changed, as it does when ovs-ctl gives it the one of its own file: all that is on
// it would go with it.
//
// In a store that only this machine has, its host stays what it is, whatever the
// system-id. In a shared one the new system-id may be a mistake, or another
// machine's: isonetd goes on as the host that it was, and leaves the choice to
// people, unless another machine is that host.
func (l *Loop) identify(desired *model.Desired, actual *plan.Actual) (host model.Host, known bool) {
	host, known = desired.HostOf(actual.SystemID)
	was, remembered := desired.Hosts[l.ports.keep.hostID()]
	if l.alone && !remembered {
		was, remembered = only(desired)
	}
	if remembered && host.ID != was.ID && l.tenures.deniedFor(was.ID) { // it never was: its Open vSwitch is a copy
		l.ports.keep.setHost("")
		remembered = false
	}
	if !remembered || known && host.ID == was.ID || l.alone && known && !bare(desired, host) {
		if known {
			l.stranger.Store(nil)
			l.ports.keep.setHost(host.ID)
		}
		return host, known
	}
	if l.alone {
		l.renamed(was, actual.SystemID)
		return was, true
	}
	l.stranger.Store(&plan.Sighting{
		Cause: fmt.Sprintf("the system-id of Open vSwitch changed from %s to %s, and isonetd goes on as the host '%s'", was.SystemID, actual.SystemID, was.Name),
		Remedy: fmt.Sprintf("put it back (\"ovs-vsctl set Open_vSwitch . external_ids:system-id=%s\"), or remove the host '%s' if this machine is to be another one",
			was.SystemID, was.Name),
	})
	return was, true
}

// removed says that this machine was a host, and that the desired state has that host no
// more. Somebody took its row away, perhaps by mistake. A store that only this machine
// has may be a new one when isonetd starts: then it is not taken for that.
func (l *Loop) removed() bool {
	return l.ports.keep.hostID() != "" && (l.last() != nil || !l.alone)
}

// hold returns what a host goes by that was removed: what it went by last. Nothing is
// removed for its sake. It is false if that is not known, and tells why in any case.
func (l *Loop) hold() (desired *model.Desired, host model.Host, known bool) {
	id := l.ports.keep.hostID()
	if last := l.last(); last != nil {
		host, known = last.Hosts[id]
		if l.held == nil {
			l.held = last.Clone()
			l.held.Recalled = true
		}
	}
	said := plan.Sighting{
		Cause:  fmt.Sprintf("somebody removed the host '%s' of this machine from the desired state; its networks stay as they are", cmp.Or(host.Name, string(id))),
		Remedy: "register it again, with the labels and networks that it had (\"isonet host register\")",
		Able:   true, // else nobody could
	}
	if before := l.stranger.Load(); before == nil || before.Cause != said.Cause {
		l.log.Error(said.Cause, "remedy", said.Remedy)
	}
	l.stranger.Store(&said)
	return l.held, host, known
}

// last returns the newest desired state that had this host; nil if it is not known.
func (l *Loop) last() *model.Desired {
	if known := l.known.Load(); known != nil {
		return known
	}
	if recalled := l.store.Recalled(); recalled != nil && recalled.Hosts[l.ports.keep.hostID()].ID != "" {
		return recalled
	}
	return nil
}

// Former returns the host that this machine was last, with the attachments that it had, or
// if these are not known, those to networks that have a bridge here; false if it was none yet.
func (l *Loop) Former() (host model.Host, attachments []model.Attachment, known bool) {
	id, seen := l.ports.keep.hostID(), l.status.Load().seen
	if id == "" || seen == nil {
		return model.Host{}, nil, false
	}
	last := l.last()
	if last == nil {
		systemID := seen.actual.SystemID
		return model.Host{ID: id, SystemID: systemID, Name: machineName(systemID)}, l.bridged(id, seen.actual), true
	}
	for _, a := range last.Attachments {
		if a.Host == id {
			attachments = append(attachments, a)
		}
	}
	return last.Hosts[id], attachments, true
}

// bridged returns attachments to the networks that have bridges on the host, so that it
// keeps these.
func (l *Loop) bridged(host model.ID, actual *plan.Actual) (attachments []model.Attachment) {
	settled, _ := l.owners.settle(actual, nil)
	for _, b := range settled.Bridges {
		if b.Network != "" {
			attachments = append(attachments, model.Attachment{ID: model.AttachmentID(host, b.Network), Host: host, Network: b.Network, Explicit: true})
		}
	}
	return attachments
}

// only returns the one host that a store has, hosts with nothing on them aside.
func only(desired *model.Desired) (model.Host, bool) {
	var found []model.Host
	for _, h := range desired.Hosts {
		if !bare(desired, h) || len(desired.Hosts) == 1 {
			found = append(found, h)
		}
	}
	if len(found) != 1 {
		return model.Host{}, false
	}
	return found[0], true
}

// bare says that nothing would be lost with a host.
func bare(desired *model.Desired, h model.Host) bool {
	return len(h.Labels) == 0 && len(desired.On(h.ID)) == 0
}

// renamed tells that the host of a store of its own has another system-id.
func (l *Loop) renamed(host model.Host, systemID string) {
	l.stranger.Store(nil)
	l.ports.keep.setHost(host.ID)
	if l.systemID == systemID {
		return
	}
	l.systemID = systemID
	e := report.Event{
		Time: time.Now(), Reason: systemIDChanged, Deed: report.Identified,
		Detail: fmt.Sprintf("the system-id of Open vSwitch changed from %s to %s; the host '%s' keeps its id, its labels and its networks", host.SystemID, systemID, host.Name),
	}
	l.tell([]report.Event{e})
	l.publish(func(s *standing) { s.remember([]report.Event{e}) })
}
