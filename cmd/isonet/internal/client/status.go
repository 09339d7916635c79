package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Status is how the host's networks stand.
type Status struct {
	Host Host `json:"host"`
	// Connected says that the daemon has a session to Open vSwitch; without
	// one the rest is the past.
	Connected bool `json:"connected"`
	// Since is when Connected last changed.
	Since time.Time `json:"since,omitzero"`
	// Missing is what the verdicts rest on and is not there; the first explains the
	// others.
	Missing []Missing `json:"missing,omitempty"`
	// Standby says that another daemon manages the host's Open vSwitch.
	Standby      bool   `json:"standby,omitempty"`
	Revision     int64  `json:"revision"`
	OVSVersion   string `json:"ovs_version"`
	DatapathType string `json:"datapath_type"`
	// Notices are about the host, and break nothing.
	Notices []Notice `json:"notices,omitempty"`
	// Repairs counts how often the daemon put back what others had changed.
	Repairs   uint64 `json:"repairs"`
	LastError string `json:"last_error"`
	// Held are bridges that stay only because ports are in use.
	Held []Held `json:"held"`
	// LeftGuarded are devices that left the networks and that the host guard is on.
	LeftGuarded []string        `json:"left_guarded"`
	Networks    []NetworkStatus `json:"networks"`
	// Events are the newest events about isolation, the newest last.
	Events []Event `json:"events,omitempty"`
}

// Missing is something that verdicts rest on and that is gone or was not seen for
// too long.
type Missing struct {
	Ground string    `json:"ground"`
	Since  time.Time `json:"since,omitzero"`
	// Cause says what is wrong, Remedy what to do.
	Cause  string `json:"cause"`
	Remedy string `json:"remedy"`
	// Busy says that there is nothing to do but wait.
	Busy bool `json:"busy,omitempty"`
}

// Means says what is not known without it.
func (m Missing) Means() string {
	switch m.Ground {
	case "store":
		return "isonetd does not know what the networks should be"
	case "rules":
		return "nobody knows whether the host is kept apart from VMs"
	}
	return "nobody knows how the networks are"
}

// Notice is something that breaks nothing and is worth knowing: Text says what
// there is, Remedy what to do.
type Notice struct {
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// Host is the daemon's host; its ID is "" until Open vSwitch was reached once.
type Host struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Held is a bridge that should go and stays because ports are in use.
type Held struct {
	Bridge    string   `json:"bridge"`
	NetworkID string   `json:"network_id"`
	Ports     []string `json:"ports"`
}

// NetworkStatus is how one network of the host stands.
type NetworkStatus struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Bridge string `json:"bridge"`
	MTU    MTU    `json:"mtu"`
	// State is "active", "pending", "error" or "unknown".
	State string `json:"state"`
	// Reason says why the network is not active.
	Reason string    `json:"reason"`
	Since  time.Time `json:"since,omitzero"`
	Cause  Cause     `json:"cause"`
	Ports  []Port    `json:"ports"`
	// Isolation is nil if the daemon does not tell.
	Isolation *Isolation `json:"isolation,omitempty"`
	// Traffic is nil as long as nothing is known of it.
	Traffic *Traffic `json:"traffic,omitempty"`
}

// Active says that Open vSwitch has the network as it must be.
func (n NetworkStatus) Active() bool { return n.State == "active" }

// MTU is what a network's ports should have and have, in bytes.
type MTU struct {
	Wanted int `json:"wanted"`
	Actual int `json:"actual"`
}

// Cause says why a network is attached: by itself, by a label, or both.
type Cause struct {
	Explicit bool   `json:"explicit"`
	Label    string `json:"label"`
}

// Port is what is plugged into a network.
type Port struct {
	Name    string `json:"name"`
	LinkUp  bool   `json:"link_up"`
	MTU     int    `json:"mtu"`
	VMID    string `json:"vm_id"`
	IfaceID string `json:"iface_id"`
	// Error is what Open vSwitch says is wrong with the port.
	Error string `json:"error"`
	// Stale says that the port's device vanished.
	Stale bool `json:"stale,omitempty"`
	// Elsewhere says that the port's device is in another network namespace: its
	// link and its MTU are not known.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Denied is nil where nothing is counted.
	Denied *Denied `json:"denied,omitempty"`
	// Traffic is nil as long as nothing is known of it.
	Traffic *Traffic `json:"traffic,omitempty"`
}

// Denied counts frames that a port of a strict network sent and that were dropped.
type Denied struct {
	// WrongMAC are those from other addresses than the MAC lock allows.
	WrongMAC uint64 `json:"wrong_mac"`
	// OverLimit are broadcasts and multicasts over the broadcast limit.
	OverLimit uint64 `json:"over_broadcast_limit"`
}

// Traffic is what a network's ports, or one of them, received and transmitted.
type Traffic struct {
	// Since is when Total began to count, Updated when Open vSwitch last
	// published it.
	Since   time.Time `json:"since,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
	Total   Counters  `json:"total"`
	// Rate is nil until the daemon has seen two samples.
	Rate *Rate `json:"rate,omitempty"`
}

// Counters count traffic since Traffic.Since.
type Counters struct {
	ReceivedBytes      uint64 `json:"received_bytes"`
	ReceivedPackets    uint64 `json:"received_packets"`
	ReceivedDrops      uint64 `json:"received_drops"`
	ReceivedErrors     uint64 `json:"received_errors"`
	TransmittedBytes   uint64 `json:"transmitted_bytes"`
	TransmittedPackets uint64 `json:"transmitted_packets"`
	TransmittedDrops   uint64 `json:"transmitted_drops"`
	TransmittedErrors  uint64 `json:"transmitted_errors"`
}

// Rate is traffic in bytes per second, the average of an interval.
type Rate struct {
	ReceivedBytes    float64 `json:"received_bytes_per_second"`
	TransmittedBytes float64 `json:"transmitted_bytes_per_second"`
	// IntervalSeconds is the length of the interval, Until its end.
	IntervalSeconds float64   `json:"interval_seconds,omitzero"`
	Until           time.Time `json:"until,omitzero"`
}

// ParseStatus reads one status. The networks are sorted by name.
func ParseStatus(data []byte) (Status, error) {
	var s Status
	if err := json.Unmarshal(data, &s); err != nil {
		return Status{}, fmt.Errorf("%w: %w", ErrNotIsonetd, err)
	}
	slices.SortFunc(s.Networks, func(a, b NetworkStatus) int { return strings.Compare(a.Name, b.Name) })
	return s, nil
}

// Status returns how the host's networks stand.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var data json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/isonet/status", nil, nil, &data); err != nil {
		return Status{}, err
	}
	return ParseStatus(data)
}

// ErrStreamEnded says that the daemon ended the stream of Watch.
var ErrStreamEnded = errors.New("isonetd ended the stream, for instance because it was stopped")

// Watch calls each with a line of JSON, a status, for the present and then for
// every change. It returns when ctx ends, when each returns an error, or with
// ErrStreamEnded.
func (c *Client) Watch(ctx context.Context, each func(line []byte) error) error {
	resp, err := c.send(ctx, http.MethodGet, "/isonet/watch", nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is wanted of it
	if resp.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		return newFault(resp.StatusCode, data)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue // keeps the connection alive
		}
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %w", ErrStreamEnded, err)
	default:
		return ErrStreamEnded
	}
}
