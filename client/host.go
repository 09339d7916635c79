package client

import (
	"context"
	"net/http"
	"net/url"
)

// Host is one of the hosts that share the desired state.
type Host struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Status is "up", "connecting" while it is not known whether the host still
	// reports, "non_responsive" or "maintenance". Where hosts do not report to
	// servers of fleet-status, every other host than the daemon's is
	// "non_responsive".
	Status string `json:"status"`
	// Labels are sorted.
	Labels []string `json:"labels"`
	// Networks are the names of the networks that the host must have, sorted.
	Networks []string `json:"networks"`
}

// SetupNetworks is one change of a host, done as a whole or not at all. What
// it does not name stays as it is.
type SetupNetworks struct {
	// Attach and Detach are ids of networks.
	Attach, Detach []string
	// AddLabels and RemoveLabels are labels of the host.
	AddLabels, RemoveLabels []string
	// Force lets the bridges of detached networks go although ports are in
	// use.
	Force bool
}

// setupBody is the oVirt action setupnetworks.
type setupBody struct {
	Modified      *attachments `json:"modified_network_attachments,omitempty"`
	Removed       *attachments `json:"removed_network_attachments,omitempty"`
	Labels        *labels      `json:"modified_labels,omitempty"`
	RemovedLabels *labels      `json:"removed_labels,omitempty"`
	Timeout       string       `json:"connectivity_timeout,omitempty"`
	// Force is isonet's own.
	Force bool `json:"force,omitempty,string"`
}

type attachments struct {
	Attachment []attachment `json:"network_attachment"`
}

type attachment struct {
	Network reference `json:"network"`
}

// body has the networks by what a reference makes of them.
func (s SetupNetworks) body(refer func(network string) reference) setupBody {
	body := setupBody{Modified: attachmentList(s.Attach, refer), Removed: attachmentList(s.Detach, refer), Force: s.Force}
	if len(s.AddLabels) > 0 {
		body.Labels = labelList(s.AddLabels...)
	}
	if len(s.RemoveLabels) > 0 {
		body.RemovedLabels = labelList(s.RemoveLabels...)
	}
	return body
}

func attachmentList(networks []string, refer func(string) reference) *attachments {
	if len(networks) == 0 {
		return nil
	}
	list := &attachments{}
	for _, network := range networks {
		list.Attachment = append(list.Attachment, attachment{Network: refer(network)})
	}
	return list
}

func byID(id string) reference     { return reference{ID: id} }
func byName(name string) reference { return reference{Name: name} }

// SetupNetworks changes the networks and labels of a host.
func (c *Client) SetupNetworks(ctx context.Context, host string, s SetupNetworks) error {
	body := s.body(byID)
	body.Timeout = c.patience(ctx)
	return c.call(ctx, http.MethodPost, setupPath(host), nil, body, nil)
}

func setupPath(host string) string { return "/hosts/" + url.PathEscape(host) + "/setupnetworks" }

// HostLabels returns the labels of a host, sorted.
func (c *Client) HostLabels(ctx context.Context, host string) ([]string, error) {
	var answer labels
	path := "/hosts/" + url.PathEscape(host) + "/networklabels"
	if err := c.call(ctx, http.MethodGet, path, nil, nil, &answer); err != nil {
		return nil, err
	}
	return answer.names(), nil
}

// Hosts returns all hosts, in the daemon's order: by name, then by id.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) {
	var answer struct {
		Host []struct {
			reference
			Status      string      `json:"status"`
			Labels      labels      `json:"network_labels"`
			Attachments attachments `json:"network_attachments"`
		} `json:"host"`
	}
	follow := url.Values{"follow": {"network_labels,network_attachments.network"}}
	if err := c.call(ctx, http.MethodGet, "/hosts", follow, nil, &answer); err != nil {
		return nil, err
	}
	hosts := make([]Host, len(answer.Host))
	for i, h := range answer.Host {
		hosts[i] = Host{ID: h.ID, Name: h.Name, Status: h.Status, Labels: h.Labels.names(), Networks: []string{}}
		for _, a := range h.Attachments.Attachment {
			hosts[i].Networks = append(hosts[i].Networks, a.Network.Name)
		}
	}
	return hosts, nil
}

// RenameHost gives a host a name that no longer follows that of the machine.
func (c *Client) RenameHost(ctx context.Context, id, name string) error {
	return c.call(ctx, http.MethodPut, "/hosts/"+url.PathEscape(id), nil, reference{Name: name}, nil)
}

// Drain puts a host in maintenance: it gets no more networks and labels, and keeps what it
// has. With dryRun it only asks.
func (c *Client) Drain(ctx context.Context, id string, dryRun bool) error {
	return c.act(ctx, id, "deactivate", dryRun)
}

// Activate ends the maintenance of a host. With dryRun it only asks.
func (c *Client) Activate(ctx context.Context, id string, dryRun bool) error {
	return c.act(ctx, id, "activate", dryRun)
}

func (c *Client) act(ctx context.Context, host, action string, dryRun bool) error {
	return c.call(ctx, http.MethodPost, "/hosts/"+url.PathEscape(host)+"/"+action, onlyIf("dry_run", dryRun), struct{}{}, nil)
}

// RemoveHost removes a host that is gone for good; with force one that still has
// networks or labels. The daemon's own host is never removed.
func (c *Client) RemoveHost(ctx context.Context, id string, force bool) error {
	return c.call(ctx, http.MethodDelete, "/hosts/"+url.PathEscape(id), onlyIf("force", force), nil, nil)
}
