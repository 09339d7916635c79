package api_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The objects of every world. host1 is the local one.
const (
	host1 = model.ID("11111111-1111-4111-8111-111111111111")
	host2 = model.ID("22222222-2222-4222-8222-222222222222")
	iso1  = model.ID("aaaaaaaa-0000-4000-8000-000000000001") // attached to host1, with a property
	iso2  = model.ID("aaaaaaaa-0000-4000-8000-000000000002") // attached to nothing
	iso3  = model.ID("aaaaaaaa-0000-4000-8000-000000000003") // on host1 by the label lab3
	iso4  = model.ID("aaaaaaaa-0000-4000-8000-000000000004") // labelled lab4, on no host
)

func attachmentID(network model.ID) string { return string(model.AttachmentID(host1, network)) }

func onHost2(network model.ID) string { return string(model.AttachmentID(host2, network)) }

func newDesired() *model.Desired {
	d := model.NewDesired()
	d.Revision = 7
	d.Hosts[host1] = model.Host{ID: host1, SystemID: string(host1), Name: "host1", Labels: []string{"lab3"}}
	d.Hosts[host2] = model.Host{ID: host2, SystemID: string(host2), Name: "host2"}
	for _, n := range []model.Network{
		{ID: iso1, Name: "iso1", Description: "first <&> network", MTU: 1400},
		{ID: iso2, Name: "second isolated network", Comment: "nothing yet", PortIsolation: true},
		{ID: iso3, Name: "iso3", Label: "lab3"},
		{ID: iso4, Name: "iso4", Label: "lab4"},
	} {
		n.VdsmName, n.Revision = model.VdsmName(n.ID, n.Name), 1
		d.Networks[n.ID] = n
	}
	if _, err := d.Attach(host1, iso1, map[string]string{"purpose": "lab"}); err != nil {
		panic(err)
	}
	return d
}

// memory is a store without a database.
type memory struct {
	mu      sync.Mutex
	desired *model.Desired
	fail    error // of the next Update
	stale   time.Time
	unread  bool // nobody has read the database yet
}

func (s *memory) Ready() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := make(chan struct{})
	if !s.unread {
		close(ready)
	}
	return ready
}

func (s *memory) StaleSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stale
}

func (s *memory) Snapshot() *model.Desired {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desired
}

func (s *memory) Update(_ context.Context, change func(*model.Desired) error) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A change is run twice, as the real store does after a lost race.
	if err := change(s.desired.Clone()); err != nil {
		return 0, err
	}
	next := s.desired.Clone()
	if err := change(next); err != nil {
		return 0, err
	}
	if err := next.Validate(); err != nil {
		return 0, err
	}
	if s.fail != nil {
		return 0, s.fail
	}
	if !cmp.Equal(next, s.desired) {
		next.Revision++
		s.desired = next
	}
	return next.Revision, nil
}

// loop realises everything at once, unless it is told otherwise.
type loop struct {
	store *memory

	mu      sync.Mutex
	status  report.Status
	changed chan struct{}
	ports   map[string][]plan.Port // plugged into bridges
	refuse  error                  // what WaitFor returns
	stuck   bool                   // WaitFor waits for ever
	waited  []model.ID             // what WaitFor was last asked for
	// former and attached are what Former returns when the host is not there.
	former   model.Host
	attached []model.Attachment
	onWait   func()        // runs before WaitFor's answer
	looked   chan struct{} // gets a value after each look at the status, unless nil
}

func (l *loop) Status() report.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looked != nil {
		l.looked <- struct{}{}
	}
	return l.status
}

func (l *loop) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *loop) WaitFor(ctx context.Context, revision int64, networks ...model.ID) error {
	if newest := l.store.Snapshot().Revision; newest < revision {
		return fmt.Errorf("waiting for revision %d, but the store has %d", revision, newest)
	}
	if l.onWait != nil {
		l.onWait()
	}
	l.mu.Lock()
	l.waited = networks
	refuse, stuck := l.refuse, l.stuck
	l.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return fmt.Errorf("not realised in time: Open vSwitch has not applied the last change yet: %w", ctx.Err())
	}
	if refuse != nil {
		return refuse
	}
	l.realise()
	return nil
}

// Former returns what it is told to.
func (l *loop) Former() (model.Host, []model.Attachment, bool) {
	return l.former, l.attached, l.former.ID != ""
}

// ReleaseDevice does it at once.
func (l *loop) ReleaseDevice(_ context.Context, device string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	return l.status.Releasable(device)
}

