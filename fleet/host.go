package fleet

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// told is what a row tells of a host. Nobody changes it.
type told struct {
	row *hostRow
	// status lacks what depends on the time, see at.
	status report.Status
	guard  *guards
	// entries are those of the column networks, with their texts.
	entries map[model.ID]entry
}

// entry is an entry of the column networks.
type entry struct {
	text    string
	network *network
	bridge  report.Bridge
}

// read returns what a row tells. What is as it was in another row is taken from there;
// nil is none. What cannot be understood, because a newer isonetd wrote it, is left
// out.
func read(row *hostRow, before *told) *told {
	t := &told{row: row, entries: make(map[model.ID]entry, len(row.Networks))}
	var d details
	var missing []lacking
	var notices []notice
	parse(row.Details, &d)
	parse(row.Missing, &missing)
	parse(row.Notices, &notices)
	t.guard = d.Guard
	t.status = report.Status{
		HostID: model.ID(row.Host), Connected: row.Connected, Since: moment(d.Since), Reconnects: d.Reconnects, Repairs: d.Repairs,
		Revision: int64(row.Realised), LastError: row.LastError,
		Networks: map[model.ID]report.NetworkStatus{}, Devices: map[model.ID][]report.Device{},
		Switch: report.Switch{Version: row.OVSVersion, SchemaVersion: d.Schema, DatapathType: d.Datapath},
	}
	for _, m := range missing {
		t.status.Missing = append(t.status.Missing, report.Missing{
			Ground: report.Ground(m.Ground), Since: moment(m.Since), Cause: m.Cause, Remedy: m.Remedy, Busy: m.Busy,
		})
	}
	for _, n := range notices {
		t.status.Notices = append(t.status.Notices, report.Notice(n))
	}
	host := &host{foreign: row.Foreign, others: row.Names, bridges: map[string]report.Bridge{}, names: map[model.ID]string{}, lingering: d.Lingering}
	for id, text := range row.Networks {
		e := readEntry(model.ID(id), text, before)
		t.entries[model.ID(id)] = e
		t.add(model.ID(id), e.network)
		if e.network.Bridge != nil {
			host.bridges[e.bridge.Name], host.names[model.ID(id)] = e.bridge, e.bridge.Name
		}
	}
	slices.SortFunc(t.status.Held, func(a, b report.Held) int { return strings.Compare(a.Bridge, b.Bridge) })
	t.status.Host = host
	return t
}

func readEntry(id model.ID, text string, before *told) entry {
	if before != nil {
		if e, there := before.entries[id]; there && e.text == text {
			return e
		}
	}
	e := entry{text: text, network: &network{}}
	parse(text, e.network)
	if e.network.Bridge != nil {
		e.bridge = e.network.Bridge.report(id)
	}
	return e
}

// add adds the verdict on a network to the status.
func (t *told) add(id model.ID, n *network) {
	if n.Verdict != nil {
		t.status.Networks[id] = n.Verdict.status()
	}
	if len(n.Held) > 0 {
		t.status.Held = append(t.status.Held, report.Held{Bridge: n.Held[0], NetworkID: id, Ports: n.Held[1:]})
	}
	if n.Guarded {
		devices := []report.Device{}
		for _, name := range n.Unguarded {
			devices = append(devices, report.Device{Name: name})
		}
		t.status.Devices[id] = devices
	}
}

// parse reads JSON as far as it can be understood.
func parse(text string, into any) {
	if text != "" {
		_ = json.Unmarshal([]byte(text), into) // what is strange is as if it were not there
	}
}

// at returns the status at a moment.
func (t *told) at(now time.Time, m report.Member) report.Status {
	s := t.status
	s.Member = &m
	if t.guard != nil {
		// The host has looked whether that is fresh.
		s.Guard = &report.Guarding{Failed: t.guard.Failed, Protection: report.Protection{
			Unavailable: t.guard.Unavailable, Limited: t.guard.Limited, Verified: now,
		}}
		for _, name := range t.guard.Left {
			s.Guard.Left = append(s.Guard.Left, report.Device{Name: name})
		}
	}
	if m.Liveness != report.Up {
		s.Connected = false
		s.Missing = append([]report.Missing{unheard(m)}, s.Missing...)
	}
	return s
}

// unheard says that nothing is known of a host at present.
func unheard(m report.Member) report.Missing {
	missing := report.Missing{
		Ground: report.OnReport, Since: m.Heard, Busy: m.Liveness == report.Connecting,
		Cause: "the isonetd of the host does not report", Remedy: "check that the machine and isonetd run and reach the server of fleet-status",
	}
	if m.Liveness == report.Connecting {
		missing.Cause, missing.Remedy = "it is not known yet whether the isonetd of the host reports", "wait some seconds; if that lasts, check the server of fleet-status"
	}
	return missing
}

// host is what a host reported of its Open vSwitch.
type host struct {
	bridges map[string]report.Bridge // those of networks, by name
	names   map[model.ID]string      // of these
	foreign map[string]string        // UUIDs of other bridges, by name
	others  map[string]string        // the column names
	// lingering is how many devices are left of bridges that are gone.
	lingering int
}

