package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The dummies of the recorded answers.
const (
	hostID      = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	otherHostID = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
	blueID      = "11111111-1111-4111-8111-111111111111"
	greenID     = "22222222-2222-4222-8222-222222222222"
	longID      = "33333333-3333-4333-8333-33333333abcd"
	// webID is the network that is called like an id.
	webID = "44444444-4444-4444-8444-444444444444"
	redID = "55555555-5555-4555-8555-555555555555"
)

// standard is a daemon with four networks. Two of them are attached: blue by
// itself, and the one that is called like an id by the label web.
func standard(t *testing.T) map[string]answer {
	t.Helper()
	return map[string]answer{
		"GET /isonet/status":                                                         ok(recorded(t, "status")),
		"GET /networks?follow=network_labels":                                        ok(recorded(t, "networks")),
		"GET /hosts/" + hostID + "/networklabels":                                    ok(recorded(t, "hostlabels")),
		"GET /hosts?follow=network_labels%2Cnetwork_attachments.network":             ok(recorded(t, "hosts")),
		"PUT /hosts/" + hostID:                                                       ok(recorded(t, "host")),
		"POST /hosts/" + hostID + "/deactivate":                                      ok(recorded(t, "complete")),
		"POST /hosts/" + hostID + "/deactivate?dry_run=true":                         ok(recorded(t, "complete")),
		"POST /hosts/" + hostID + "/activate":                                        ok(recorded(t, "complete")),
		"DELETE /hosts/" + otherHostID:                                               ok(recorded(t, "complete")),
		"DELETE /hosts/" + otherHostID + "?force=true":                               ok(recorded(t, "complete")),
		"GET /isonet/history?max=100":                                                ok(recorded(t, "history")),
		"GET /isonet/history?network=blue&since=2026-11-23T09%3A30%3A00Z&user=admin": ok(`{"entries":[]}`),
		"GET /isonet/hosts":                                                          encoded(t, aFleet()),
		"GET /isonet/plan":                                                           ok(`{"host":{},"operations":[],"held":[]}`),
		"POST /isonet/plan": ok(`{"operations":[{"do":"create-bridge","bridge":"green","network_id":"x","mtu":1400},` +
			`{"do":"set-mtu","bridge":"blue","network_id":"x","port":"vnet0","mtu":1400},` +
			`{"do":"remove-port","bridge":"blue","network_id":"x","port":"eth0","reason":"physical_nic"},` +
			`{"do":"repair-bridge","bridge":"blue","network_id":"x","columns":["stp_enable"]}],` +
			`"held":[{"bridge":"old","network_id":"x","ports":["vnet1"]}]}`),
		"POST /isonet/networks": ok(`{"networks":[{"id":"` + redID + `","name":"red","outcome":"created"},` +
			`{"id":"` + webID + `","name":"99991111-1111-4111-8111-111111111111","outcome":"changed"},` +
			`{"id":"` + blueID + `","name":"blue","outcome":"changed"}]}`),
		"POST /isonet/adopt":              ok(`{"bridge":"br-old","network":{"id":"` + greenID + `","name":"green"},"created":true,"mtu":1400}`),
		"POST /isonet/adopt?dry_run=true": ok(`{"bridge":"br-old","network":{"id":"` + greenID + `","name":"green"},"created":false,"mtu":1400}`),
		"POST /isonet/release": ok(`{"bridge":"blue","network":{"id":"` + blueID + `","name":"blue"},` +
			`"unquarantined":["odd","vnet3"],"protected":["vnet0","vnet1"]}`),
		"POST /isonet/prune":                                 ok(`{"network":{"id":"` + blueID + `","name":"blue"},"ports":["vnet7","vnet8"]}`),
		"POST /isonet/guard/release":                         ok(`{"device":"vnet4"}`),
		"POST /isonet/guard/release?dry_run=true":            ok(`{"device":"vnet4"}`),
		"POST /isonet/register":                              ok(`{"id":"` + hostID + `","name":"host1"}`),
		"POST /isonet/prune?dry_run=true":                    ok(`{"network":{"id":"` + blueID + `","name":"blue"},"ports":[]}`),
		"POST /hosts/" + hostID + "/setupnetworks":           ok(recorded(t, "complete")),
		"POST /networks?follow=network_labels":               {status: http.StatusCreated, body: recorded(t, "created")},
		"PUT /networks/" + blueID + "?follow=network_labels": ok(recorded(t, "blue")),
		"PUT /networks/" + webID + "?follow=network_labels":  ok(recorded(t, "blue")),
	}
}

