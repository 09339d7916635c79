package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/isonet/isonet/internal/hosttest"
)

// wanted is what operators have asked for.
type wanted struct {
	Networks map[string]network
	Labels   map[string]bool // of the host
	Attached map[string]bool // by itself
}

type network struct {
	Label  string
	MTU    int
	Strict bool
}

func (w wanted) clone() wanted {
	return wanted{maps.Clone(w.Networks), maps.Clone(w.Labels), maps.Clone(w.Attached)}
}

// here returns the networks that are to be on the host, in order.
func (w wanted) here() []string {
	names := []string{}
	for name, n := range w.Networks {
		if w.Attached[name] || n.Label != "" && w.Labels[n.Label] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// request is a write of the API, and what is wanted when it was made.
type request struct {
	method, path, body string
	then               wanted
}

// observed returns what isonetd says that operators have asked for.
func observed(h *hosttest.Host) wanted {
	h.Helper()
	w := wanted{Networks: map[string]network{}, Labels: map[string]bool{}, Attached: map[string]bool{}}
	list, _ := h.Must("GET", "/networks?follow=network_labels", "")["network"].([]any)
	for _, entry := range list {
		object := entry.(map[string]any)
		n := network{Strict: object["strict"] == "true"}
		if _, err := fmt.Sscan(object["mtu"].(string), &n.MTU); err != nil {
			h.Fatalf("mtu of %v: %v", object, err)
		}
		labels, _ := object["network_labels"].(map[string]any)["network_label"].([]any)
		for _, l := range labels {
			n.Label = l.(map[string]any)["id"].(string)
		}
		w.Networks[object["name"].(string)] = n
	}
	list, _ = h.Must("GET", h.Path()+"/networklabels", "")["network_label"].([]any)
	for _, l := range list {
		w.Labels[l.(map[string]any)["id"].(string)] = true
	}
	networks, _ := h.Must("GET", "/isonet/status", "")["networks"].([]any)
	for _, entry := range networks {
		object := entry.(map[string]any)
		if object["cause"].(map[string]any)["explicit"] == true {
			w.Attached[object["name"].(string)] = true
		}
	}
	return w
}

// toggle creates or deletes a network.
func toggle(h *hosttest.Host, now wanted, name string, as network) *request {
	h.Helper()
	then := now.clone()
	if _, exists := now.Networks[name]; exists {
		delete(then.Networks, name)
		delete(then.Attached, name)
		return &request{"DELETE", h.Network(name) + "?force=true", "", then}
	}
	then.Networks[name] = as
	labels := ""
	if as.Label != "" {
		labels = fmt.Sprintf(`,"network_labels":{"network_label":[{"id":%q}]}`, as.Label)
	}
	return &request{"POST", "/networks", fmt.Sprintf(`{"name":%q,"mtu":"%d","strict":"%v","data_center":{"name":"Default"}%s}`,
		name, as.MTU, as.Strict, labels), then}
}

// attach attaches a network or takes it away; nil where it can do neither.
func attach(h *hosttest.Host, now wanted, name string) *request {
	n, exists := now.Networks[name]
	then := now.clone()
	switch {
	case !exists, n.Label != "" && now.Labels[n.Label]:
		return nil
	case now.Attached[name]:
		delete(then.Attached, name)
		return &request{"POST", h.Path() + "/setupnetworks", hosttest.Detaching(name), then}
	}
	then.Attached[name] = true
	return &request{"POST", h.Path() + "/setupnetworks", hosttest.Attaching(name), then}
}

// label gives the host a label or takes it away, ports in use or not.
func label(h *hosttest.Host, now wanted, id string) *request {
	then := now.clone()
	member := "modified_labels"
	if now.Labels[id] {
		member = "removed_labels"
		delete(then.Labels, id)
	} else {
		then.Labels[id] = true
	}
	return &request{"POST", h.Path() + "/setupnetworks", fmt.Sprintf(`{"force":"true",%q:{"network_label":[{"id":%q}]}}`, member, id), then}
}

// change gives a network another MTU; nil where there is none.
func change(h *hosttest.Host, now wanted, name string, mtu int) *request {
	h.Helper()
	n, exists := now.Networks[name]
	if !exists {
		return nil
	}
	then := now.clone()
	n.MTU = mtu
	then.Networks[name] = n
	return &request{"PUT", h.Network(name), fmt.Sprintf(`{"mtu":"%d"}`, mtu), then}
}

// everything takes all that is wanted away, in one request after the other.
func everything(h *hosttest.Host, now wanted) []string {
	h.Helper()
	var done []string
	for _, id := range slices.Sorted(maps.Keys(now.Labels)) {
		r := label(h, now, id)
		h.Must(r.method, r.path, r.body)
		now = r.then
		done = append(done, id)
	}
	for _, name := range slices.Sorted(maps.Keys(now.Networks)) {
		h.Must("DELETE", h.Network(name)+"?force=true", "")
		done = append(done, name)
	}
	return done
}

// unlike says what differs; "" for the same.
func unlike(got wanted, allowed ...wanted) string {
	var texts []string
	for _, w := range allowed {
		if fmt.Sprint(got) == fmt.Sprint(w) { // fmt sorts the keys of maps
			return ""
		}
		texts = append(texts, fmt.Sprint(w))
	}
	return fmt.Sprintf("isonetd has %v, want %s", got, strings.Join(texts, " or "))
}
