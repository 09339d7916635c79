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
	"github.com/isonet/isonet/wire"
)

// getPlan answers GET isonet/plan: what would be changed for the desired state
// as it is, which is nothing unless somebody has just changed something.
func (a *API) getPlan(c *call) error { return a.sendPlan(c, a.store.Snapshot()) }

// makePlan answers POST isonet/plan. It does the writes in a draft, and refuses
// what is refused of the first of them that is.
func (a *API) makePlan(c *call) error {
	var request wire.PlanRequest
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
func (dry *API) rehearse(c *call, w wire.PlannedWrite) error {
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

func nativePlan(desired *model.Desired, status reconcile.Status, p plan.Plan) wire.Plan {
	h := wire.Plan{Host: wire.Host{ID: string(status.HostID), Name: desired.Hosts[status.HostID].Name}, Operations: []wire.Operation{}, Held: heldBridges(p.Held)}
	add := func(o wire.Operation) { h.Operations = append(h.Operations, o) }
	bridges := map[string]plan.Bridge{} // by the UUIDs of their rows
	for _, b := range status.Actual.Bridges {
		bridges[b.UUID] = b
	}
	for _, s := range p.Create {
		add(wire.Operation{Do: wire.CreateBridge, Bridge: s.Name, NetworkID: string(s.NetworkID), MTU: s.MTU})
	}
	for _, plug := range p.Plug {
		add(wire.Operation{Do: wire.PlugPort, Bridge: plug.Name, NetworkID: string(plug.Network), Port: plug.Port.Name})
	}
	for _, r := range p.Repair {
		add(wire.Operation{Do: wire.RepairBridge, Bridge: r.Have.Name, NetworkID: string(r.Have.Network), Columns: strings.Split(r.Columns(), ",")})
	}
	for _, change := range p.Ports {
		verbs := map[plan.PortVerb]wire.Verb{plan.RemovePort: wire.RemovePort, plan.QuarantinePort: wire.QuarantinePort, plan.ReleasePort: wire.ReleasePort}
		add(wire.Operation{
			Do: verbs[change.Do], Bridge: bridges[change.Bridge].Name, NetworkID: string(change.Network), Port: change.Port.Name, Reason: change.Reason,
		})
	}
	for _, m := range p.MTU {
		add(wire.Operation{Do: wire.SetMTU, Bridge: m.Bridge, NetworkID: string(status.Actual.Bridges[m.Bridge].Network), Port: m.Interface.Name, MTU: m.Bytes})
	}
	for _, b := range p.Delete {
		add(wire.Operation{Do: wire.RemoveBridge, Bridge: b.Name, NetworkID: string(b.Network)})
	}
	for _, r := range p.Adopt {
		add(wire.Operation{Do: wire.AdoptBridge, Bridge: r.Have.Name, NetworkID: string(r.Spec.NetworkID), Columns: strings.Split(r.Columns(), ",")})
	}
	for _, r := range p.Release {
		add(wire.Operation{Do: wire.ReleaseBridge, Bridge: r.Bridge.Name, NetworkID: string(r.Bridge.Network)})
		for _, change := range r.Ports {
			add(wire.Operation{Do: wire.ReleasePort, Bridge: r.Bridge.Name, NetworkID: string(change.Network), Port: change.Port.Name, Reason: change.Reason})
		}
	}
	return h
}
