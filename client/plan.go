package client

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/isonet/isonet/wire"
)

// PlanChange is Apply as a write to be planned.
func PlanChange(change Change) wire.PlannedWrite { return planned(changePath, change.body()) }

func planned(path string, body any) wire.PlannedWrite {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // bodies are texts and lists of them
	}
	return wire.PlannedWrite{Method: http.MethodPost, Path: path, Body: data}
}

// Plan asks what the daemon would change in Open vSwitch after some writes, which
// are checked one after the other and not done. Without any it is what is left to
// do, which is nothing as a rule.
func (c *Client) Plan(ctx context.Context, writes ...wire.PlannedWrite) (wire.Plan, error) {
	var p wire.Plan
	if len(writes) == 0 {
		return p, c.call(ctx, http.MethodGet, "/isonet/plan", nil, nil, &p)
	}
	return p, c.call(ctx, http.MethodPost, "/isonet/plan", nil, wire.PlanRequest{Requests: writes}, &p)
}
