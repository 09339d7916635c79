package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/wire"
)

// aFleet has a host of each kind.
func aFleet() wire.Hosts {
	heard := time.Date(2026, 11, 23, 10, 0, 3, 0, time.UTC)
	host := func(name, status string, seen int64, change func(*wire.HostOverview)) wire.HostOverview {
		h := wire.HostOverview{
			Host: wire.Host{ID: "id-of-" + name, Name: name}, Status: status, Heard: heard, Seen: seen, Realised: 40, Version: "1.4.0",
			Networks: 9, Problems: []wire.NetworkProblem{},
		}
		change(&h)
		return h
	}
	return wire.Hosts{Revision: 47, Hosts: []wire.HostOverview{
		host("away", "non_responsive", 44, func(h *wire.HostOverview) {
			h.Reason, h.Heard, h.Version = "it has not reported for 15 seconds", heard.Add(-time.Hour), "1.3.2"
		}),
		host("connecting", "connecting", 47, func(h *wire.HostOverview) { h.Reason = "it is not known whether it reports" }),
		host("faulty", "up", 46, func(h *wire.HostOverview) {
			h.Faulty = 2
			h.Problems = []wire.NetworkProblem{
				{NetworkName: wire.NetworkName{ID: "1", Name: "blue"}, State: "error", Isolation: "open", Reason: "somebody else has that bridge"},
				{NetworkName: wire.NetworkName{ID: "2", Name: "red"}, State: "pending"},
			}
		}),
		host("maintained", "maintenance", 47, func(h *wire.HostOverview) { h.Maintenance = true }),
		host("new", "non_responsive", 0, func(h *wire.HostOverview) {
			h.Reason, h.Heard, h.Realised, h.Version, h.Networks = "it has never reported", time.Time{}, 0, "", 0
		}),
		host("own", "up", 0, func(h *wire.HostOverview) { h.Heard, h.Version = time.Time{}, "" }),
		host("well", "up", 47, func(*wire.HostOverview) {}),
	}}
}

func encoded(t *testing.T, hosts wire.Hosts) answer {
	t.Helper()
	data, err := json.Marshal(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return ok(string(data))
}

func TestFleetStatus(t *testing.T) {
	many, healthy := aFleet(), aFleet()
	for i := range 1000 {
		away := many.Hosts[0]
		away.Name = fmt.Sprintf("host%03d", i)
		many.Hosts = append(many.Hosts, away)
	}
	healthy.Hosts = healthy.Hosts[5:]
	for _, tt := range []struct {
		name, args string
		hosts      wire.Hosts
	}{
		{"fleet-status", "fleet status", aFleet()},
		{"fleet-status-all", "fleet status --all -o wide", aFleet()},
		{"fleet-status-by-behind", "fleet status --all --sort=-behind --columns host,behind", aFleet()},
		{"fleet-status-names", "fleet status -o name", aFleet()},
		{"fleet-status-json", "fleet status -o json", aFleet()},
		{"fleet-status-many", "fleet status", many},
		{"fleet-status-well", "fleet status", healthy},
		{"fleet-status-well-yaml", "fleet status -o yaml", healthy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := standard(t)
			answers["GET /isonet/hosts"] = encoded(t, tt.hosts)
			check(t, tt.name, command{args: strings.Fields(tt.args)}, answers)
		})
	}
}

// TestStatusOfAnotherHost shows what another host has reported.
func TestStatusOfAnotherHost(t *testing.T) {
	elsewhere := strings.NewReplacer(hostID, otherHostID, "node1", "host2").Replace(recorded(t, "status-bad"))
	for _, tt := range []struct {
		name, args string
		reply      answer
	}{
		{"other-status", "status --host host2", ok(elsewhere)},
		{"other-status-network", "status blue --host host2", ok(elsewhere)},
		{"other-status-not-attached", "status " + longID + " --host host2", ok(elsewhere)},
		{"other-doctor", "doctor blue --host host2", ok(elsewhere)},
		{"other-port-list", "port list --host " + otherHostID, ok(elsewhere)},
		{"other-port-list-past", "port list --host host2 -o name", ok(strings.Replace(elsewhere, `"connected": true`, `"connected": false`, 1))},
		{"other-never-reported", "status --host host2", refusal(http.StatusConflict, "The host 'host2' has not reported here: ask its own isonetd.")},
		{"other-old-isonetd", "status --host host2", ok(recorded(t, "status"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := standard(t)
			answers["GET /isonet/status?host="+otherHostID] = tt.reply
			check(t, tt.name, command{args: strings.Fields(tt.args)}, answers)
		})
	}
}

// TestWaitHosts shows what became of a change on hosts that were waited for.
func TestWaitHosts(t *testing.T) {
	outcome := func(i int, h wire.HostOverview) wire.HostOverview {
		states := []string{"unreachable", "pending", "failed"}
		if i < len(states) {
			h.Change, h.ChangeReason = states[i], "for a reason"
		}
		return h
	}
	hosts := aFleet()
	for i, h := range hosts.Hosts {
		hosts.Hosts[i] = outcome(i, h)
	}
	many := aFleet()
	for range 1000 {
		many.Hosts = append(many.Hosts, outcome(0, many.Hosts[0]))
	}
	const created = "POST /networks?follow=network_labels&timeout=60&wait=hosts"
	for _, tt := range []struct {
		name, args, request string
		reply               answer
		networks            string
		hosts               wire.Hosts
	}{
		{"wait-hosts-create", "network create red --label lab --wait-hosts", created, answer{status: http.StatusCreated, body: recorded(t, "created"), hosts: "realised=3; pending=0; failed=0; unreachable=0"}, "", hosts},
		{"wait-hosts-none", "network create red --wait-hosts", created, answer{status: http.StatusCreated, body: recorded(t, "created")}, "", hosts},
		{
			"wait-hosts-update", "network update blue --mtu 1400 --wait-hosts=5s", "PUT /networks/" + blueID + "?follow=network_labels&timeout=5&wait=hosts",
			answer{status: http.StatusOK, body: recorded(t, "blue"), hosts: "realised=1; pending=1; failed=1; unreachable=1"},
			blueID, hosts,
		},
		{
			"wait-hosts-unreachable", "network update blue --mtu 1400 --wait-hosts=5s", "PUT /networks/" + blueID + "?follow=network_labels&timeout=5&wait=hosts",
			answer{status: http.StatusOK, body: recorded(t, "blue"), hosts: "realised=6; pending=0; failed=0; unreachable=1000"},
			blueID, many,
		},
		{
			"wait-hosts-delete-json", "network delete blue green --wait-hosts -o json", "POST /isonet/networks?timeout=60&wait=hosts",
			answer{status: http.StatusOK, body: `{"networks":[]}`, hosts: "realised=1; pending=0; failed=1; unreachable=0"},
			blueID + "%2C" + greenID, hosts,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := standard(t)
			answers[tt.request] = tt.reply
			answers["GET /isonet/hosts?networks="+tt.networks+"&revision=7&wait=0"] = encoded(t, tt.hosts)
			check(t, tt.name, command{args: strings.Fields(tt.args)}, answers)
		})
	}
}
