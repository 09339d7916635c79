package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// SetupNetworks is one change of a host, done as a whole or not at all.
type SetupNetworks struct {
	// Attach and Detach are ids of networks.
	Attach, Detach []string
	// AddLabels and RemoveLabels are labels of the host.
	AddLabels, RemoveLabels []string
	// Force lets the bridges of detached networks go although ports are in
	// use.
	Force bool
	// Timeout is how long the daemon waits for Open vSwitch before it takes
	// the change back, in whole seconds; 0 leaves it to the daemon.
	Timeout time.Duration
}

type attachments struct {
	Attachment []attachment `json:"network_attachment"`
}

type attachment struct {
	Network reference `json:"network"`
}

// action is the oVirt action setupnetworks.
type action struct {
	Modified      *attachments `json:"modified_network_attachments,omitempty"`
	Removed       *attachments `json:"removed_network_attachments,omitempty"`
	Labels        *labels      `json:"modified_labels,omitempty"`
	RemovedLabels *labels      `json:"removed_labels,omitempty"`
	// Timeout is how long the daemon waits for Open vSwitch, in seconds.
	Timeout string `json:"connectivity_timeout,omitempty"`
	// Force is isonet's own.
	Force string `json:"force,omitempty"`
}

func attachmentList(networks []string) *attachments {
	if len(networks) == 0 {
		return nil
	}
	list := &attachments{}
	for _, id := range networks {
		list.Attachment = append(list.Attachment, attachment{Network: reference{ID: id}})
	}
	return list
}

// SetupNetworks changes the networks and labels of a host. It returns after
// the daemon has the networks in Open vSwitch.
func (c *Client) SetupNetworks(ctx context.Context, host string, s SetupNetworks) error {
	return c.call(ctx, http.MethodPost, "/hosts/"+url.PathEscape(host)+"/setupnetworks", nil, s.wire(), nil)
}

func (s SetupNetworks) wire() action {
	body := action{Modified: attachmentList(s.Attach), Removed: attachmentList(s.Detach)}
	if s.Timeout > 0 {
		body.Timeout = strconv.Itoa(int(s.Timeout.Seconds()))
	}
	if len(s.AddLabels) > 0 {
		body.Labels = labelList(s.AddLabels...)
	}
	if len(s.RemoveLabels) > 0 {
		body.RemovedLabels = labelList(s.RemoveLabels...)
	}
	if s.Force {
		body.Force = "true"
	}
	return body
}

// HostLabels returns the labels of a host, sorted.
func (c *Client) HostLabels(ctx context.Context, host string) ([]string, error) {
	var answer labels
	path := "/hosts/" + url.PathEscape(host) + "/networklabels"
	if err := c.call(ctx, http.MethodGet, path, nil, nil, &answer); err != nil {
		return nil, err
	}
	return answer.names(), nil
}

// HostEntry is a host that shares the desired state.
type HostEntry struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Status is "up" for the host that the daemon sees, else "non_responsive".
	Status string   `json:"status"`
	Labels []string `json:"labels"`
	// Networks are the names of the networks that the host must have, sorted.
	Networks []string `json:"networks"`
}

// Hosts returns all hosts, in the daemon's order: by name, then by id.
func (c *Client) Hosts(ctx context.Context) ([]HostEntry, error) {
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
	hosts := make([]HostEntry, len(answer.Host))
	for i, h := range answer.Host {
		hosts[i] = HostEntry{ID: h.ID, Name: h.Name, Status: h.Status, Labels: h.Labels.names(), Networks: []string{}}
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

// RemoveHost removes a host that is gone for good; with force one that still has
// networks or labels.
func (c *Client) RemoveHost(ctx context.Context, id string, force bool) error {
	return c.call(ctx, http.MethodDelete, "/hosts/"+url.PathEscape(id), forced(force), nil, nil)
}