// Prune removes what is stale at once.
func (l *loop) Prune(_ context.Context, network model.ID) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return nil, l.refuse
	}
	var names []string
	for _, name := range l.status.StalePorts(network) {
		names = append(names, name)
		bridge := l.store.Snapshot().Networks[network].VdsmName
		l.ports[bridge] = slices.DeleteFunc(l.ports[bridge], func(other plan.Port) bool { return other.Name == name })
	}
	return names, nil
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// realise makes Open vSwitch have what the store asks for.
func (l *loop) realise() {
	d := l.store.Snapshot()
	actual := &plan.Actual{
		SystemID: string(host1), OVSVersion: "3.1.0", DatapathType: "system",
		Bridges: map[string]plan.Bridge{"br-ex": {UUID: "0b8d1f6e-6a9b-4c0d-9d57-0c4f7cfe6a11", Name: "br-ex", DatapathType: "system"}},
		Links:   plan.NewLinks(plan.Device{Index: 2, Name: "eth0"}),
	}
	verdicts := map[model.ID]report.NetworkStatus{}
	for _, n := range d.HostNetworks(host1) {
		actual.Bridges[n.VdsmName] = bridge(n, l.ports[n.VdsmName])
		verdicts[n.ID] = report.NetworkStatus{
			State: report.Active, Since: epoch, Isolation: report.Isolation{Verdict: report.Isolated, Since: epoch},
		}
	}
	l.publish(func(s *report.Status) {
		s.Revision, s.Host, s.Switch, s.Networks = d.Revision, see(actual), reconcile.SwitchOf(actual), verdicts
	})
}

// sight is what is told of rows that a test may change.
type sight struct {
	report.Host
	actual *plan.Actual
}

func see(actual *plan.Actual) report.Host { return sight{reconcile.Seen(actual), actual} }

// rows returns the rows of which a status tells.
func rows(s *report.Status) *plan.Actual { return s.Host.(sight).actual }

func (l *loop) publish(change func(*report.Status)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.status)
	close(l.changed)
	l.changed = make(chan struct{})
}

func bridge(n model.Network, endpoints []plan.Port) plan.Bridge {
	spec := plan.NewSpec(n, "system")
	local := plan.Port{
		Name: spec.Name, VLANMode: spec.VLANMode, Trunks: spec.Trunks, Tag: -1, ExternalIDs: spec.PortExternalIDs(),
		Interfaces: []plan.Interface{{Name: spec.Name, Type: "internal", MTURequest: spec.MTU, MTU: spec.MTU, OFPort: 65534}},
	}
	return plan.Bridge{
		Name: spec.Name, Network: n.ID, DatapathType: spec.DatapathType, ExternalIDs: spec.ExternalIDs, OtherConfig: spec.OtherConfig,
		Ports: append([]plan.Port{local}, endpoints...),
	}
}

func vmPort(name string) plan.Port {
	return plan.Port{Name: name, Tag: -1, Interfaces: []plan.Interface{{
		UUID: name, Name: name, MTU: 1400, OFPort: 3, LinkUp: true,
		ExternalIDs: map[string]string{"vm-id": "33333333-3333-4333-8333-333333333333", "iface-id": "44444444-4444-4444-8444-444444444444"},
	}}}
}

type traffic map[model.ID]model.Traffic

func (t traffic) Traffic() map[model.ID]model.Traffic { return t }

// Ports says that vnet0 has carried all that its network has.
func (t traffic) Ports() map[string]model.PortTraffic {
	ports := map[string]model.PortTraffic{}
	if all, known := t[iso1]; known {
		ports["vnet0"] = model.PortTraffic{Network: iso1, Traffic: all}
	}
	return ports
}

type machine model.Machine

func (m machine) Snapshot() model.Machine { return model.Machine(m) }

// newMachine returns one of which everything is known.
func newMachine() machine {
	return machine{
		Memory: &model.Memory{
			Total: 67378307072, Available: 50000000000, Shared: 1048576, Buffers: 40960, Cached: 30000000000,
			SwapTotal: 8589930496, SwapFree: 8000000000, SwapCached: 4096,
		},
		CPU:  &model.CPUUse{User: 12.34, System: 5, Idle: 81.5, Interval: 10 * time.Second, Until: epoch.Add(time.Minute)},
		Load: new(1.25), Boot: epoch.Add(-time.Hour),
		Processors: model.Processors{Sockets: 2, Cores: 16, Threads: 2, MHz: 2300, Name: "Processor 7 <&>"},
		Kernel:     "6.1.0-18-amd64", Manufacturer: "Maker", Product: "Machine 9",
	}
}

type nics []model.NIC

func (n nics) Snapshot() []model.NIC { return n }

