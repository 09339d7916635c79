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
	"github.com/isonet/isonet/reconcile"
)

// HostStatus is the body of GET isonet/status and each line of isonet/watch: all
// that isonet knows of the host that it runs on. It is JSON with native values;
// members may be added.
type HostStatus struct {
	Host HostName `json:"host"`
	// Connected says that the session to Open vSwitch is live and has a snapshot
	// that can be used. While it is not, all that Open vSwitch reported is of the
	// past.
	Connected bool `json:"connected"`
	// Since is when Connected last changed.
	Since time.Time `json:"since,omitzero"`
	// Missing is what verdicts rest on and is gone or was not seen for too long.
	// Those that rest on it are unknown. The first explains the others.
	Missing []MissingGround `json:"missing"`
	// Standby says that another isonetd manages the host's Open vSwitch. This
	// one refuses to change anything and takes over when the other one ends.
	Standby bool `json:"standby"`
	// Revision is the desired revision that the networks' states are for.
	Revision int64 `json:"revision"`
	// OVSVersion is what ovs-vswitchd calls itself, else what the database says of
	// Open vSwitch; "" is unknown.
	OVSVersion   string `json:"ovs_version"`
	DatapathType string `json:"datapath_type"`
	// Notices are about the host, and break nothing.
	Notices []HostNotice `json:"notices"`
	// Repairs counts the changes that put back what somebody else had changed.
	Repairs   uint64 `json:"repairs"`
	LastError string `json:"last_error"`
	// Held are bridges that should be gone and are kept by ports in use.
	Held []HeldStatus `json:"held"`
	// LeftGuarded are devices that were on isonet's bridges and are on none any
	// more: the host guard stays on them until they are gone, are another program's,
	// or isonet/guard/release says so.
	LeftGuarded []string        `json:"left_guarded"`
	Networks    []NetworkStatus `json:"networks"`
	// Events are the newest events about isolation, the newest last.
	Events []IsolationEvent `json:"events"`
}

// MissingGround is something that verdicts rest on and that is not there.
type MissingGround struct {
	// Ground is database, vswitchd, devices, identity, loop, rules or store.
	Ground reconcile.Ground `json:"ground"`
	// Since is when it was seen last.
	Since time.Time `json:"since,omitzero"`
	// Cause says what is wrong, Remedy what to do, both in words.
	Cause  string `json:"cause"`
	Remedy string `json:"remedy"`
	// Busy says that it is at work, so that there is nothing to do but wait.
	Busy bool `json:"busy"`
}

