package daemon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// attachment returns the one attachment of the host.
func (h *host) attachment() map[string]any {
	h.Helper()
	list := h.list(h.path()+"/networkattachments", "network_attachment")
	if len(list) != 1 {
		h.Fatalf("attachments: %v", list)
	}
	return list[0].(map[string]any)
}

// reported returns what the attachment reports of one of its values.
func (h *host) reported(name string) map[string]any {
	h.Helper()
	all := h.attachment()["reported_configurations"].(map[string]any)["reported_configuration"].([]any)
	for _, r := range all {
		if r := r.(map[string]any); r["name"] == name {
			return r
		}
	}
	h.Fatalf("%s is not among %v", name, all)
	return nil
}

// awaitInSync waits for a verdict; nil is none.
func (h *host) awaitInSync(want any) {
	h.Helper()
	ovstest.Eventually(h, fmt.Sprintf("in_sync is %v", want), func() error {
		if a := h.attachment(); a["in_sync"] != want {
			return fmt.Errorf("attachment %v", a)
		}
		return nil
	})
}

func newHostWithRed(t *testing.T) *host {
	h := newHost(t, nil)
	h.start()
	h.network(`{"name":"red","mtu":"9000","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	return h
}

func TestReportedValuesAreReadBack(t *testing.T) {
	h := newHostWithRed(t)
	device := strings.TrimSpace(h.ovs.Vsctl("get", "interface", "red", "mtu"))
	if mtu := h.reported("mtu"); device != "9000" || mtu["actual_value"] != device || mtu["in_sync"] != "true" {
		t.Errorf("the device has an MTU of %s bytes, reported is %v", device, mtu)
	}
	if bridged := h.reported("bridged"); bridged["actual_value"] != "true" || bridged["in_sync"] != "true" {
		t.Errorf("reported is %v", bridged)
	}
	h.awaitInSync("true")
}

func TestNobodyKnowsWhatIsInSyncWithoutOVSDB(t *testing.T) {
	h := newHostWithRed(t)
	h.ovs.StopServer()
	h.awaitInSync(nil)
	for _, name := range []string{"mtu", "bridged"} {
		if r := h.reported(name); r["actual_value"] != nil || r["in_sync"] != nil {
			t.Errorf("reported without OVSDB is %v", r)
		}
	}
	status, action := h.call("POST", h.path()+"/syncallnetworks", "{}")
	if status != http.StatusServiceUnavailable || action["status"] != "failed" {
		t.Errorf("syncallnetworks without OVSDB: %d %v", status, action)
	}
	h.ovs.StartServer()
	h.awaitInSync("true")
	h.must("POST", h.path()+"/syncallnetworks", "{}")
}

// TestSynchronizeWaitsForVSwitchd spoils a network while vswitchd cannot repair
// it.
func TestSynchronizeWaitsForVSwitchd(t *testing.T) {
	h := newHostWithRed(t)
	synchronize := func(timeout string) (int, map[string]any) {
		return h.call("POST", h.path()+"/setupnetworks", fmt.Sprintf(
			`{"connectivity_timeout":%s,"synchronized_network_attachments":{"network_attachment":[{"id":%q}]}}`, timeout, h.attachment()["id"]))
	}
	before := h.must("GET", "/isonet/status", "")["revision"]
	h.ovs.StopVSwitchd()
	h.ovs.Vsctl("--no-wait", "set", "interface", "red", "mtu_request=1300")
	h.awaitInSync("false")
	status, fault := synchronize("1")
	if detail, _ := fault["detail"].(string); status != http.StatusGatewayTimeout || !strings.Contains(detail, "Open vSwitch does not have them as they must be") {
		t.Errorf("synchronizing without vswitchd: %d %v", status, fault)
	}
	h.ovs.StartVSwitchd()
	if status, reply := synchronize("60"); status != http.StatusOK || reply["status"] != "complete" {
		t.Errorf("synchronizing: %d %v", status, reply)
	}
	if a := h.attachment(); a["in_sync"] != "true" {
		t.Errorf("after synchronizing: %v", a)
	}
	if got := strings.TrimSpace(h.ovs.Vsctl("get", "interface", "red", "mtu")); got != "9000" {
		t.Errorf("the device has an MTU of %s bytes", got)
	}
	if after := h.must("GET", "/isonet/status", "")["revision"]; after != before {
		t.Errorf("synchronizing wrote the desired state: revision %v, was %v", after, before)
	}
}

// TestTheSameSetupAgainWritesNothing looks at the revision of the real store.
func TestTheSameSetupAgainWritesNothing(t *testing.T) {
	h := newHostWithRed(t)
	body := `{"modified_labels":{"network_label":[{"id":"lab"}]},` + attachAll("red")[1:]
	h.must("POST", h.path()+"/setupnetworks", body)
	h.must("POST", h.path()+"/syncallnetworks", "{}")
	before, nextCfg := h.must("GET", "/isonet/status", "")["revision"], h.ovs.NextCfg()
	h.must("POST", h.path()+"/setupnetworks", body)
	h.must("POST", h.path()+"/syncallnetworks", "{}")
	if after := h.must("GET", "/isonet/status", "")["revision"]; after != before {
		t.Errorf("revision is %v, was %v", after, before)
	}
	if got := h.ovs.NextCfg(); got != nextCfg {
		t.Errorf("next_cfg is %d, was %d", got, nextCfg)
	}
}