// words splits a command line at blanks.
func words(line string) []string {
	return regexp.MustCompile(` +`).Split(line, -1)
}

// seconds is what depends on the time that a test takes.
func seconds(requests string) string {
	return regexp.MustCompile(`"connectivity_timeout":"\d+"`).ReplaceAllString(requests, `"connectivity_timeout":"N"`)
}

// check runs a command line against a daemon and compares all that can be seen
// with a golden file.
func check(t *testing.T, name string, c command, answers map[string]answer) {
	t.Helper()
	d := &daemon{answers: answers}
	c.socket = d.start(t)
	text := transcript(c, c.run(t.Context()), seconds(d.requests()))
	golden(t, name, strings.ReplaceAll(text, c.socket, "SOCKET"))
}

// mistaken is a setup file with mistakes.
const mistaken = `networks:
  - name: blue
    mtu: "9000"
    isolation: report
  - name: bond0
    mtu: 01500
    attach: "yes"
  - name: blue
    mtu: 40
labels: [a b, c, c]
`

func TestCommands(t *testing.T) {
	setupFile := filepath.Join("testdata", "setup.yaml")
	asItIs := filepath.Join("testdata", "as-it-is.yaml")
	tests := []struct {
		name  string
		args  []string
		stdin string
	}{
		{name: "network-list", args: words("network list")},
		{name: "network-list-json", args: words("network list -o json")},
		{name: "network-list-yaml", args: words("network list -o yaml")},
		{name: "network-show", args: words("network show blue")},
		{name: "network-show-by-id", args: words("network show " + longID)},
		{name: "network-show-by-upper-case-id", args: words("network show 33333333-3333-4333-8333-33333333ABCD -o yaml")},
		{name: "network-show-named-like-an-id", args: words("network show 99991111-1111-4111-8111-111111111111")},
		{name: "network-show-missing", args: words("network show nope")},
		{name: "network-show-meant", args: words("network get bleu")},
		{
			name: "network-create",
			args: words("network create red --mtu 1400 --label lab --description d --comment c --port-isolation"),
		},
		{name: "network-create-plain-json", args: words("network create red -o json")},
		{name: "network-update", args: words("network update blue --name azure --mtu 0 --label= --port-isolation=false")},
		{name: "network-update-description", args: append(words("network update blue --description"), "a b <&> 🚀")},
		{name: "network-delete", args: words("network delete green blue green")},
		{name: "network-delete-all", args: words("network delete --all --yes")},
		{name: "network-delete-force-json", args: words("network delete --force blue -o json")},
		{name: "network-delete-some-missing", args: words("network delete green nope blue neither nope")},

		{name: "attach", args: words("attach green blue")},
		{name: "attach-json", args: append(words("attach -o json green"), "a name too long for a bridge")},
		{name: "attach-nothing-to-do", args: words("attach blue " + webID)},
		{name: "attach-nothing-to-do-yaml", args: words("attach blue -o yaml")},
		{name: "detach", args: words("detach blue green")},
		{name: "detach-force", args: words("detach blue --force")},
		{name: "detach-all-labelled", args: words("detach --all --yes")},
		{name: "detach-labelled", args: words("detach " + webID)},

		{name: "adopt", args: words("adopt br-old green")},
		{name: "adopt-dry-run-json", args: words("adopt br-old green --dry-run -o json")},
		{name: "release", args: words("release blue")},
		{name: "release-force", args: words("release blue --force")},
		{name: "port-list", args: words("port list")},
		{name: "port-list-network-json", args: words("port list blue -o json")},
		{name: "port-list-stale", args: words("port list --stale")},
		{name: "port-list-not-attached", args: words("port list green")},
		{name: "port-prune", args: words("port prune blue")},
		{name: "port-prune-dry-run", args: words("port prune blue --dry-run")},
		{name: "history", args: words("history")},
		{name: "history-wide", args: words("history -o wide")},
		{name: "history-of", args: words("history --since 1h --by admin --network blue -n 0 -o json")},
		{name: "guard-list", args: words("guard list")},
		{name: "guard-release", args: words("guard release vnet4")},
		{name: "guard-release-dry-run", args: words("guard release vnet4 --dry-run")},

		{name: "host-list", args: words("host list")},
		{name: "host-list-json", args: words("host list -o json")},
		{name: "host-rename", args: words("host rename " + hostID + " rack1-a")},
		{name: "host-rename-ambiguous", args: words("host rename twin rack1-a")},
		{name: "host-drain", args: words("host drain host1")},
		{name: "host-drain-dry-run-json", args: words("host drain host1 --dry-run -o json")},
		{name: "host-activate", args: words("host activate host1")},
		{name: "host-register", args: words("host register")},
		{name: "host-delete", args: words("host delete host2")},
		{name: "host-delete-force-json", args: words("host delete host2 --force -o json")},
		{name: "host-delete-missing", args: words("host delete nope")},

		{name: "label-list", args: words("label list")},
		{name: "label-list-json", args: words("label list -o json")},
		{name: "label-add", args: words("label add lab web")},
		{name: "label-add-nothing-to-do", args: words("label add web")},
		{name: "label-delete", args: words("label delete web old")},
		{name: "label-delete-force", args: words("label delete web --force")},
		{name: "label-delete-unknown", args: words("label delete lab wbe")},

		{name: "label-delete-all", args: words("label delete --all --yes")},

		{name: "export", args: words("export")},
		{name: "export-json", args: words("export -o json")},
		{name: "setup", args: words("setup -f " + setupFile)},
		{name: "setup-dry-run", args: words("setup --dry-run -f " + setupFile)},
		{name: "plan", args: words("plan")},
		{name: "plan-file", args: words("plan --force -f " + setupFile)},
		{name: "plan-file-yaml", args: words("plan -o yaml -f " + setupFile)},
		{name: "setup-dry-run-json", args: words("setup --dry-run -o json -f " + setupFile)},
		{name: "setup-json-on-stdin", args: words("setup --force -f -"), stdin: `{"networks": [{"name": "blue", "attach": false}]}`},
		{name: "setup-again", args: words("setup -f " + asItIs)},
		{name: "setup-names-nothing", args: words("setup -f -"), stdin: "networks: []\nlabels: []\n"},
		{name: "setup-again-dry-run", args: words("setup --dry-run -f " + asItIs)},
		{name: "setup-contradiction", args: words("setup -f -"), stdin: "networks: [{name: blue, attach: false}]\nlabels: [lab]\n"},

		{name: "setup-prune", args: words("setup --prune --yes -f -"), stdin: "networks: [{name: green, attach: true}]\nlabels: [db]\n"},
		{name: "setup-prune-dry-run", args: words("setup --prune --dry-run --force -f -"), stdin: "networks: []\nlabels: []\n"},
		{name: "setup-prune-kept", args: words("setup --prune --yes -f -"), stdin: "networks: [{name: blue}]\n"},
		{name: "setup-prune-labels", args: words("setup --prune --yes -f -"), stdin: "labels: []\n"},
		{name: "diff-prune", args: words("diff --prune -f -"), stdin: "networks: [{name: green}]\n"},
		{name: "diff", args: words("diff -f " + setupFile)},
		{name: "diff-json", args: words("diff --force -o json -f " + setupFile)},
		{name: "diff-same", args: words("diff -f " + asItIs)},
		{name: "validate", args: words("validate -f " + setupFile)},
		{name: "validate-json", args: words("validate -o json -f " + setupFile)},
		{name: "validate-mistakes", args: words("validate -f -"), stdin: mistaken},
		{name: "validate-mistakes-yaml", args: words("validate -f - -o yaml"), stdin: mistaken},
		{name: "setup-mistakes", args: words("setup -f -"), stdin: mistaken},
		{name: "diff-mistakes", args: words("diff -f -"), stdin: mistaken},

		{name: "network-create-isolation", args: words("network create red --isolation-policy report --strict --mac-lock")},
		{name: "network-update-isolation", args: words("network update blue --isolation-policy quarantine --strict=false --mac-lock=false")},
		{name: "doctor", args: words("doctor")},
		{name: "doctor-network", args: words("doctor blue")},
		{name: "doctor-network-not-attached", args: words("doctor green")},
		{name: "status", args: words("status")},
		{name: "status-json", args: words("status -o json")},
		{name: "status-network", args: words("status blue")},
		{name: "status-network-without-ports", args: words("status " + webID)},
		{name: "status-network-json", args: words("status blue -o json")},
		{name: "status-network-not-attached", args: words("status green")},

		{name: "top", args: words("top")},
		{name: "top-once-by-name-yaml", args: words("top --once --sort network -o yaml")},
		{name: "top-by-transmitted", args: words("top --sort transmitted")},
		{name: "top-ports", args: words("top --ports")},
		{name: "top-ports-by-lost-json", args: words("top --ports --sort lost -o json")},
		{name: "stats", args: words("stats blue")},
		{name: "stats-json", args: words("stats blue -o json")},
		{name: "stats-not-attached", args: words("stats green")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, tt.name, command{args: tt.args, stdin: tt.stdin}, standard(t))
		})
	}
}

