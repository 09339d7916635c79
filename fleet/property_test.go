package fleet_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

// world makes random hosts.
type world struct {
	*rand.Rand
	now      time.Time
	host     model.ID
	networks []model.Network
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 0)), now: time.Now().Truncate(time.Millisecond), host: model.NewID()}
	for i := range 12 {
		w.networks = append(w.networks, model.Network{ID: model.NewID(), Name: fmt.Sprintf("net%d", i), VdsmName: fmt.Sprintf("net%d", i), MTU: 1500 * w.IntN(3)})
	}
	return w
}

func (w *world) often() bool  { return w.IntN(3) > 0 }
func (w *world) seldom() bool { return w.IntN(6) == 0 }

func (w *world) text() string {
	return []string{"", "a reason", "wörter \"in\" quotes\nand lines", strings.Repeat("x", 300)}[w.IntN(4)]
}

// name is that of a bridge, a port or a device, which may be the one of a network.
func (w *world) name() string {
	if w.often() {
		return fmt.Sprintf("dev%d", w.IntN(20))
	}
	return w.networks[w.IntN(len(w.networks))].VdsmName
}

func (w *world) actual() *plan.Actual {
	a := &plan.Actual{Bridges: map[string]plan.Bridge{}, Lingering: map[string]bool{}, SystemID: "x", DatapathType: "netdev"}
	used := map[string]bool{} // names of ports: Open vSwitch has each once
	for i := range 1 + w.IntN(14) {
		b := plan.Bridge{UUID: string(model.NewID()), Name: w.name(), DatapathType: []string{"", "netdev", plan.ResetDatapath}[w.IntN(3)]}
		if i < len(w.networks) && w.often() {
			b.Network = w.networks[i].ID
			if !w.seldom() {
				b.Name = w.networks[i].VdsmName
			}
		}
		if _, there := a.Bridges[b.Name]; there || used[b.Name] {
			continue
		}
		if w.seldom() {
			b.FailMode = plan.SecureFailMode
		}
		for n := w.IntN(5); n >= 0; n-- {
			name := w.name()
			if n == 0 && w.often() {
				name = b.Name
			}
			if _, bridge := a.Bridges[name]; bridge || used[name] {
				continue
			}
			used[name] = true
			b.Ports = append(b.Ports, w.port(name))
		}
		slices.SortFunc(b.Ports, func(x, y plan.Port) int { return strings.Compare(x.Name, y.Name) })
		a.Bridges[b.Name] = b
	}
	if w.often() {
		var devices []plan.Device
		for i := range w.IntN(12) {
			devices = append(devices, plan.Device{Index: i + 1, Name: w.name() + strings.Repeat("y", 9*w.IntN(2))})
		}
		slices.SortFunc(devices, func(x, y plan.Device) int { return strings.Compare(x.Name, y.Name) })
		a.Links = plan.NewLinks(slices.CompactFunc(devices, func(x, y plan.Device) bool { return x.Name == y.Name })...)
	}
	for range w.IntN(3) {
		a.Lingering[w.name()] = true
	}
	return a
}

func (w *world) port(name string) plan.Port {
	p := plan.Port{UUID: string(model.NewID()), Name: name, Protected: w.seldom()}
	i := plan.Interface{
		UUID: string(model.NewID()), Name: name, Type: []string{"", "internal", "vxlan"}[w.IntN(3)], MTU: w.IntN(3) * 1500, OFPort: w.IntN(4) - 1,
		LinkUp: w.often(), ExternalIDs: map[string]string{},
	}
	if w.seldom() {
		i.Error = "could not open it"
	}
	for _, key := range []string{"attached-mac", "vm-id", "iface-id", "vm-name"} {
		if w.often() {
			i.ExternalIDs[key] = key + " " + w.text()
		}
	}
	p.Interfaces = []plan.Interface{i}
	return p
}

func (w *world) desired() *model.Desired {
	d := model.NewDesired()
	h := model.Host{ID: w.host, SystemID: systemID(w.host)}
	for _, n := range w.networks {
		d.Networks[n.ID] = n
		if w.often() {
			id := model.AttachmentID(w.host, n.ID)
			d.Attachments[id] = model.Attachment{ID: id, Host: w.host, Network: n.ID, Explicit: true}
		} else if w.seldom() {
			h.Evicted = append(h.Evicted, n.ID)
		} else if w.seldom() {
			h.Released = append(h.Released, n.ID)
		}
	}
	d.Hosts[w.host] = h
	return d
}

func (w *world) moment() time.Time { return w.now.Add(-time.Duration(w.IntN(100)) * time.Second) }

