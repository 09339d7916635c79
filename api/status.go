package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/wire"
)

// native renders what the isonet resources tell.
func (a *API) native(c *call) wire.Status { return a.view(c).native(a.traffic.Ports()) }

func (v *view) native(ports map[string]model.PortTraffic) wire.Status {
	s := v.status
	h := wire.Status{
		Host:      wire.Host{ID: string(s.HostID), Name: v.desired.Hosts[s.HostID].Name},
		Connected: s.Connected, Since: s.Since, Standby: s.Standby, Revision: s.Revision,
		Repairs: s.Repairs, LastError: s.LastError, OVSVersion: s.OVSVersion(),
		Notices: []wire.Notice{}, Missing: []wire.Missing{}, Networks: []wire.NetworkStatus{}, Events: nativeEvents(s.Events),
	}
	if s.Actual != nil {
		h.DatapathType = s.Actual.DatapathType
	}
	for _, n := range s.Notices() {
		h.Notices = append(h.Notices, wire.Notice(n))
	}
	for _, m := range s.Missing {
		h.Missing = append(h.Missing, wire.Missing{Ground: string(m.Ground), Since: m.Since, Cause: m.Cause, Remedy: m.Remedy, Busy: m.Busy})
	}
	h.LeftGuarded = []string{}
	if s.Guard != nil {
		for _, d := range s.Guard.Left {
			h.LeftGuarded = append(h.LeftGuarded, d.Name)
		}
	}
	h.Held = heldBridges(s.Held)
	for _, at := range v.desired.On(s.HostID) {
		h.Networks = append(h.Networks, v.nativeNetwork(at, ports))
	}
	return h
}

func (v *view) nativeNetwork(at model.Attachment, ports map[string]model.PortTraffic) wire.NetworkStatus {
	n := v.desired.Networks[at.Network]
	s := wire.NetworkStatus{
		ID: string(n.ID), Name: n.Name, Bridge: n.VdsmName, MTU: wire.MTU{Wanted: n.EffectiveMTU()},
		Cause: wire.Cause{Explicit: at.Explicit, Label: at.Label}, Ports: []wire.Port{},
	}
	verdict := v.status.Network(n.ID)
	s.State, s.Reason, s.Since = string(verdict.State), verdict.Reason, verdict.Since
	s.Isolation = v.nativeIsolation(n)
	if v.status.Actual != nil {
		bridge, _ := v.status.Actual.Bridge(n)
		s.MTU.Actual = actualMTU(bridge)
		s.Ports = nativePorts(n.ID, bridge, ports, v.status.Networks[n.ID].Isolation.Denied.Ports, v.status.Actual.Links)
	}
	if t, ok := v.traffic[n.ID]; ok {
		s.Traffic = nativeTraffic(t)
	}
	return s
}

func heldBridges(list []plan.Held) []wire.Held {
	held := make([]wire.Held, len(list))
	for i, h := range list {
		held[i] = wire.Held{Bridge: h.Bridge, NetworkID: string(h.NetworkID), Ports: h.Ports}
	}
	return held
}

func nativePorts(network model.ID, b plan.Bridge, traffic map[string]model.PortTraffic, denied map[string]plan.MemberCounters, links *plan.Links) []wire.Port {
	ports := []wire.Port{}
	for _, p := range b.Endpoints() {
		for _, i := range p.Interfaces {
			s := wire.Port{
				Name: i.Name, LinkUp: i.LinkUp, MTU: i.MTU,
				VMID: i.ExternalIDs["vm-id"], IfaceID: i.ExternalIDs["iface-id"], Error: i.Error,
				Stale: p.Stale(links), Elsewhere: i.Elsewhere(links),
			}
			if d, counted := denied[i.UUID]; counted {
				s.Denied = new(wire.Denied(d))
			}
			// A port that just moved may still count for the other network.
			if t, ok := traffic[i.UUID]; ok && t.Network == network && (!s.Elsewhere || b.DatapathType != plan.UserspaceDatapath) {
				s.Traffic = nativeTraffic(t.Traffic)
			}
			ports = append(ports, s)
		}
	}
	return ports
}

func nativeTraffic(t model.Traffic) *wire.Traffic {
	s := &wire.Traffic{Since: t.Created, Updated: t.Updated, Total: wire.Counters(t.Total)}
	if t.Rate != nil {
		s.Rate = &wire.Rate{
			ReceivedBytes: t.Rate.ReceivedBytes, TransmittedBytes: t.Rate.TransmittedBytes, IntervalSeconds: t.Rate.Interval.Seconds(), Until: t.Rate.Until,
		}
	}
	return s
}

// getStatus answers GET isonet/status.
func (a *API) getStatus(c *call) error {
	a.tellStale(c)
	return c.sendJSON(http.StatusOK, a.native(c))
}

// watchStatus answers GET isonet/watch: the status in a line of JSON at once and
// after each change. Changes that come faster than the client reads become one
// line.
func (a *API) watchStatus(c *call) error {
	if c.r.ContentLength != 0 {
		// net/http does not notice that a client has gone before its body is read.
		return refuse(errSyntax, "A watch must not have a body: send a GET without one.")
	}
	stream := http.NewResponseController(c.w)
	// The request has been read; its deadline must not end the stream.
	_ = stream.SetReadDeadline(time.Time{})
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	c.w.Header().Set("Cache-Control", "no-store")
	c.status = http.StatusOK
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return nil
	}
	var last []byte
	for gone := false; !gone; {
		changed := a.loop.Changed()
		line, err := json.Marshal(a.native(c))
		if err != nil {
			return err
		}
		if !bytes.Equal(line, last) {
			c.allowReply(0)
			gone = writeLine(c.w, stream, line) != nil
		}
		last = line
		gone = gone || !waitChange(c.r.Context(), changed)
	}
	return nil
}

func writeLine(w io.Writer, stream *http.ResponseController, line []byte) error {
	if _, err := w.Write(append(line, '\n')); err != nil {
		return err
	}
	return stream.Flush()
}

// waitChange reports whether the change came before the end of ctx.
func waitChange(ctx context.Context, changed <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-changed:
		return true
	}
}