func TestStatusExitCode(t *testing.T) {
	tests := []struct{ name, args, status string }{
		{"doctor-bad", "doctor", "status-bad"},
		{"doctor-bad-network-json", "doctor " + webID + " -o json", "status-bad"},
		{"doctor-disconnected", "doctor", "status-disconnected"},
		{"status-not-active", "status", "status-bad"},
		{"status-not-active-yaml", "status -o yaml", "status-bad"},
		{"status-network-not-active", "status blue", "status-bad"},
		{"status-network-active-beside-others", "status " + webID, "status-bad"},
		{"status-disconnected", "status", "status-disconnected"},
		{"status-network-disconnected", "status blue", "status-disconnected"},
		{"status-never-connected", "status", "status-new"},
		{"status-empty", "status", "status-empty"},
		{"status-empty-json", "status -o json", "status-empty"},
		{"top-disconnected", "top", "status-disconnected"},
		{"top-empty", "top", "status-empty"},
		{"top-empty-json", "top -o json", "status-empty"},
		{"stats-disconnected", "stats blue", "status-disconnected"},
		{"attach-never-connected", "attach blue", "status-new"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answers := standard(t)
			answers["GET /isonet/status"] = ok(recorded(t, tt.status))
			check(t, tt.name, command{args: words(tt.args)}, answers)
		})
	}
}

