package faults

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// clone returns a host of the same store whose Open vSwitch is a copy of another
// host's, with a way out on the network red. It holds because the other one is up.
func clone(t *testing.T, first *hosttest.Host) *hosttest.Host {
	t.Helper()
	h := newHost(t, hosttest.Sharing(first))
	network := strings.TrimPrefix(first.Network("red"), "/networks/")
	h.OVS.Vsctl(
		"set", "Open_vSwitch", ".", "external_ids:system-id="+strings.TrimPrefix(first.Path(), "/hosts/"), "--",
		"add-br", "red", "--", "set", "bridge", "red", "datapath_type="+ovstest.Datapath(), "external_ids:owner=isonet", "external_ids:isonet-network-id="+network, "--",
		"add-port", "red", "uplink", "--", "set", "interface", "uplink", "type=vxlan", "options:remote_ip=192.0.2.1",
	)
	h.Launch()
	held(h)
	return h
}

// held waits until isonetd says that another machine is its host.
func held(h *hosttest.Host) {
	h.Helper()
	h.Await("isonetd says that another machine is its host", func(s hosttest.Status) bool {
		return len(s.Missing) == 1 && s.Missing[0].Ground == "identity" && strings.Contains(s.Missing[0].Remedy, "external_ids:system-id=$(uuidgen") &&
			len(s.Networks) == 1 && s.Networks[0].State == "unknown"
	})
}

// TestTwoMachinesAreOneHost starts a second machine with the system-id of one that
// is up, as a cloned image has it. The first one goes on, whatever happens to it;
// the second one touches nothing until it has an id of its own.
func TestTwoMachinesAreOneHost(t *testing.T) {
	t.Parallel()
	first := newHost(t)
	first.Start()
	first.Create("red")
	first.Attach("red")
	first.Converges("red")
	second := clone(t, first)
	look := func() string {
		second.OVS.Applied()
		return fmt.Sprint(second.OVS.NextCfg(), second.OVS.Vsctl("list-ports", "red"))
	}
	before := look()
	for path, body := range map[string]string{
		"/networks":                     `{"name":"blue","data_center":{"name":"Default"}}`,
		first.Path() + "/setupnetworks": hosttest.Detaching("red"),
	} {
		if reply := second.Answer("POST", path, body); reply.Code != http.StatusServiceUnavailable || !strings.Contains(reply.Text, "system-id") {
			t.Errorf("POST %s is answered with %+v", path, reply)
		}
	}
	for what, happen := range map[string]func(){
		"nothing happens":                       func() {},
		"the server of the store starts anew":   func() { first.Store.Stop(); first.Store.Start() },
		"isonetd of the first one starts anew":  func() { first.Kill(); first.Start() },
		"isonetd of the second one starts anew": func() { second.Kill(); second.Launch() },
	} {
		happen()
		first.AwaitReady()
		first.Converges("red")
		held(second)
		if after := look(); after != before {
			t.Errorf("%s: Open vSwitch of the second one is %s, was %s", what, after, before)
		}
	}
	second.OVS.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id="+uuid.NewString())
	ovstest.Eventually(t, "the second one is a host of its own, without networks", func() error {
		status, err := second.Status()
		if err == nil && (len(status.Missing) > 0 || len(status.Networks) > 0 || len(second.Own()) > 0) {
			err = fmt.Errorf("status %v, missing %v, bridges %v", status, status.Missing, second.Own())
		}
		return err
	})
	first.Converges("red")
}

// TestAMachineTakesTheHostOver takes the first of two machines away for good: the
// second one is the host then, and the first one when it comes back holds.
func TestAMachineTakesTheHostOver(t *testing.T) {
	t.Parallel()
	first := newHost(t)
	first.Start()
	first.Create("red")
	first.Attach("red")
	first.Converges("red")
	second := clone(t, first)
	first.Kill()
	second.AwaitReady()
	second.Converges("red")
	if ports := second.OVS.Vsctl("list-ports", "red"); ports != "" {
		t.Errorf("the ports of red are %s", ports)
	}
	first.Launch()
	held(first)
}