// newNICs returns a host with one of each: an interface with everything, a bond
// and its slaves, a VLAN over it, and a team of which little is known.
func newNICs() nics {
	prefixes := func(text ...string) []netip.Prefix {
		var list []netip.Prefix
		for _, t := range text {
			list = append(list, netip.MustParsePrefix(t))
		}
		return list
	}
	return nics{
		{
			Name: "bond0", MAC: "52:54:00:00:00:01", MTU: 9000, Up: true, Speed: 25e9,
			Bond: &model.Bond{Mode: 1, LinkMonitoring: 100, Slaves: []string{"eth1", "eth2"}, Active: "eth1"},
		},
		{
			Name: "bond0.7", MAC: "52:54:00:00:00:01", MTU: 9000, Up: true, Speed: 25e9,
			VLAN: &model.VLAN{ID: 7, Base: "bond0"}, Addresses: prefixes("fe80::1/64"),
		},
		{
			Name: "eth0", MAC: "52:54:00:00:00:00", MTU: 1500, Up: true, Speed: 10e9,
			Addresses: prefixes("192.0.2.10/25", "198.51.100.1/24", "fe80::5054:ff:fe00:0/64", "2001:db8::10/48", "2001:db8::11/64"),
			Total: model.Counters{
				ReceivedBytes: 18446744073709551615, ReceivedPackets: 7, ReceivedDrops: 1, ReceivedErrors: 2,
				TransmittedBytes: 9007199254740993, TransmittedPackets: 8, TransmittedDrops: 3, TransmittedErrors: 4,
			},
			Rate: &model.Rate{ReceivedBytes: 1.25e8, TransmittedBytes: 0.2},
		},
		{Name: "eth1", MAC: "52:54:00:00:00:01", MTU: 9000, Up: true, Speed: 25e9},
		{Name: "eth2", MAC: "52:54:00:00:00:02", MTU: 9000},
		{Name: "team0", MTU: 1500, Bond: &model.Bond{Mode: model.NoBondMode}},
	}
}

func nicID(name string) string { return string(model.NICID(host1, name)) }

// world is an API over a store in memory and an obedient Open vSwitch.
type world struct {
	t       testing.TB
	store   *memory
	loop    *loop
	api     *api.API
	handler http.Handler
	// address is where requests come from; "" is another one each time.
	address string
	// requests counts them.
	requests atomic.Int64
}

func newWorld(t testing.TB, changes ...func(*api.Config)) *world {
	t.Helper()
	store := &memory{desired: newDesired()}
	l := &loop{
		store: store, changed: make(chan struct{}),
		ports:  map[string][]plan.Port{"iso1": {vmPort("vnet0")}},
		status: report.Status{HostID: host1, Connected: true, Since: epoch},
	}
	l.realise()
	cfg := api.Config{
		Store: store, Loop: l, NICs: newNICs(), Machine: newMachine(), Logger: slog.New(slog.DiscardHandler), Version: "1.2.3",
		Traffic: traffic{iso1: {
			Total: model.Counters{
				ReceivedBytes: 12345678901234, ReceivedPackets: 12, ReceivedDrops: 3, ReceivedErrors: 4,
				TransmittedBytes: 9007199254740993, TransmittedPackets: 13, TransmittedDrops: 5, TransmittedErrors: 6,
			},
			Created: epoch, Updated: epoch.Add(time.Minute),
			Rate: &model.Rate{ReceivedBytes: 1234.5, TransmittedBytes: 1e6, Interval: 5200 * time.Millisecond, Until: epoch.Add(time.Minute)},
		}},
	}
	for _, change := range changes {
		change(&cfg)
	}
	a, err := api.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, store: store, loop: l, api: a, handler: a.Local()}
}

type header map[string]string

// do sends a request with an XML body, unless the headers say otherwise. The
// exchange must be as in docs/openapi.yaml.
func (w *world) do(method, path, body string, headers ...header) *httptest.ResponseRecorder {
	w.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, reader)
	// Each request has an address of its own, so that none waits for the wrong
	// passwords of others.
	if r.RemoteAddr = w.address; w.address == "" {
		r.RemoteAddr = fmt.Sprintf("[fd00:0:0:%x::1]:80", w.requests.Add(1)&0xffff)
	}
	r.Header.Set("Content-Type", "application/xml")
	for _, h := range headers {
		for name, value := range h {
			r.Header.Set(name, value)
		}
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	if err := checkContract(r, body, recorder); err != nil {
		w.t.Errorf("%s %s is not as in docs/openapi.yaml: %v", method, path, err)
	}
	return recorder
}

// must sends a request and fails the test unless it has the status code.
func (w *world) must(status int, method, path, body string, headers ...header) *httptest.ResponseRecorder {
	w.t.Helper()
	got := w.do(method, path, body, headers...)
	if got.Code != status {
		w.t.Fatalf("%s %s: status %d, want %d:\n%s", method, path, got.Code, status, got.Body)
	}
	return got
}

type faultBody struct {
	XMLName xml.Name `xml:"fault"`
	Detail  string   `xml:"detail"`
	Reason  string   `xml:"reason"`
}

func readFault(t testing.TB, body []byte) faultBody {
	t.Helper()
	var f faultBody
	if err := xml.Unmarshal(body, &f); err != nil {
		t.Fatalf("the body is no fault: %v:\n%s", err, body)
	}
	return f
}

// attached returns the names of a host's networks.
func (w *world) attached(host model.ID) []string {
	var names []string
	for _, n := range w.store.Snapshot().HostNetworks(host) {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

const base = "/ovirt-engine/api"

var (
	hostPath        = base + "/hosts/" + string(host1)
	attachmentsPath = hostPath + "/networkattachments"
	setupPath       = hostPath + "/setupnetworks"
	nicsPath        = hostPath + "/nics"
	jsonBody        = header{"Content-Type": "application/json"}
	jsonReply       = header{"Accept": "application/json"}
)
