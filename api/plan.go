package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
)

// PlanRequest is the body of POST isonet/plan: writes to be planned, one after
// the other.
type PlanRequest struct {
	Requests []PlannedWrite `json:"requests"`
}

// PlannedWrite is one request of a PlanRequest.
type PlannedWrite struct {
	Method string `json:"method"`
	// Path is below the base path and may have a query, such as
	// "/networks/ID?force=true".
	Path string `json:"path"`
	// Body is the request's body in its JSON form.
	Body json.RawMessage `json:"body,omitempty"`
}

// HostPlan is the reply of isonet/plan: what isonetd would change in Open
// vSwitch, in one transaction.
type HostPlan struct {
	Host       HostName    `json:"host"`
	Operations []Operation `json:"operations"`
	// Held are bridges that should be gone and would be kept by ports in use.
	Held []HeldStatus `json:"held"`
}

// Verb is what an Operation does.
type Verb string

// The verbs of operations.
const (
	CreateBridge   Verb = "create-bridge"
	PlugPort       Verb = "plug-port"
	RepairBridge   Verb = "repair-bridge"
	RemoveBridge   Verb = "remove-bridge"
	RemovePort     Verb = "remove-port"
	QuarantinePort Verb = "quarantine-port"
	ReleasePort    Verb = "release-port"
	SetMTU         Verb = "set-mtu"
	AdoptBridge    Verb = "adopt-bridge"
	ReleaseBridge  Verb = "release-bridge"
)

// Operation is one change of Open vSwitch.
type Operation struct {
	Do     Verb   `json:"do"`
	Bridge string `json:"bridge"`
	// NetworkID is the bridge's network, which may exist no more.
	NetworkID model.ID `json:"network_id"`
	// Port is "" for an operation on the bridge itself.
	Port string `json:"port,omitempty"`
	// Columns are what a repair sets.
	Columns []string `json:"columns,omitempty"`
	// MTU in bytes.
	MTU int `json:"mtu,omitempty"`
	// Reason is why isolation asks for it.
	Reason string `json:"reason,omitempty"`
}

// getPlan answers GET isonet/plan: what would be changed for the desired state
// as it is, which is nothing unless somebody has just changed something.
func (a *API) getPlan(c *call) error { return a.sendPlan(c, a.store.Snapshot()) }

// makePlan answers POST isonet/plan. It does the writes in a draft, and refuses
// what is refused of the first of them that is.
func (a *API) makePlan(c *call) error {
	var request PlanRequest
	if err := c.readJSON(&request); err != nil {
		return err
	}
	dry, draft := a.draft()
	for _, w := range request.Requests {
		if err := dry.rehearse(c, w); err != nil {
			return err
		}
	}
	return a.sendPlan(c, draft.Leaving(a.loop.Status().HostID))
}

// readJSON decodes the body of an isonet resource, which has native values.
func (c *call) readJSON(into any) error {
	data, err := c.body(maxBody)
	if err != nil {
		return err
	}
	if f, err := requestFormat(c.r.Header); err != nil || f != formatJSON {
		return refuse(errMediaType, "The body of %s is JSON: send it with the content type application/json.", c.path)
	}
	if err := guardJSON(data); err != nil {
		return decodeError(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return decodeError(err)
	}
	return nil
}

// rehearse does one write on an API over a draft.
func (dry *API) rehearse(c *call, w PlannedWrite) error {
	path := "/" + strings.TrimPrefix(w.Path, "/")
	r, err := http.NewRequestWithContext(context.WithoutCancel(c.r.Context()), w.Method, c.base+path, bytes.NewReader(w.Body))
	if err != nil {
		return refuse(errValue, "The request %s %s cannot be read: its path must be one below the API's.", w.Method, w.Path)
	}
	r.Header.Set("Content-Type", formatJSON.contentType())
	r.Header.Set("Accept", formatJSON.contentType())
	r.Header.Set("Correlation-Id", c.correlation)
	reply := &discard{header: http.Header{}}
	write := newCall(reply, r)
	write.user, write.users = c.user, c.users
	defer func() {
		for _, text := range reply.header.Values(warningHeader) {
			c.w.Header().Add(warningHeader, text)
		}
	}()
	own := strings.HasPrefix(write.path, "/isonet/") && !slices.Contains([]string{adoptPath, releasePath, putNetworksPath}, write.path)
	if own || bodyless(w.Method) && w.Method != http.MethodDelete {
		return refuse(errValue, "The request %s %s cannot be planned: only writes can.", w.Method, w.Path)
	}
	return write.dispatch(dry.mux)
}

func (a *API) sendPlan(c *call, desired *model.Desired) error {
	status := a.loop.Status()
	if status.HostID == "" || !status.Connected || status.Actual == nil {
		return change.Unreachable(status)
	}
	p := reconcile.Foresee(desired, status)
	return c.sendJSON(http.StatusOK, nativePlan(desired, status, p))
}

func nativePlan(desired *model.Desired, status reconcile.Status, p plan.Plan) HostPlan {
	h := HostPlan{Host: HostName{status.HostID, desired.Hosts[status.HostID].Name}, Operations: []Operation{}, Held: []HeldStatus{}}
	add := func(o Operation) { h.Operations = append(h.Operations, o) }
	bridges := map[string]plan.Bridge{} // by the UUIDs of their rows
	for _, b := range status.Actual.Bridges {
		bridges[b.UUID] = b
	}
	for _, s := range p.Create {
		add(Operation{Do: CreateBridge, Bridge: s.Name, NetworkID: s.NetworkID, MTU: s.MTU})
	}
	for _, plug := range p.Plug {
		add(Operation{Do: PlugPort, Bridge: plug.Name, NetworkID: plug.Network, Port: plug.Port.Name})
	}
	for _, r := range p.Repair {
		add(Operation{Do: RepairBridge, Bridge: r.Have.Name, NetworkID: r.Have.Network, Columns: strings.Split(r.Columns(), ",")})
	}
	for _, change := range p.Ports {
		verbs := map[plan.PortVerb]Verb{plan.RemovePort: RemovePort, plan.QuarantinePort: QuarantinePort, plan.ReleasePort: ReleasePort}
		add(Operation{
			Do: verbs[change.Do], Bridge: bridges[change.Bridge].Name, NetworkID: change.Network, Port: change.Port.Name, Reason: change.Reason,
		})
	}
	for _, m := range p.MTU {
		add(Operation{Do: SetMTU, Bridge: m.Bridge, NetworkID: status.Actual.Bridges[m.Bridge].Network, Port: m.Interface.Name, MTU: m.Bytes})
	}
	for _, b := range p.Delete {
		add(Operation{Do: RemoveBridge, Bridge: b.Name, NetworkID: b.Network})
	}
	for _, r := range p.Adopt {
		add(Operation{Do: AdoptBridge, Bridge: r.Have.Name, NetworkID: r.Spec.NetworkID, Columns: strings.Split(r.Columns(), ",")})
	}
	for _, r := range p.Release {
		add(Operation{Do: ReleaseBridge, Bridge: r.Bridge.Name, NetworkID: r.Bridge.Network})
		for _, change := range r.Ports {
			add(Operation{Do: ReleasePort, Bridge: r.Bridge.Name, NetworkID: change.Network, Port: change.Port.Name, Reason: change.Reason})
		}
	}
	for _, held := range p.Held {
		h.Held = append(h.Held, HeldStatus(held))
	}
	return h
}
