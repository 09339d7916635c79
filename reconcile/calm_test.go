package reconcile

import (
	std "cmp"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// TestWhatIsCalmIsAsIfItWereLookedAt changes a host at random, and passes over it
// in two ways: with a memory of what is calm, and over everything. Both must find
// the same and do the same.
func TestWhatIsCalmIsAsIfItWereLookedAt(t *testing.T) {
	for seed := range uint64(20) {
		r := newRandomHost(rand.New(rand.NewPCG(seed, 7)))
		some, all := newSide(), newSide()
		now := time.Unix(0, 0)
		skipped := 0
		for step := range 300 {
			for range r.IntN(3) {
				r.change()
			}
			now = now.Add(time.Duration(r.IntN(4000)) * time.Millisecond)
			actual := r.actual()
			all.calm = calm{}
			want, got := all.pass(r, actual, now), some.pass(r, actual, now)
			options := cmp.Options{cmpopts.EquateEmpty(), cmp.AllowUnexported(plan.Links{}), cmpopts.EquateComparable()}
			if diff := cmp.Diff(want.verdicts, got.verdicts, options); diff != "" {
				t.Fatalf("seed %d, step %d: verdicts (-of everything +of what is not calm):\n%s", seed, step, diff)
			}
			if want.plan != got.plan {
				t.Fatalf("seed %d, step %d: of everything the plan is %s, of what is not calm %s", seed, step, want.plan, got.plan)
			}
			skipped += len(some.calm.networks)
		}
		if skipped == 0 {
			t.Errorf("seed %d: nothing was ever calm", seed)
		}
	}
}

// TestAPassWithoutNewsWakesNobody holds that a pass publishes what is news, and
// nothing else.
func TestAPassWithoutNewsWakesNobody(t *testing.T) {
	c := newCrowded(3)
	l := New(c, c, c, slog.New(slog.DiscardHandler))
	told := func() bool {
		changed := l.Changed()
		l.pass(t.Context())
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	if !told() {
		t.Error("nobody was told of the first pass")
	}
	if told() {
		t.Error("nothing changed, and it was told")
	}
	if c.touch("net1"); !told() {
		t.Error("a bridge changed, and nobody was told")
	}
	if c.lost = true; !told() {
		t.Error("the session is lost, and nobody was told")
	}
	if told() {
		t.Error("the session was lost before, and it was told")
	}
}

// TestVerdictsRestOnAllThatIsKnownOfFlows holds what wakes a network to what is
// known.
func TestVerdictsRestOnAllThatIsKnownOfFlows(t *testing.T) {
	known, seen := reflect.TypeFor[plan.Flows](), reflect.TypeFor[flowsSeen]()
	for field := range known.Fields() {
		_, there := seen.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, field.Name) })
		if counters := field.Name == "Members"; there == counters {
			t.Errorf("the field %s of what is known of flows wakes a network: %t", field.Name, there)
		}
	}
}

// side is one way to pass over a host.
type side struct {
	ports    ports
	calm     calm
	verdicts map[model.ID]report.Isolation
}

// found is what a pass makes of a host.
type found struct {
	verdicts map[model.ID]report.Isolation
	plan     string
}

func newSide() *side { return &side{ports: ports{memory: newMemory()}} }

func (s *side) pass(r *randomHost, actual *plan.Actual, now time.Time) found {
	c := &s.calm
	p := newPass(model.NewDesired(), actual, r.flows, c)
	p.start = now
	open := c.wake(r.networks, actual, r.flows)
	p.wants(wishes{desired: p.desired}, open)
	s.ports.judge(p)
	diff := plan.Diff(p.want, actual)
	s.verdicts = merged(c, s.verdicts, s.ports.isolation)
	if diff.Empty() {
		problems := map[model.ID]bool{}
		for _, problem := range plan.Problems(p.want, actual) {
			problems[problem.NetworkID] = true
		}
		former := func(id model.ID) map[string][]int { return s.ports.memory.networks[id].opened }
		c.settle(open, actual, r.flows, former, func(n model.Network) bool { return !p.open[n.ID] && !problems[n.ID] })
	}
	return found{s.verdicts, describe(diff)}
}

// describe names all that a plan does.
func describe(p plan.Plan) string {
	text := p.String()
	for _, repair := range p.Repair {
		text += fmt.Sprintf(" %s(%s)", repair.Have.Name, repair.Columns())
	}
	for _, change := range p.Ports {
		text += fmt.Sprintf(" %s(%s)", change.Port.Name, change.Do)
	}
	return text
}

// randomHost has bridges, ports and devices that change.
type randomHost struct {
	*rand.Rand
	networks []model.Network
	bridges  map[string]plan.Bridge
	links    *plan.Links
	flows    map[string]plan.Flows
	managers int
	version  uint64
	index    int
}