// TestStalePorts checks how ports are shown whose devices vanished.
func TestStalePorts(t *testing.T) {
	answers := standard(t)
	status := strings.Replace(recorded(t, "status"), `"link_up": true`, `"link_up": false, "stale": true`, 1)
	second := strings.LastIndex(status, `"error": "`)
	answers["GET /isonet/status"] = ok(status[:second] + `"stale": true, ` + status[second:])
	for _, tt := range []struct{ name, args string }{
		{"stale-status", "status"},
		{"stale-status-network", "status blue"},
		{"stale-doctor", "doctor blue"},
		{"stale-port-list", "port list --stale"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.name, command{args: words(tt.args)}, answers) })
	}
}

// TestWhatIsMissingIsToldOnce checks that a cause which concerns the whole host is
// not told again with each network.
func TestWhatIsMissingIsToldOnce(t *testing.T) {
	answers := standard(t)
	status := strings.ReplaceAll(recorded(t, "status"), `"reason": ""`, `"reason": "ovs-vswitchd does not run: start it"`)
	status = strings.ReplaceAll(status, `"state": "active"`, `"state": "unknown"`)
	status = strings.ReplaceAll(status, `"isolated": true`, `"isolated": false, "verdict": "unknown"`)
	status = strings.Replace(status, `"revision"`,
		`"missing": [{"ground": "vswitchd", "since": "2026-11-23T09:00:01Z", "cause": "ovs-vswitchd does not run", "remedy": "start it"}], "revision"`, 1)
	answers["GET /isonet/status"] = ok(status)
	for _, tt := range []struct{ name, args string }{
		{"missing-status", "status"},
		{"missing-status-network", "status blue"},
		{"missing-doctor", "doctor"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.name, command{args: words(tt.args)}, answers) })
	}
}

// TestPortsElsewhere checks how a container's port is shown.
func TestPortsElsewhere(t *testing.T) {
	answers := standard(t)
	answers["GET /isonet/status"] = ok(strings.Replace(recorded(t, "status"), `"link_up": true`, `"link_up": false, "elsewhere": true`, 1))
	for _, tt := range []struct{ name, args string }{
		{"elsewhere-status", "status"},
		{"elsewhere-port-list", "port list"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.name, command{args: words(tt.args)}, answers) })
	}
}

