package ovs_test

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
)

// The sockets of vswitchd are found by the option, beside the socket of its
// database, or where the database says that they are.
func TestTheRunDirectoryIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		tcp        bool
		told, says string // DIR stands for the right directory
	}{
		"by the option":       {true, "/nowhere", "DIR"},
		"by the socket":       {false, "/nowhere", ""},
		"by what it says":     {true, "DIR", ""},
		"by what it says now": {true, "/nowhere", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			private := ovstest.Start(t)
			here := func(text string) string { return strings.ReplaceAll(text, "DIR", private.Dir()) }
			private.Vsctl("add-br", "red", "--", "set", "Bridge", "red", "datapath_type=netdev",
				"--", "set", "Open_vSwitch", ".", "external_ids:rundir="+here(c.told))
			endpoint := private.Endpoint()
			if c.tcp {
				endpoint = overTCP(t, private)
			}
			sw := runWith(t, ovs.Config{Endpoints: []string{endpoint}, DatapathType: "netdev", RunDir: here(c.says), Observer: &observer{}})
			sw.Forward(plan.Forwarding{Bridge: "red", Report: true})
			if name == "by what it says now" {
				private.Vsctl("set", "Open_vSwitch", ".", "external_ids:rundir="+private.Dir())
			}
			flowsOf(t, sw, "red", "its flows are known", func(f plan.Flows) bool { return f.Known })
		})
	}
}

// overTCP lets a server listen on TCP too, and returns where.
func overTCP(t *testing.T, private *ovstest.OVS) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	control := filepath.Join(private.Dir(), "ovsdb.ctl")
	if out, err := exec.CommandContext(t.Context(), "ovs-appctl", "-t", control, "ovsdb-server/add-remote", "ptcp:"+port+":127.0.0.1").CombinedOutput(); err != nil {
		t.Fatalf("ovs-appctl: %v: %s", err, out)
	}
	return "tcp:" + address
}
