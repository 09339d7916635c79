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