// TestRefusals checks what an operator sees when the daemon refuses.
func TestRefusals(t *testing.T) {
	const setupNetworks = "POST /hosts/" + hostID + "/setupnetworks"
	setupFile := filepath.Join("testdata", "setup.yaml")
	tests := []struct {
		name, args, request string
		answer              answer
	}{
		{
			"refused-brackets", "attach green", setupNetworks,
			refusal(http.StatusConflict, "[Cannot setup Networks. The host cannot have the network 'green': somebody else has that bridge.]"),
		},
		{
			"refused-lines", "network create red", "POST /networks?follow=network_labels",
			refusal(http.StatusConflict, "[Cannot add Network. The name is already used.\n-Please choose a different name.]"),
		},
		{
			"refused-action", "attach green", setupNetworks,
			answer{status: http.StatusBadRequest, body: `{"status": "failed", "fault": {"reason": "Operation Failed", "detail": "[no]"}}`},
		},
		{
			"refused-without-detail", "attach green", setupNetworks,
			answer{status: http.StatusServiceUnavailable, body: `{"reason": "Operation Failed", "detail": ""}`},
		},
		{"refused-without-body", "network list", "GET /networks?follow=network_labels", answer{status: http.StatusNotFound}},
		{"refused-delete", "network delete green blue", "POST /isonet/networks", refusal(http.StatusConflict, "[in use]")},
		{
			"refused-in-use", "network delete blue", "POST /isonet/networks",
			answer{status: http.StatusConflict, body: `{"reason": "Operation Failed", "detail": "[This network is used, or force it with force=true., No\n- and no]",
				"refusals": [{"code": "removed-in-use-by-vms", "args": ["blue", "vnet0,vnet1", "web, db", "2"], "text": "This network is used, or force it with force=true."},
				{"text": "No\n- and no"}]}`},
		},
		{"refused-delete-json", "network delete green blue -o json", "POST /isonet/networks", refusal(http.StatusConflict, "[in use]")},
		{
			"refused-setup-networks", "setup -f " + setupFile, "POST /isonet/networks",
			refusal(http.StatusConflict, "[Network 'blue': in use, Network 'red': no]"),
		},
		{"refused-setup-late", "setup -f " + setupFile, "POST /isonet/networks", refusal(http.StatusGatewayTimeout, "[too slow]")},
		{"refused-labels", "label list", "GET /hosts/" + hostID + "/networklabels", refusal(http.StatusNotFound, "[Entity not found]")},
		{"not-isonetd-html", "network list", "GET /networks?follow=network_labels", answer{status: http.StatusNotFound, body: "<html>404</html>"}},
		{"not-isonetd-200", "status", "GET /isonet/status", ok("<html>hello</html>")},
		{"not-isonetd-wrong-type", "status", "GET /isonet/status", ok(`{"networks": 7}`)},
		{"not-isonetd-wrong-mtu", "network list", "GET /networks?follow=network_labels", ok(`{"network": [{"mtu": "big"}]}`)},
		{"refused-adopt", "adopt br-old red", "POST /isonet/adopt", refusal(http.StatusConflict, "[Cannot adopt Bridge. The bridge 'br-old' cannot be adopted: a; b.]")},
		{"refused-release", "release blue", "POST /isonet/release", refusal(http.StatusConflict, "[Cannot release the network 'blue'. It is strict.]")},
		{"refused-guard-release", "guard release vnet4", "POST /isonet/guard/release", refusal(http.StatusConflict, "[Cannot release the device 'vnet4'. It is plugged into a network: remove its port first ('ovs-vsctl del-port vnet4').]")},
		{"absent-release", "release gren", "POST /isonet/release", refusal(http.StatusNotFound, "[There is no network 'gren'; see 'isonet network list'.]")},
		{"absent-release-not-attached", "release green", "POST /isonet/release", refusal(http.StatusNotFound, "[Entity not found]")},
		{"absent-prune", "port prune bleu", "POST /isonet/prune", refusal(http.StatusNotFound, "[Entity not found]")},
		{"absent-device", "guard release vnet5", "POST /isonet/guard/release", refusal(http.StatusNotFound, "[Entity not found]")},
		{"nothing-to-prune", "port prune blue", "POST /isonet/prune", ok(`{"network":{"id":"x","name":"blue"},"ports":[]}`)},
		{"no-networks", "network list -o json", "GET /networks?follow=network_labels", ok(`{}`)},
		{"no-labels", "label list -o json", "GET /hosts/" + hostID + "/networklabels", ok(`{}`)},
		{"redirect", "network list", "GET /networks?follow=network_labels", answer{status: http.StatusFound}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answers := standard(t)
			answers[tt.request] = tt.answer
			check(t, tt.name, command{args: words(tt.args)}, answers)
		})
	}
}

