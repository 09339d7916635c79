package native

import (
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

// Moment is one of the host that isonetd runs on.
type Moment struct {
	Desired *model.Desired
	Status  report.Status
	Traffic map[model.ID]model.Traffic
	// Ports have their traffic by the UUID of their Interface row.
	Ports map[string]model.PortTraffic
}

// Status says how the host and its networks are.
func Status(m Moment) wire.Status {
	s := m.Status
	h := wire.Status{
		WireVersion: wire.Version,
		Host:        wire.Host{ID: string(s.HostID), Name: m.Desired.Hosts[s.HostID].Name},
		Connected:   s.Connected, Since: s.Since, Standby: s.Standby, Revision: s.Revision,
		Repairs: s.Repairs, DatapathType: s.Switch.DatapathType, LastError: s.LastError, OVSVersion: s.Switch.Version,
		Notices: []wire.Notice{}, Missing: []wire.Missing{}, Networks: []wire.NetworkStatus{}, Events: eventsOf(s.Events),
	}
	for _, n := range s.Notices {
		h.Notices = append(h.Notices, wire.Notice(n))
	}
	for _, g := range s.Missing {
		h.Missing = append(h.Missing, wire.Missing{Ground: string(g.Ground), Since: g.Since, Cause: g.Cause, Remedy: g.Remedy, Busy: g.Busy})
	}
	h.LeftGuarded = []string{}
	if s.Guard != nil {
		for _, d := range s.Guard.Left {
			h.LeftGuarded = append(h.LeftGuarded, d.Name)
		}
	}
	h.Held = heldOf(s.Held)
	for _, at := range m.Desired.On(s.HostID) {
		n, made := m.network(at)
		h.Networks = append(h.Networks, n)
		h.Progress.Wanted++
		if made {
			h.Progress.Made++
		}
		if n.Active() {
			h.Progress.Active++
		}
	}
	if s.Host != nil {
		h.Progress.Leaving = s.Host.Leaving(m.Desired, s.HostID)
	}
	return h
}

// network returns how a network is, and whether its bridge is made.
func (m Moment) network(at model.Attachment) (s wire.NetworkStatus, made bool) {
	n := m.Desired.Networks[at.Network]
	s = wire.NetworkStatus{
		ID: string(n.ID), Name: n.Name, Bridge: n.VdsmName, MTU: wire.MTU{Wanted: n.EffectiveMTU()},
		Cause: wire.Cause{Explicit: at.Explicit, Label: at.Label}, Ports: []wire.Port{},
	}
	verdict := m.Status.Network(n.ID)
	s.State, s.Reason, s.Since = string(verdict.State), verdict.Reason, verdict.Since
	s.Isolation = m.isolation(n)
	if m.Status.Host != nil {
		bridge, _ := m.Status.Host.Bridge(n)
		made, s.MTU.Actual = bridge.Made, bridge.MTU
		s.Ports = portsOf(n.ID, bridge, m.Ports, m.Status.Networks[n.ID].Isolation.Denied.Ports)
	}
	if t, ok := m.Traffic[n.ID]; ok {
		s.Traffic = trafficOf(t)
	}
	return s, made
}

func heldOf(list []report.Held) []wire.Held {
	held := make([]wire.Held, len(list))
	for i, h := range list {
		held[i] = wire.Held{Bridge: h.Bridge, NetworkID: string(h.NetworkID), Ports: h.Ports}
	}
	return held
}

func portsOf(network model.ID, b report.Bridge, traffic map[string]model.PortTraffic, denied map[string]report.Drops) []wire.Port {
	ports := []wire.Port{}
	for _, p := range b.Ports {
		for _, i := range p.Interfaces {
			s := wire.Port{
				Name: i.Name, LinkUp: i.LinkUp, MTU: i.MTU,
				VMID: i.VMID, IfaceID: i.IfaceID, Error: i.Error,
				Stale: p.Stale, Elsewhere: i.Elsewhere,
			}
			if d, counted := denied[i.UUID]; counted {
				s.Denied = new(wire.Denied(d))
			}
			// A port that just moved may still count for the other network.
			if t, ok := traffic[i.UUID]; ok && t.Network == network && (!s.Elsewhere || !b.Userspace()) {
				s.Traffic = trafficOf(t.Traffic)
			}
			ports = append(ports, s)
		}
	}
	return ports
}

func trafficOf(t model.Traffic) *wire.Traffic {
	s := &wire.Traffic{Since: t.Created, Updated: t.Updated, Total: wire.Counters(t.Total)}
	if t.Rate != nil {
		s.Rate = &wire.Rate{
			ReceivedBytes: t.Rate.ReceivedBytes, TransmittedBytes: t.Rate.TransmittedBytes, IntervalSeconds: t.Rate.Interval.Seconds(), Until: t.Rate.Until,
		}
	}
	return s
}

func (m Moment) isolation(n model.Network) *wire.Isolation {
	verdict := m.Status.Network(n.ID)
	i := verdict.Isolation
	s := &wire.Isolation{
		StrictState: verdict.StrictState(n), Verdict: string(i.Verdict), Reason: i.Reason,
		Policy: string(n.EffectiveIsolation()), Strict: n.Strict, Isolated: i.Isolated(), Contested: i.Contested, Since: i.Since,
		Findings: []wire.Finding{}, Pending: []string{},
	}
	if g, known := m.Status.HostGuard(n.ID); known {
		s.HostGuard = &wire.HostGuard{State: string(g.State), Reason: g.Reason}
	}
	for _, f := range i.Findings {
		s.Findings = append(s.Findings, wire.Finding{
			Reason: string(f.Reason), Port: f.Port, Setting: f.Column, Detail: f.Detail, Remedy: f.Remedy(),
			Action: string(f.Action), Quarantined: f.Quarantined, Notice: f.Notice,
		})
	}
	for _, p := range i.Pending {
		s.Pending = append(s.Pending, p.Port)
	}
	return s
}

func eventsOf(events []report.Event) []wire.Event {
	list := make([]wire.Event, len(events))
	for i, e := range events {
		list[i] = wire.Event{
			Time: e.Time, NetworkID: string(e.NetworkID), Network: e.Network, Reason: string(e.Reason),
			Port: e.Port, Setting: e.Column, Detail: e.Detail, Deed: string(e.Deed),
		}
	}
	return list
}
