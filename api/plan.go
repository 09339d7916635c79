package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/isonet/isonet/api/native"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
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
	if status.HostID == "" || !status.Connected || status.Host == nil {
		return change.Unreachable(status)
	}
	return c.sendJSON(http.StatusOK, native.Plan(desired, status))
}