// Bridge returns the bridge of a network under the name of its bridges.
func (h *host) Bridge(n model.Network) (report.Bridge, bool) {
	b, there := h.bridges[n.VdsmName]
	if !there || b.Network != n.ID {
		return report.Bridge{}, false
	}
	return b, true
}

// BridgeOf returns the bridge of a network.
func (h *host) BridgeOf(network model.ID) (report.Bridge, bool) {
	b, there := h.bridges[h.names[network]]
	return b, there
}

// BridgeNamed returns the bridge of a name. Of one that is not a network's it has the
// UUID alone.
func (h *host) BridgeNamed(name string) (report.Bridge, bool) {
	if b, there := h.bridges[name]; there {
		return b, true
	}
	if uuid, there := h.foreign[name]; there {
		return report.Bridge{UUID: uuid, Name: name}, true
	}
	return report.Bridge{}, false
}

// Names returns what has which name there.
func (h *host) Names() map[string]report.Taken {
	names := map[string]report.Taken{}
	for _, b := range h.bridges {
		for _, p := range b.Ports {
			for _, i := range p.Interfaces {
				names[i.Name] = report.Taken{Device: true}
			}
		}
	}
	for name, text := range h.others {
		var t taken
		parse(text, &t)
		names[name] = report.Taken{Device: t.Port == "", Port: t.Port, On: t.On}
	}
	for name, uuid := range h.foreign {
		names[name] = report.Taken{Bridge: uuid}
	}
	for name, b := range h.bridges {
		names[name] = report.Taken{Bridge: b.UUID, Network: b.Network}
	}
	return names
}

// Conflicts returns the networks that a host must have and cannot have there. Whether a
// bridge may be adopted as it is only the host itself knows.
func (h *host) Conflicts(desired *model.Desired, id model.ID) []report.Conflict {
	permitted := map[model.ID]plan.Permission{}
	for _, a := range desired.Attachments {
		if a.Host == id && a.Adopts != "" {
			permitted[a.Network] = plan.Permission{Bridge: a.Adopts}
		}
	}
	names := h.Names()
	wanted := wantedOn(desired, id)
	var conflicts []report.Conflict
	for _, n := range desired.HostNetworks(id) {
		b, ours := h.bridges[n.VdsmName]
		if ours && (b.Network == n.ID || h.goes(b, desired.Hosts[id], wanted)) {
			continue
		}
		permission, is := permitted[n.ID]
		if reason := plan.Taken(names[n.VdsmName]).Refuses(n, permission, is); reason != "" {
			conflicts = append(conflicts, report.Conflict{Network: n, Reason: reason})
		}
	}
	return conflicts
}

func wantedOn(desired *model.Desired, id model.ID) map[model.ID]string {
	wanted := map[model.ID]string{}
	for _, n := range desired.HostNetworks(id) {
		wanted[n.ID] = n.VdsmName
	}
	return wanted
}

// goes says that the bridge of a network is removed, because the host must not have it
// and nothing keeps it.
func (h *host) goes(b report.Bridge, host model.Host, wanted map[model.ID]string) bool {
	used := len(live(b)) > 0 || b.Unsettled && len(b.Ports) > 0
	kept := used && !slices.Contains(host.Evicted, b.Network)
	return wanted[b.Network] != b.Name && !slices.Contains(host.Released, b.Network) && !kept
}

// live names the ports of a bridge that are in use.
func live(b report.Bridge) []string {
	var names []string
	for _, p := range b.Ports {
		if p.Live {
			names = append(names, p.Name)
		}
	}
	return names
}

// Leaving returns how many bridges are left that a host must not have.
func (h *host) Leaving(desired *model.Desired, id model.ID) int {
	left := h.lingering
	wanted := wantedOn(desired, id)
	for network := range h.names {
		if _, is := wanted[network]; !is {
			left++
		}
	}
	return left
}

// Foresee returns which bridges would come and go. What would be changed on others only
// the host itself knows.
func (h *host) Foresee(desired *model.Desired, id model.ID) report.Plan {
	var p report.Plan
	conflicts := map[model.ID]bool{}
	for _, c := range h.Conflicts(desired, id) {
		conflicts[c.Network.ID] = true
	}
	for _, n := range desired.HostNetworks(id) {
		if _, there := h.BridgeNamed(n.VdsmName); !there && !conflicts[n.ID] {
			p.Operations = append(p.Operations, report.Operation{Do: report.CreateBridge, Bridge: n.VdsmName, Network: n.ID, MTU: n.EffectiveMTU()})
		}
	}
	wanted := wantedOn(desired, id)
	for _, name := range slices.Sorted(maps.Keys(h.bridges)) {
		b, host := h.bridges[name], desired.Hosts[id]
		switch {
		case wanted[b.Network] == b.Name:
		case h.goes(b, host, wanted):
			p.Operations = append(p.Operations, report.Operation{Do: report.RemoveBridge, Bridge: name, Network: b.Network})
		case slices.Contains(host.Released, b.Network):
			p.Operations = append(p.Operations, report.Operation{Do: report.ReleaseBridge, Bridge: name, Network: b.Network})
		default:
			p.Held = append(p.Held, report.Held{Bridge: name, NetworkID: b.Network, Ports: live(b)})
		}
	}
	return p
}