// TestUsage checks the command lines that are wrong, or name a file that is: the
// exit code is 2, and nothing is asked of the daemon.
func TestUsage(t *testing.T) {
	empty := filepath.Join(shortDir(t), "empty.yaml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(shortDir(t), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		want string
	}{
		{words("dance"), "unknown command 'dance'; see 'isonet --help'"},
		{words("statsu"), "unknown command 'statsu' (did you mean 'isonet stats' or 'isonet status'?); see 'isonet --help'"},
		{words("network nope"), "unknown command 'nope'; see 'isonet network --help'"},
		{words("network lst"), "unknown command 'lst' (did you mean 'isonet network list'?); see 'isonet network --help'"},
		{words("network rename a b"), "unknown command 'rename' (did you mean 'isonet network update'?); see 'isonet network --help'"},
		{words("rm blue"), "unknown command 'rm' (did you mean 'isonet context delete', 'isonet host delete', 'isonet label delete', 'isonet network delete' or 'isonet token revoke'?); see 'isonet --help'"},
		{words("list networks"), "unknown command 'list' (did you mean 'isonet network list'?); see 'isonet --help'"},
		{words("help nosuch"), "unknown command 'nosuch'; see 'isonet --help'"},
		{words("help network lst"), "unknown command 'lst' (did you mean 'isonet network list'?); see 'isonet network --help'"},
		{words("--nope"), "unknown flag: --nope; see 'isonet --help'"},
		{words("status --nope"), "unknown flag: --nope; see 'isonet status --help'"},
		{words("network create x --lable lab"), "unknown flag: --lable (did you mean '--label'?); see 'isonet network create --help'"},
		{words("status -x"), "unknown shorthand flag: 'x' in -x; see 'isonet status --help'"},
		{words("status a b"), "too many arguments: 'b'; see 'isonet status --help'"},
		{words("status -o xml"), "unknown output form 'xml': use table, wide, name, json, yaml; see 'isonet status --help'"},
		{words("status --timeout -1s"), "--timeout must not be negative; see 'isonet status --help'"},
		{words("status --timeout 5"), "invalid argument \"5\" for \"--timeout\" flag: must be a duration like \"30s\" or \"5m\"; see 'isonet status --help'"},
		{words("watch x"), "too many arguments: 'x'; see 'isonet watch --help'"},
		{words("top x"), "too many arguments: 'x'; see 'isonet top --help'"},
		{words("top --sort size"), "unknown column 'size': use network, ports, received/s, transmitted/s, age, received, transmitted, lost, rate; see 'isonet top --help'"},
		{words("top --filter lost"), "'lost' is no condition: write COLUMN=VALUE, or with !=, <, <=, >, >=, ~ or !~ (regular expression); see 'isonet top --help'"},
		{words("status --columns host"), "unknown column 'host': use network, state, isolation, bridge, mtu, ports, cause, received, transmitted, reason, id, strict, since; see 'isonet status --help'"},
		{words("status blue --sort state"), "unknown column 'state': use port, link, mtu, vm, interface, error, denied; see 'isonet status --help'"},
		{words("port list --filter link>1"), "'link>1': the column 'link' has no numbers to compare: use =, !=, ~ or !~; see 'isonet port list --help'"},
		{words("network show blue -o name"), "unknown output form 'name': use table, json, yaml; see 'isonet network show --help'"},
		{words("status --color pink"), "--color is 'pink': use auto, always, never; see 'isonet status --help'"},
		{words("top --interval 1ms"), "--interval must be 100ms or more; see 'isonet top --help'"},
		{words("stats"), "missing argument: NETWORK; see 'isonet stats --help'"},
		{words("network list x"), "too many arguments: 'x'; see 'isonet network list --help'"},
		{words("network show"), "missing argument: NETWORK; see 'isonet network show --help'"},
		{words("network create"), "missing argument: NAME; see 'isonet network create --help'"},
		{words("network create a b"), "too many arguments: 'b'; see 'isonet network create --help'"},
		{words("network create a --mtu big"), "invalid argument \"big\" for \"--mtu\" flag: must be an integer; see 'isonet network create --help'"},
		{words("network create a --strict=maybe"), "invalid argument \"maybe\" for \"--strict\" flag: must be true or false; see 'isonet network create --help'"},
		{words("network update a"), "nothing to update: give at least one attribute; see 'isonet network update --help'"},
		{words("network delete"), "missing argument: NETWORK, or --all; see 'isonet network delete --help'"},
		{words("network delete --all"), "this asks before it is done, and there is no terminal: give --yes; see 'isonet network delete --help'"},
		{words("network delete --all --yes blue"), "--all and a NETWORK exclude each other; see 'isonet network delete --help'"},
		{words("detach --all"), "this asks before it is done, and there is no terminal: give --yes; see 'isonet detach --help'"},
		{words("label delete --all"), "this asks before it is done, and there is no terminal: give --yes; see 'isonet label delete --help'"},
		{words("setup --prune -f x"), "this asks before it is done, and there is no terminal: give --yes; see 'isonet setup --help'"},
		{words("setup --prune -f -"), "the file is standard input, so that nobody can be asked: give --yes; see 'isonet setup --help'"},
		{words("attach"), "missing argument: NETWORK; see 'isonet attach --help'"},
		{words("detach"), "missing argument: NETWORK, or --all; see 'isonet detach --help'"},
		{words("adopt br-old"), "missing argument: BRIDGE NETWORK; see 'isonet adopt --help'"},
		{words("adopt a b c"), "too many arguments: 'c'; see 'isonet adopt --help'"},
		{words("release"), "missing argument: NETWORK; see 'isonet release --help'"},
		{words("guard release"), "missing argument: DEVICE; see 'isonet guard release --help'"},
		{words("port prune"), "missing argument: NETWORK; see 'isonet port prune --help'"},
		{words("port list a b"), "too many arguments: 'b'; see 'isonet port list --help'"},
		{words("label add"), "missing argument: LABEL; see 'isonet label add --help'"},
		{words("label add a/b"), "'a/b': Network label must be formed only from: English letters, numbers, hyphen or underscore; see 'isonet label add --help'"},
		{words("label delete"), "missing argument: LABEL, or --all; see 'isonet label delete --help'"},
		{words("export -o table"), "a setup file is no table: use yaml or json; see 'isonet export --help'"},
		{words("export x"), "too many arguments: 'x'; see 'isonet export --help'"},
		{words("setup"), "missing flag: -f FILE; see 'isonet setup --help'"},
		{words("setup file.yaml"), "too many arguments: 'file.yaml'; see 'isonet setup --help'"},
		{words("setup -f " + empty), empty + ":1:1: the file has neither networks nor labels"},
		{words("setup -f -"), "standard input:1:1: unknown key 'nets': use networks, labels"},
		{words("setup -f /nonexistent"), "read the setup file: open /nonexistent: no such file or directory"},
		{words("validate"), "missing flag: -f FILE; see 'isonet validate --help'"},
		{words("validate -f /nonexistent"), "read the setup file: open /nonexistent: no such file or directory"},
		{words("diff"), "missing flag: -f FILE; see 'isonet diff --help'"},
		{words("diff -f -"), "standard input:1:1: unknown key 'nets': use networks, labels"},
		{words("setup --schema -f x"), "--schema goes with no other flag; see 'isonet setup --help'"},
		{words("wait"), "missing argument: NETWORK; see 'isonet wait --help'"},
		{words("wait a --for ready"), "unknown condition 'ready': use active, isolated, attached, detached, deleted; see 'isonet wait --help'"},
		{words("wait a --for active,detached"), "a network cannot be detached and something else: give only one of them; see 'isonet wait --help'"},
		{words("wait a --for="), "--for is empty: use active, isolated, attached, detached, deleted; see 'isonet wait --help'"},
		{words("plan -f /nonexistent"), "read the setup file: open /nonexistent: no such file or directory"},
		{words("status --url host:1"), "the URL of the daemon must have the form https://host:port; see 'isonet status --help'"},
		{words("status --url https://h:1/x"), "the URL of the daemon must have the form https://host:port; see 'isonet status --help'"},
		{words("status --url https://u:p@h:1"), "the URL of the daemon must have the form https://host:port; see 'isonet status --help'"},
		{words("status --url https://%"), `the URL "https://%" is not valid: give https://host:port; see 'isonet status --help'`},
		{words("status --url http://192.0.2.1:1 --user u --password-file " + file), "a password is not sent over plain http to another machine: use https://; see 'isonet status --help'"},
		{words("status --url https://192.0.2.1:1 --user u --password-file /nonexistent"), "read the password: open /nonexistent: no such file or directory; see 'isonet status --help'"},
		{words("status --url https://192.0.2.1:1 --cacert /nonexistent"), "read the CA certificates: open /nonexistent: no such file or directory; see 'isonet status --help'"},
		{words("status --url https://192.0.2.1:1 --cacert " + file), "the CA file holds no PEM certificate; see 'isonet status --help'"},
		{words("completion"), "missing argument: bash, zsh or fish; see 'isonet completion --help'"},
		{words("completion tcsh"), "unknown shell 'tcsh': use bash, zsh or fish; see 'isonet completion --help'"},
		{words("prove"), "missing argument: NETWORK; see 'isonet prove --help'"},
		{words("prove red --url https://h:1"), "the probes are on this host, and isonetd is https://h:1: use --socket or '--context local'; see 'isonet prove --help'"},
		{words("prove red --via tap"), "unknown kind of port 'tap': use veth or internal; see 'isonet prove --help'"},
		{words("version x"), "too many arguments: 'x'; see 'isonet version --help'"},
		{words("status --url https://h:1 --socket /x"), "--socket and --url exclude each other; see 'isonet status --help'"},
		{words("status --user u"), "--user, --password-file and --cacert need --url or --context; see 'isonet status --help'"},
		{words("status --url https://h:1 --user u"), "--user and --password-file need each other; see 'isonet status --help'"},
		{words("status --url https://h:1 --password-file f"), "--user and --password-file need each other; see 'isonet status --help'"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			d := &daemon{answers: standard(t)}
			got := command{args: tt.args, stdin: "nets: []\n", socket: d.start(t)}.run(t.Context())
			if asked := d.requests(); asked != "" {
				t.Errorf("the daemon was asked %s", asked)
			}
			want := outcome{code: exitUsage, stderr: "isonet: " + tt.want + "\n"}
			if got != want {
				t.Errorf("isonet %v:\ngot  %+v\nwant %+v", tt.args, got, want)
			}
		})
	}
}

