package hosttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
)

// hang is after how long an answer counts as none. It is generous, because it
// only decides how long a broken run takes.
const hang = 2 * time.Minute

// Reply is an answer of the API.
type Reply struct {
	Code   int
	Header http.Header
	Text   string
}

// Err is nil for a success.
func (r Reply) Err() error {
	if r.Code < http.StatusMultipleChoices {
		return nil
	}
	return fmt.Errorf("status %d: %s", r.Code, r.Text)
}

// Ask makes a request with a body in JSON. The error says that there was no
// answer.
func (h *Host) Ask(method, path, body string) (Reply, error) {
	return h.AskFor(hang, method, path, body)
}

// AskFor does so, and waits for an answer for a time.
func (h *Host) AskFor(patience time.Duration, method, path, body string) (Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://isonet/ovirt-engine/api"+path, strings.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := h.client.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	text, err := io.ReadAll(res.Body)
	return Reply{res.StatusCode, res.Header, string(text)}, err
}

// Answer makes a request that has to be answered.
func (h *Host) Answer(method, path, body string) Reply {
	h.Helper()
	reply, err := h.Ask(method, path, body)
	if err != nil {
		h.Fatalf("%s %s: no answer: %v", method, path, err)
	}
	return reply
}

// Must makes a request that has to succeed, and returns what it is answered.
func (h *Host) Must(method, path, body string) map[string]any {
	h.Helper()
	reply := h.Answer(method, path, body)
	var object map[string]any
	err := reply.Err()
	if err == nil {
		err = json.Unmarshal([]byte(reply.Text), &object)
	}
	if err != nil {
		h.Fatalf("%s %s: %v", method, path, err)
	}
	return object
}

// Go makes a request that nobody waits for.
func (h *Host) Go(method, path, body string) <-chan error {
	done := make(chan error, 1)
	go func() {
		reply, err := h.Ask(method, path, body)
		if err == nil {
			err = reply.Err()
		}
		done <- err
	}()
	return done
}