// HostNotice is something that breaks nothing and is worth knowing.
type HostNotice struct {
	// Text says what there is, Remedy what to do, both in words.
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// HostName says which host it is. Its ID is empty before Open vSwitch was
// reached for the first time.
type HostName struct {
	ID   model.ID `json:"id"`
	Name string   `json:"name"`
}

// HeldStatus is a bridge of a network that the host should not have any more.
type HeldStatus struct {
	Bridge    string   `json:"bridge"`
	NetworkID model.ID `json:"network_id"`
	Ports     []string `json:"ports"`
}

// NetworkStatus is one network that the host must have.
type NetworkStatus struct {
	ID     model.ID `json:"id"`
	Name   string   `json:"name"`
	Bridge string   `json:"bridge"`
	MTU    MTU      `json:"mtu"`
	// State is "pending", "active", "error" or "unknown"; Reason says why it is
	// not active and Since when it became so.
	State  reconcile.State `json:"state"`
	Reason string          `json:"reason"`
	Since  time.Time       `json:"since,omitzero"`
	Cause  Cause           `json:"cause"`
	Ports  []PortStatus    `json:"ports"`
	// Isolation says whether the network is isolated, and what is wrong if not.
	Isolation IsolationStatus `json:"isolation"`
	// Traffic is absent as long as nothing is known of it.
	Traffic *TrafficStatus `json:"traffic,omitempty"`
}

// Cause says why a network is on the host: because somebody attached it by
// itself, because the host has its label ("" if not), or both.
type Cause struct {
	Explicit bool   `json:"explicit"`
	Label    string `json:"label"`
}

// MTU compares the MTU in bytes that a network asks for with the one that its
// bridge has; 0 is unknown.
type MTU struct {
	Wanted int `json:"wanted"`
	Actual int `json:"actual"`
}

// PortStatus is one port that somebody plugged into a network.
type PortStatus struct {
	Name   string `json:"name"`
	LinkUp bool   `json:"link_up"`
	// MTU in bytes; 0 is unknown.
	MTU int `json:"mtu"`
	// VMID and IfaceID are the external_ids vm-id and iface-id that libvirt
	// sets on a port.
	VMID    string `json:"vm_id"`
	IfaceID string `json:"iface_id"`
	// Error is what Open vSwitch says is wrong with the port.
	Error string `json:"error"`
	// Stale says that the port's device vanished, so that isonet/prune would
	// remove the port.
	Stale bool `json:"stale"`
	// Elsewhere says that the port's device was moved to another network
	// namespace, such as a container's: LinkUp and MTU are not known, and the
	// userspace datapath does not count its traffic.
	Elsewhere bool `json:"elsewhere"`
	// Denied is absent where nothing is counted.
	Denied *DeniedStatus `json:"denied,omitempty"`
	// Traffic counts from when the port was plugged into the network or
	// isonetd began. It is absent as long as nothing is known of it.
	Traffic *TrafficStatus `json:"traffic,omitempty"`
}

// DeniedStatus counts frames that a port of a strict network sent and that were
// dropped, since isonetd sees the port.
type DeniedStatus struct {
	// WrongMAC are those from other addresses than the MAC lock allows.
	WrongMAC uint64 `json:"wrong_mac"`
	// OverLimit are broadcasts and multicasts over the broadcast limit.
	OverLimit uint64 `json:"over_broadcast_limit"`
}

// TrafficStatus is the traffic of a network as its endpoints see it, or of one
// of them.
type TrafficStatus struct {
	// Since is when Total began to count, Updated when OVS last published it.
	Since   time.Time   `json:"since,omitzero"`
	Updated time.Time   `json:"updated,omitzero"`
	Total   TotalStatus `json:"total"`
	Rate    *RateStatus `json:"rate,omitempty"`
}

// TotalStatus counts traffic since TrafficStatus.Since.
type TotalStatus struct {
	ReceivedBytes      uint64 `json:"received_bytes"`
	ReceivedPackets    uint64 `json:"received_packets"`
	ReceivedDrops      uint64 `json:"received_drops"`
	ReceivedErrors     uint64 `json:"received_errors"`
	TransmittedBytes   uint64 `json:"transmitted_bytes"`
	TransmittedPackets uint64 `json:"transmitted_packets"`
	TransmittedDrops   uint64 `json:"transmitted_drops"`
	TransmittedErrors  uint64 `json:"transmitted_errors"`
}

// RateStatus is traffic in bytes per second, the average of an interval.
type RateStatus struct {
	ReceivedBytes    float64 `json:"received_bytes_per_second"`
	TransmittedBytes float64 `json:"transmitted_bytes_per_second"`
	// IntervalSeconds is the length of the interval, Until its end.
	IntervalSeconds float64   `json:"interval_seconds"`
	Until           time.Time `json:"until,omitzero"`
}

// native renders what the isonet resources tell.
func (a *API) native(c *call) HostStatus { return a.view(c).native(a.traffic.Ports()) }

func (v *view) native(ports map[string]model.PortTraffic) HostStatus {
	s := v.status
	h := HostStatus{
		Host:      HostName{s.HostID, v.desired.Hosts[s.HostID].Name},
		Connected: s.Connected, Since: s.Since, Standby: s.Standby, Revision: s.Revision,
		Repairs: s.Repairs, LastError: s.LastError, OVSVersion: s.OVSVersion(),
		Notices: []HostNotice{}, Missing: []MissingGround{}, Held: []HeldStatus{}, Networks: []NetworkStatus{}, Events: nativeEvents(s.Events),
	}
	if s.Actual != nil {
		h.DatapathType = s.Actual.DatapathType
	}
	for _, n := range s.Notices() {
		h.Notices = append(h.Notices, HostNotice(n))
	}
	for _, m := range s.Missing {
		h.Missing = append(h.Missing, MissingGround(m))
	}
	h.LeftGuarded = []string{}
	if s.Guard != nil {
		for _, d := range s.Guard.Left {
			h.LeftGuarded = append(h.LeftGuarded, d.Name)
		}
	}
	for _, held := range s.Held {
		h.Held = append(h.Held, HeldStatus(held))
	}
	for _, at := range v.desired.On(s.HostID) {
		h.Networks = append(h.Networks, v.nativeNetwork(at, ports))
	}
	return h
}

func (v *view) nativeNetwork(at model.Attachment, ports map[string]model.PortTraffic) NetworkStatus {
	n := v.desired.Networks[at.Network]
	s := NetworkStatus{
		ID: n.ID, Name: n.Name, Bridge: n.VdsmName, MTU: MTU{Wanted: n.EffectiveMTU()},
		Cause: Cause{at.Explicit, at.Label}, Ports: []PortStatus{},
	}
	verdict := v.status.Network(n.ID)
	s.State, s.Reason, s.Since = verdict.State, verdict.Reason, verdict.Since
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

func nativePorts(network model.ID, b plan.Bridge, traffic map[string]model.PortTraffic, denied map[string]plan.MemberCounters, links *plan.Links) []PortStatus {
	ports := []PortStatus{}
	for _, p := range b.Endpoints() {
		for _, i := range p.Interfaces {
			s := PortStatus{
				Name: i.Name, LinkUp: i.LinkUp, MTU: i.MTU,
				VMID: i.ExternalIDs["vm-id"], IfaceID: i.ExternalIDs["iface-id"], Error: i.Error,
				Stale: p.Stale(links), Elsewhere: i.Elsewhere(links),
			}
			if d, counted := denied[i.UUID]; counted {
				s.Denied = new(DeniedStatus(d))
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

func nativeTraffic(t model.Traffic) *TrafficStatus {
	s := &TrafficStatus{Since: t.Created, Updated: t.Updated, Total: TotalStatus(t.Total)}
	if t.Rate != nil {
		s.Rate = &RateStatus{t.Rate.ReceivedBytes, t.Rate.TransmittedBytes, t.Rate.Interval.Seconds(), t.Rate.Until}
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