// TestAsk checks what is asked on a terminal, and what becomes of the answers.
func TestAsk(t *testing.T) {
	file := filepath.Join(shortDir(t), "file")
	if err := os.WriteFile(file, []byte("networks: [{name: green}]\nlabels: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, args string
		answers    []string
	}{
		{"ask-delete-yes", "network delete --all", []string{"y"}},
		{"ask-delete-no", "network delete --all", []string{"n"}},
		{"ask-delete-end", "network delete --all", []string{}},
		{"ask-label-delete", "label delete --all", []string{"Yes"}},
		{"ask-prune", "setup --prune -f " + file, []string{"yes"}},
		{"ask-prune-no", "setup --prune -f " + file, []string{"maybe"}},
		{"ask-prune-nothing", "setup --prune -f " + filepath.Join("testdata", "as-it-is.yaml"), []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &daemon{answers: standard(t)}
			c := command{args: words(tt.args), answers: tt.answers, socket: d.start(t)}
			text := transcript(c, c.run(t.Context()), seconds(d.requests()))
			golden(t, tt.name, strings.ReplaceAll(text, file, "FILE"))
		})
	}
}

// TestSchema checks that the schema of setup files needs no daemon.
func TestSchema(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("..", "..", "docs", "setup.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := (command{args: words("setup --schema")}).run(t.Context()); got != (outcome{stdout: string(want)}) {
		t.Errorf("got %+v", got)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"network"}, {"help", "setup"}} {
		got := command{args: args}.run(context.Background())
		if got.code != exitOK || got.stderr != "" || !regexp.MustCompile(`(?s)Usage:\n  isonet.*Flags:`).MatchString(got.stdout) {
			t.Errorf("isonet %v: %+v", args, got)
		}
	}
}
