package e2e

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBridgeInUseStays(t *testing.T) {
	h := newHost(t)
	h.network("red")
	h.plug(red1, red2)
	attachments := "/hosts/" + h.id + "/networkattachments"
	attachment := attribute(t, h.get(attachments), "network_attachment", "id")
	var before map[string]string
	h.eventually("isonet has judged the VMs", func() error {
		before = h.everything()
		if !strings.Contains(before[attachments], "<isolated>true</isolated>") {
			return errors.New(before[attachments])
		}
		if diff := cmp.Diff(before, h.everything()); diff != "" {
			return errors.New(diff)
		}
		return nil
	})

	for what, answer := range map[string]string{
		"setupnetworks":     h.setup(http.StatusConflict, detach("red")),
		"DELETE attachment": h.call(http.StatusConflict, http.MethodDelete, attachments+"/"+attachment, ""),
	} {
		for _, v := range []vm{red1, red2} {
			if !strings.Contains(answer, v.port()) {
				t.Errorf("the refusal of %s does not name %s: %s", what, v.port(), answer)
			}
		}
	}
	if diff := cmp.Diff(before, h.everything()); diff != "" {
		t.Errorf("a refused removal changed something (-before +after):\n%s", diff)
	}
	h.reaches(red1, red2.ip)

	h.setup(http.StatusOK, detach("red"), force)
	if h.hasBridge("red") {
		t.Error("the bridge is there after a forced removal")
	}
	h.isolated(red1, red2.ip)
}

func TestForeignBridgesStay(t *testing.T) {
	h := newHost(t)
	h.vsctl("add-br foreign -- set bridge foreign datapath_type=netdev fail_mode=secure external_ids:owner=somebody",
		"-- add-port foreign inside -- set interface inside type=internal")
	before := h.rows("foreign", "inside")

	h.network("red", "blue")
	h.vsctl("del-br red")
	h.vsctl("wait-until bridge red external_ids:owner=isonet")
	h.killDaemon()
	h.startDaemon()
	h.setup(http.StatusOK, detach("red", "blue"))

	if got := strings.TrimSpace(h.vsctl("list-br")); got != "foreign" {
		t.Errorf("bridges at the end: %q, want only the foreign one", got)
	}
	if diff := cmp.Diff(before, h.rows("foreign", "inside")); diff != "" {
		t.Errorf("the foreign bridge (-before +after):\n%s", diff)
	}
}

// rows returns the records of a bridge and a port of it.
func (h *host) rows(bridge, port string) string {
	h.t.Helper()
	return h.row("bridge", bridge) + h.row("port", port) + h.row("interface", port)
}

func TestNameIsTaken(t *testing.T) {
	for _, test := range []struct{ name, take, look string }{
		{
			"by a bridge that isonet did not make",
			`ovs-vsctl add-br taken -- set bridge taken datapath_type=netdev`,
			`ovs-vsctl list bridge taken`,
		},
		{
			"by a network device",
			`ip link add taken type veth peer name other`,
			`ip -o link show dev taken`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			h.run(test.take)
			before := h.run(test.look)
			h.createNetwork("taken", "")
			h.createNetwork("red", "")
			want := h.everything()

			answer := h.setup(http.StatusConflict, attach("taken", "red"))
			if !strings.Contains(answer, "taken") || !strings.Contains(answer, "rename") {
				t.Errorf("the refusal does not say what is wrong and what to do: %s", answer)
			}
			if diff := cmp.Diff(want, h.everything()); diff != "" {
				t.Errorf("a refused change left something (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(before, h.run(test.look)); diff != "" {
				t.Errorf("what has the name (-before +after):\n%s", diff)
			}

			h.setup(http.StatusOK, attach("red"))
			if !h.hasBridge("red") {
				t.Error("the other network cannot be attached afterwards")
			}
		})
	}
}

func TestPasswordIsNeededFromAfar(t *testing.T) {
	h := newHost(t)
	for _, secret := range []string{"", "wrong"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.api+"/networks", nil)
		if err != nil {
			t.Fatal(err)
		}
		if secret != "" {
			req.SetBasicAuth(user, secret)
		}
		status, _, err := h.send(req)
		if err != nil {
			t.Fatal(err)
		}
		if status != http.StatusUnauthorized {
			t.Errorf("with the password %q: status %d, want 401", secret, status)
		}
	}
}

// The command line does from a shell what the other tests do over the network.
func TestCommandLine(t *testing.T) {
	h := newHost(t)
	h.run(`isonet setup -f - <<'YAML'
networks:
  - name: red
    attach: true
  - name: blue
    label: team
labels: [team]
YAML`)
	h.plug(red1, red2, blue1)
	h.reaches(red1, red2.ip)
	h.isolated(red1, blue1.ip)

	out := h.run(`isonet status`)
	for _, word := range []string{"red", "blue", "active"} {
		if !strings.Contains(out, word) {
			t.Errorf("isonet status does not say %q:\n%s", word, out)
		}
	}
}
