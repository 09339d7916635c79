package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/isonet/isonet/wire"
)

// Write is a write to be planned.
type Write struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   any    `json:"body,omitempty"`
}

// PlanNetworks plans PutNetworks.
func PlanNetworks(networks []PutNetwork) Write {
	return Write{http.MethodPost, putNetworksPath, putAll(networks)}
}

// PlanSetup plans SetupNetworks, with the names of networks in place of their
// ids, because those to be created have none yet.
func PlanSetup(host string, s SetupNetworks) Write {
	body := s.wire()
	for _, list := range []*attachments{body.Modified, body.Removed} {
		if list == nil {
			continue
		}
		for i, a := range list.Attachment {
			list.Attachment[i] = attachment{Network: reference{Name: a.Network.ID}}
		}
	}
	return Write{http.MethodPost, "/hosts/" + url.PathEscape(host) + "/setupnetworks", body}
}

// Plan asks what the daemon would change after some writes, which are checked
// and not done. Without any it is what is left to do.
func (c *Client) Plan(ctx context.Context, writes ...Write) (wire.Plan, error) {
	var p wire.Plan
	if len(writes) == 0 {
		return p, c.call(ctx, http.MethodGet, "/isonet/plan", nil, nil, &p)
	}
	body := struct {
		Requests []Write `json:"requests"`
	}{writes}
	return p, c.call(ctx, http.MethodPost, "/isonet/plan", nil, body, &p)
}