// Metrics returns what isonetd tells Prometheus.
func (h *Host) Metrics() (string, error) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		var conn net.Conn
		err := <-ovstest.GoInside(h.Namespace, func() (err error) {
			conn, err = net.Dial("tcp", metricsListen)
			return err
		})
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: hang}).Get("http://" + metricsListen + "/metrics")
	if err != nil {
		return "", err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// Path returns the path of the host.
func (h *Host) Path() string { return "/hosts/" + h.id }

// Create creates a network for each name.
func (h *Host) Create(names ...string) {
	h.Helper()
	for _, name := range names {
		h.Must("POST", "/networks", fmt.Sprintf(`{"name":%q,"data_center":{"name":"Default"}}`, name))
	}
}

// Attach attaches networks to the host in one request that has to succeed.
func (h *Host) Attach(names ...string) {
	h.Helper()
	h.Must("POST", h.Path()+"/setupnetworks", Attaching(names...))
}

// Attaching is the body of setupnetworks that attaches networks.
func Attaching(names ...string) string { return setup("modified_network_attachments", names) }

// Detaching is the one that detaches them, although ports are in use.
func Detaching(names ...string) string {
	return strings.Replace(setup("removed_network_attachments", names), "{", `{"force":"true",`, 1)
}

func setup(member string, names []string) string {
	var list []string
	for _, name := range names {
		list = append(list, fmt.Sprintf(`{"network":{"name":%q}}`, name))
	}
	return fmt.Sprintf(`{%q:{"network_attachment":[%s]}}`, member, strings.Join(list, ","))
}

// Status is what isonetd says of its host.
type Status struct {
	// Stale says that it does not follow both databases.
	Stale     bool `json:"-"`
	Revision  int64
	LastError string `json:"last_error"`
	Networks  []Network
	// Missing is what the verdicts rest on and is not there.
	Missing []struct {
		Ground, Cause, Remedy string
		Since                 time.Time
	}
}

// String tells of the first networks, which are enough to see what is wrong.
func (s Status) String() string {
	return fmt.Sprintf("stale: %t, revision: %d, last error: %q, %d networks: %+v",
		s.Stale, s.Revision, s.LastError, len(s.Networks), s.Networks[:min(len(s.Networks), 10)])
}

// Network is one of the host's.
type Network struct {
	Name, Bridge, State, Reason string
	Ports                       []Port
	Isolation                   struct {
		Isolated bool
		Verdict  string
	}
}

// Port is one that somebody plugged in.
type Port struct {
	Name, Error string
	LinkUp      bool `json:"link_up"`
}

// Status asks for it.
func (h *Host) Status() (Status, error) {
	var status Status
	reply, err := h.Ask("GET", "/isonet/status", "")
	if err == nil {
		err = reply.Err()
	}
	if err == nil {
		err = json.Unmarshal([]byte(reply.Text), &status)
	}
	status.Stale = reply.Header.Get("Isonet-Stale") != ""
	return status, err
}

// Bridges returns the bridges that Open vSwitch has, in order.
func (h *Host) Bridges() []string { return strings.Fields(h.OVS.Vsctl("--no-wait", "list-br")) }

// Own returns those of them that are isonet's.
func (h *Host) Own() []string {
	h.Helper()
	own := strings.Fields(h.OVS.Vsctl("--no-wait", "--bare", "--columns=name", "find", "bridge", "external_ids:"+plan.OwnerKey+"="+plan.Owner))
	slices.Sort(own)
	return own
}

// Converges fails the test unless isonetd and Open vSwitch come to rest with
// exactly these networks: each has its bridge and is active, nothing is left to
// do, and nothing is written any more.
func (h *Host) Converges(networks ...string) {
	h.Helper()
	slices.Sort(networks)
	ovstest.Eventually(h, fmt.Sprintf("all is as it must be with the networks %v", networks), func() error {
		status, err := h.Status()
		if err != nil {
			return err
		}
		var active []string
		for _, n := range status.Networks {
			if n.State == "active" {
				active = append(active, n.Name)
			}
		}
		slices.Sort(active)
		if !slices.Equal(active, networks) || len(status.Networks) != len(networks) || status.Stale {
			return fmt.Errorf("status %v", status)
		}
		reply, err := h.Ask("GET", "/isonet/plan", "")
		if err != nil || reply.Err() != nil || !strings.Contains(reply.Text, `"operations":[]`) {
			return fmt.Errorf("plan %s, %w", reply.Text, err)
		}
		return nil
	})
	h.OVS.Applied()
	if got := h.Own(); !slices.Equal(got, networks) {
		h.Errorf("isonet's bridges are %v, want %v", got, networks)
	}
	h.leavesNothing()
	h.Rests()
}

// leavesNothing waits until the evictions and releases of dead writers have ended, which
// isonetd ends itself.
func (h *Host) leavesNothing() {
	h.Helper()
	if h.Store == nil {
		return
	}
	ovstest.Eventually(h, "evictions and releases end", func() error {
		rows := fmt.Sprint(h.Store.Transact(`["Isolated_Networks",{"op":"select","table":"Host","where":[],"columns":["evicted","released"]}]`))
		if strings.Contains(rows, "uuid") {
			return fmt.Errorf("hosts are %s", rows)
		}
		return nil
	})
}

// Rests fails the test if isonetd writes although nothing is to do.
func (h *Host) Rests() {
	h.Helper()
	// What isonetd sends is all on its wires. The rows themselves vswitchd writes
	// too, such as after a restart of its server.
	type written struct{ NextCfg, ToOVS, ToStore int }
	look := func() written {
		h.Helper()
		// Each makes isonetd look at both sides and compare.
		h.Must("POST", h.Path()+"/syncallnetworks", "{}")
		h.Must("POST", h.Path()+"/setupnetworks", "{}")
		w := written{NextCfg: h.OVS.NextCfg(), ToOVS: h.ToOVS.Sent("transact")}
		if h.ToStore != nil {
			w.ToStore = h.ToStore.Sent("transact")
		}
		return w
	}
	if diff := cmp.Diff(look(), look()); diff != "" {
		h.Errorf("isonetd writes although nothing is to do (-before +after):\n%s", diff)
	}
}

// Network returns the path of a network.
func (h *Host) Network(name string) string {
	h.Helper()
	list, _ := h.Must("GET", "/networks?search=name%3D"+name, "")["network"].([]any)
	if len(list) != 1 {
		h.Fatalf("the networks named %s are %v", name, list)
	}
	return "/networks/" + list[0].(map[string]any)["id"].(string)
}

// Attached returns the names of the networks that the host is to have, in order.
func (h *Host) Attached() []string {
	h.Helper()
	status, err := h.Status()
	if err != nil {
		h.Fatal(err)
	}
	names := []string{}
	for _, n := range status.Networks {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

// Live returns how many ports of a network are in use.
func (s Status) Live(network string) (ports int) {
	for _, n := range s.Networks {
		for _, p := range n.Ports {
			if n.Name == network && p.LinkUp {
				ports++
			}
		}
	}
	return ports
}

// Await waits until isonetd's status is as it must be.
func (h *Host) Await(what string, check func(Status) bool) {
	h.Helper()
	ovstest.Eventually(h, what, func() error {
		status, err := h.Status()
		if err == nil && !check(status) {
			err = fmt.Errorf("status %v", status)
		}
		return err
	})
}
