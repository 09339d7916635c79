package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	isonetdaemon "github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
)

// TestOtherHost changes what a host must have by the isonetd of another one that shares
// its store.
func TestOtherHost(t *testing.T) {
	dir := shortDir(t)
	store := ovstest.NewServer(t, dir, filepath.Join(dir, "store.db"), filepath.Join("..", "..", "store", "isolated-networks.ovsschema"))
	store.Start()
	shared := func(o *isonetdaemon.Options) { o.Store = store.Endpoint() }
	first := startRemote(t, ovstest.Start(t).Endpoint(), shortDir(t), freePort(t), shared)
	socket := filepath.Join(dir, "d.sock")
	isonet := func(line string) outcome {
		return command{args: words(line), socket: socket}.run(t.Context())
	}
	first.stop()
	second := startRemote(t, ovstest.Start(t).Endpoint(), dir, freePort(t), shared)
	t.Cleanup(second.stop)
	expect := func(line string, code int, stdout, stderr string) {
		t.Helper()
		if got := isonet(line); got.code != code || got.stdout != stdout || got.stderr != stderr {
			t.Errorf("isonet %s: %+v, want the code %d, %q and %q", line, got, code, stdout, stderr)
		}
	}
	hosts := func() (own, other client.Host) {
		t.Helper()
		var list []client.Host
		if err := json.Unmarshal([]byte(isonet("host list -o json").stdout), &list); err != nil || len(list) != 2 {
			t.Fatalf("%v: %v", list, err)
		}
		if list[0].Status == "up" {
			return list[0], list[1]
		}
		return list[1], list[0]
	}
	own, other := hosts()
	if got := isonet("status --host " + own.Name); got.code != exitError || !strings.Contains(got.stderr, "2 hosts have the name '"+own.Name+"': use an id, ") {
		t.Errorf("a name of two hosts: %+v", got)
	}
	if got := isonet("host rename " + other.ID + " other"); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	const note = "isonet: note: the isonetd of host 'other' takes up by itself what is said here: ask it whether it is done\n"
	isonet("network create blue --label lab")
	isonet("network create red")
	expect("attach red --host other", exitOK, "attached network 'red'\n", note)
	expect("attach red --host other", exitOK, "nothing to change\n", "")
	expect("label add lab --host "+other.ID, exitOK, "added label 'lab'\n", note)
	expect("label list --host other", exitOK, "LABEL  NETWORKS\nlab    blue\n", "")
	expect("label list", exitOK, "LABEL  NETWORKS\n", "")
	expect("attach blue --host other", exitOK, "nothing to change\n", "")
	expect("detach blue --host other", exitError, "",
		"isonet: network 'blue' cannot be detached: the host's label 'lab' attaches it; remove that label from the host or from the network\n")
	if _, other = hosts(); strings.Join(other.Networks, " ") != "blue red" {
		t.Errorf("the other host has the networks %q", other.Networks)
	}
	if exported := isonet("export --host other").stdout; strings.Count(exported, "attach: true") != 2 || !strings.Contains(exported, "labels:\n  - lab") {
		t.Errorf("exported:\n%s", exported)
	}
	expect("detach red --host other", exitOK, "detached network 'red'\n", note)
	expect("label delete nolab --host other", exitError, "", "isonet: the host has no label 'nolab'; see 'isonet label list'\n")
	expect("label delete lab --host other", exitOK, "removed label 'lab'\n", note)

	refusal := "isonet: isonetd at " + socket + " knows what is on its own host '" + own.Name + "' only: ask the isonetd of 'other', with --url or --context\n"
	for _, line := range []string{"stats red", "top", "watch", "history", "history -f", "port prune red", "guard release x", "adopt br x", "release red", "plan"} {
		expect(line+" --host other", exitError, "", refusal)
		if got := (command{args: words(line), socket: socket, env: map[string]string{"ISONET_HOST": "other"}}).run(t.Context()); got.stderr != refusal {
			t.Errorf("%s with ISONET_HOST: %+v", line, got)
		}
	}
	for _, line := range []string{"status", "status red", "doctor", "port list", "guard list"} {
		expect(line+" --host other", exitError, "",
			"isonet: The host 'other' has not reported here: ask its own isonetd, or check that it reaches the servers of fleet-status.\n")
	}
	expect("status --host othre", exitError, "", "isonet: there is no host 'othre' (did you mean 'other'?); see 'isonet host list'\n")
	if got := isonet("status --host " + own.ID); got.code != exitOK {
		t.Errorf("the status of the own host: %+v", got)
	}
	if got := (command{args: words("network list"), socket: socket, env: map[string]string{"ISONET_HOST": "nobody"}}).run(t.Context()); got.code != exitOK {
		t.Errorf("a command that means no host: %+v", got)
	}
}

// TestHostCommands checks that every command says whether it means a host.
func TestHostCommands(t *testing.T) {
	root := (&app{}).rootCommand()
	without := map[string]bool{}
	for _, name := range words("backup completion context|delete context|list context|show context|use host|activate host|delete host|drain host|list host|register host|rename logout " +
		"fleet|status network|create network|delete network|list network|show network|update restore validate version " +
		"cluster|backup cluster|init cluster|join cluster|remove cluster|renew cluster|restore cluster|status cluster|upgrade host|join " +
		"token|host token|list token|revoke token|server") {
		without["isonet "+strings.ReplaceAll(name, "|", " ")] = true
	}
	all := map[string]*cobra.Command{}
	for _, cmd := range runnable(root) {
		path := cmd.CommandPath()
		all[path] = cmd
		if _, means := hostCommands()[path]; means == without[path] {
			t.Errorf("does '%s' mean a host? List it in hostCommands, or here", path)
		}
	}
	for path := range hostCommands() {
		if all[path] == nil {
			t.Errorf("there is no command '%s'", path)
		}
	}
}