func newRandomHost(r *rand.Rand) *randomHost {
	h := &randomHost{Rand: r, bridges: map[string]plan.Bridge{}, links: plan.NewLinks(), flows: map[string]plan.Flows{}}
	for i := range 4 {
		name := fmt.Sprintf("net%d", i)
		n := model.Network{ID: model.NewID(), Name: name, VdsmName: name, Strict: i == 3}
		h.networks = append(h.networks, n)
		h.index++
		h.links = h.links.Change(nil, []plan.Device{{Index: h.index, Name: name, Kind: "tun", Tap: true, Ethernet: true, Promiscuous: true}})
		h.put(h.healthy(n))
	}
	return h
}

// healthy returns the bridge that a network must be.
func (h *randomHost) healthy(n model.Network) plan.Bridge {
	spec := plan.NewSpec(n, plan.UserspaceDatapath)
	own, _ := h.links.Named(n.VdsmName)
	return plan.Bridge{
		UUID: "b" + n.VdsmName, Name: n.VdsmName, Network: n.ID, DatapathType: plan.UserspaceDatapath, FailMode: spec.FailMode,
		ExternalIDs: maps.Clone(spec.ExternalIDs), OtherConfig: maps.Clone(spec.OtherConfig),
		Ports: []plan.Port{{
			UUID: "p" + n.VdsmName, Name: n.VdsmName, VLANMode: spec.VLANMode, Tag: -1, Trunks: spec.Trunks, ExternalIDs: spec.PortExternalIDs(),
			Interfaces: []plan.Interface{{UUID: "i" + n.VdsmName, Name: n.VdsmName, Type: "internal", MTURequest: spec.MTU, MTU: spec.MTU, OFPort: 65534, IfIndex: own.Index}},
		}},
	}
}

func (h *randomHost) put(b plan.Bridge) {
	h.version++
	b.Version = h.version
	h.bridges[b.Name] = b
}

func (h *randomHost) actual() *plan.Actual {
	return &plan.Actual{DatapathType: plan.UserspaceDatapath, Bridges: maps.Clone(h.bridges), Links: h.links.For(h.bridges), Managers: h.managers}
}

// change does something to a network, its bridge, a port, a device or its flows.
func (h *randomHost) change() {
	n := h.networks[h.IntN(len(h.networks))]
	b, there := h.bridges[n.VdsmName]
	switch what := h.IntN(13); {
	case what == 0:
		i := slices.Index(h.networks, n)
		h.networks = slices.Clone(h.networks)
		h.networks[i].MTU = 1400 + h.IntN(3)
		h.networks[i].Revision++
	case what == 1:
		delete(h.bridges, n.VdsmName)
	case what == 2 || !there:
		h.put(h.healthy(n))
	case what == 3:
		b.STP = !b.STP
		h.put(b)
	case what == 4:
		h.flows[n.VdsmName] = plan.Flows{Known: true, InPlace: h.IntN(2) == 0, Foreign: []string{"", "actions=ALL"}[h.IntN(2)]}
	case what == 5:
		h.managers = h.IntN(8) / 7
	case what == 6: // all is well again, with a VM on each network
		for i, n := range h.networks {
			name := fmt.Sprintf("d%d", i)
			d, there := h.links.Named(name)
			if !there {
				h.index++
			}
			h.links = h.links.Change(nil, []plan.Device{{Index: std.Or(d.Index, h.index), Name: name, Kind: "tun", Tap: true, Ethernet: true, Promiscuous: true}})
			h.put(h.healthy(n))
		}
		for i, n := range h.networks {
			h.plugIn(h.bridges[n.VdsmName], fmt.Sprintf("d%d", i))
		}
	case what < 10:
		h.plug(b)
	default:
		h.device(fmt.Sprintf("d%d", h.IntN(6)))
	}
}

// plug plugs something in, or unplugs it.
func (h *randomHost) plug(b plan.Bridge) {
	name := fmt.Sprintf("d%d", h.IntN(6))
	b.Ports = slices.Clone(b.Ports)
	if i := slices.IndexFunc(b.Ports, func(p plan.Port) bool { return p.Name == name }); i > 0 {
		b.Ports = slices.Delete(b.Ports, i, i+1)
		h.put(b)
		return
	}
	h.plugIn(b, name)
}

func (h *randomHost) plugIn(b plan.Bridge, name string) {
	d, _ := h.links.Named(name)
	mtu := b.Ports[0].Interfaces[0].MTURequest
	b.Ports = append(b.Ports, plan.Port{UUID: "p" + name, Name: name, Tag: -1, Interfaces: []plan.Interface{{
		UUID: "i" + name, Name: name, MTURequest: mtu, MTU: mtu, OFPort: 1 + h.IntN(9), IfIndex: d.Index,
	}}})
	h.put(b)
}

// device makes, changes or removes a device.
func (h *randomHost) device(name string) {
	d, there := h.links.Named(name)
	switch {
	case there && h.IntN(3) == 0:
		h.links = h.links.Change([]int{d.Index}, nil)
		return
	case !there:
		h.index++
		d = plan.Device{Index: h.index, Name: name, Ethernet: true, Promiscuous: true}
	}
	d.Kind, d.Tap = []string{"tun", "veth", ""}[h.IntN(3)], true
	d.PeerElsewhere, d.Up = h.IntN(3) > 0, h.IntN(2) == 0
	h.links = h.links.Change(nil, []plan.Device{d})
}