func (w *world) status(revision int64, host report.Host) report.Status {
	s := report.Status{
		HostID: w.host, Connected: w.often(), Since: w.moment(), Revision: revision, Host: host, Repairs: w.Uint64N(9), Reconnects: w.Uint64N(9),
		LastError: w.text(), Switch: report.Switch{Version: "3.1", SchemaVersion: "8", DatapathType: "netdev"},
		Networks: map[model.ID]report.NetworkStatus{}, Devices: map[model.ID][]report.Device{},
	}
	if w.often() {
		s.Guard = &report.Guarding{Failed: "", Devices: []report.Device{{Index: 7, Name: "vm7"}}, Protection: report.Protection{
			Guarded: []report.Device{{Index: 7, Name: "vm7"}}, Verified: time.Now(),
		}}
		if w.seldom() {
			s.Guard.Limited = w.text()
		}
		if w.seldom() {
			s.Guard.Left = []report.Device{{Index: 8, Name: "vm8"}}
		}
	}
	if w.seldom() {
		s.Missing = []report.Missing{{Ground: report.OnVSwitchd, Since: w.moment(), Cause: w.text(), Remedy: w.text(), Busy: w.often()}}
	}
	if w.seldom() {
		s.Notices = []report.Notice{{Text: w.text(), Remedy: w.text()}}
	}
	for _, n := range w.networks {
		if w.seldom() {
			s.Held = append(s.Held, report.Held{Bridge: n.VdsmName, NetworkID: n.ID, Ports: []string{"vm1", "vm2"}})
		}
		if w.seldom() {
			continue
		}
		v := report.NetworkStatus{
			State: []report.State{report.Active, report.Pending, report.Failed}[w.IntN(3)], Reason: w.text(), Conflict: w.seldom(), Since: w.moment(), Strict: w.often(),
			Isolation: report.Isolation{Verdict: report.Isolated, Reason: w.text(), Contested: w.seldom(), Since: w.moment()},
		}
		if w.seldom() {
			v.Isolation.Verdict = report.NotIsolated
			v.Isolation.Findings = []isolation.Finding{{Reason: isolation.PatchPort, Bridge: n.VdsmName, Port: "p", Column: "c", Detail: w.text(), Action: "reported", Notice: w.often()}}
		}
		if w.seldom() {
			v.Isolation.Pending = []isolation.Pending{{Port: "p"}}
		}
		s.Networks[n.ID] = v
		s.Devices[n.ID] = [][]report.Device{nil, {{Index: 7, Name: "vm7"}}, {{Index: 9, Name: "vm9"}}}[w.IntN(3)]
	}
	slices.SortFunc(s.Held, func(a, b report.Held) int { return strings.Compare(a.Bridge, b.Bridge) })
	return s
}

// answers are what API and change ask of a status.
type answers struct {
	Status    report.Status
	Lacks     *report.Missing
	Networks  map[model.ID]report.NetworkStatus
	Guards    map[model.ID]report.HostGuard
	Bridges   map[string]report.Bridge
	Of        map[model.ID]report.Bridge
	Stale     map[model.ID][]string
	HeldBy    map[model.ID][]string
	Names     map[string]report.Taken
	Conflicts []report.Conflict
	Leaving   int
	Held      []report.Held
	Comes     map[report.Verb][]string
}

func (w *world) ask(s report.Status, d *model.Desired) answers {
	a := answers{
		Status: s, Lacks: s.Lacks(), Networks: map[model.ID]report.NetworkStatus{}, Guards: map[model.ID]report.HostGuard{}, Bridges: map[string]report.Bridge{},
		Of: map[model.ID]report.Bridge{}, Stale: map[model.ID][]string{}, HeldBy: map[model.ID][]string{}, Names: map[string]report.Taken{},
		Conflicts: s.Host.Conflicts(d, w.host), Leaving: s.Host.Leaving(d, w.host), Comes: map[report.Verb][]string{},
	}
	for name, t := range s.Host.Names() {
		if len(name) <= 15 || t.Bridge != "" {
			a.Names[name] = t
		}
		if b, there := s.Host.BridgeNamed(name); there {
			if b.Network == "" {
				b = report.Bridge{UUID: b.UUID, Name: b.Name}
			}
			a.Bridges[name] = b
		}
	}
	for _, n := range w.networks {
		a.Networks[n.ID] = s.Network(n.ID)
		if g, known := s.HostGuard(n.ID); known {
			a.Guards[n.ID] = g
		}
		if b, there := s.Host.BridgeOf(n.ID); there {
			a.Of[n.ID] = b
		}
		a.Stale[n.ID] = s.StalePorts(n.ID)
	}
	for _, h := range s.Held {
		a.HeldBy[h.NetworkID] = h.Ports
	}
	p := s.Host.Foresee(d, w.host)
	a.Held = p.Held
	for _, o := range p.Operations {
		if o.Do == report.CreateBridge || o.Do == report.RemoveBridge || o.Do == report.ReleaseBridge {
			a.Comes[o.Do] = append(a.Comes[o.Do], o.Bridge)
		}
	}
	for _, bridges := range a.Comes {
		slices.Sort(bridges)
	}
	slices.SortFunc(a.Conflicts, func(x, y report.Conflict) int { return strings.Compare(x.Network.Name, y.Network.Name) })
	return a
}

// What is asked of another host is answered as that host itself answers.
func TestReportsAnswerAsTheHostItself(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	seed := rand.Uint64()
	w := newWorld(seed)
	t.Logf("seed %d", seed)
	l := newLoop(report.Status{HostID: w.host})
	startReporter(t, reporterConfig(t, l, server.Endpoint()))
	reader := startReader(t, server.Endpoint())
	for revision := range int64(100) {
		s := w.status(revision+1, reconcile.Seen(w.actual()))
		l.set(func(have *report.Status) { *have = s })
		got := await(t, reader, w.host, "the report arrives", func(got report.Status, known bool) bool { return up(got, known) && got.Revision == revision+1 })
		d := w.desired()
		diff := cmp.Diff(w.ask(s, d), w.ask(got, d), cmpopts.EquateEmpty(),
			cmpopts.IgnoreFields(report.Status{}, "Host", "Guard", "Devices", "Member", "IsolationRepairs"),
			cmpopts.IgnoreFields(report.Interface{}, "UUID"))
		if diff != "" {
			t.Fatalf("revision %d, answers (-host +reader):\n%s", revision+1, diff)
		}
	}
}
