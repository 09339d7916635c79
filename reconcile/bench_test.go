package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// crowded is a store and a switch of a host with many networks, all as they must be.
type crowded struct {
	desired *model.Desired
	actual  *plan.Actual
	version uint64
	lost    bool // the session
}

func newCrowded(networks int) *crowded {
	c := &crowded{desired: model.NewDesired(), actual: &plan.Actual{SystemID: "host", DatapathType: plan.UserspaceDatapath, Bridges: map[string]plan.Bridge{}}}
	host := model.HostID("host")
	c.desired.Hosts[host] = model.Host{ID: host, SystemID: "host"}
	var devices []plan.Device
	device := func(name string) int {
		devices = append(devices, plan.Device{Index: len(devices) + 2, Name: name, Kind: "tun", Tap: true, Ethernet: true, Promiscuous: true})
		return len(devices) + 1
	}
	for i := range networks {
		name := fmt.Sprintf("net%d", i)
		n, err := c.desired.AddNetwork(model.Network{Name: name})
		if err != nil {
			panic(err)
		}
		if _, err := c.desired.Attach(host, n.ID, nil); err != nil {
			panic(err)
		}
		s := plan.NewSpec(n, plan.UserspaceDatapath)
		c.version++
		b := plan.Bridge{
			Version: c.version, UUID: "b" + name, Name: name, Network: n.ID, DatapathType: plan.UserspaceDatapath, ExternalIDs: s.ExternalIDs, OtherConfig: s.OtherConfig,
			Ports: []plan.Port{{
				UUID: "p" + name, Name: name, VLANMode: s.VLANMode, Trunks: s.Trunks, Tag: -1, ExternalIDs: s.PortExternalIDs(),
				Interfaces: []plan.Interface{{UUID: "i" + name, Name: name, Type: "internal", OFPort: 65534, MTURequest: s.MTU, MTU: s.MTU, IfIndex: device(name)}},
			}},
		}
		for vm := range 4 {
			port := fmt.Sprintf("vnet%d", 4*i+vm)
			b.Ports = append(b.Ports, plan.Port{UUID: "p" + port, Name: port, Tag: -1, Interfaces: []plan.Interface{{
				UUID: "i" + port, Name: port, OFPort: vm + 1, MTURequest: s.MTU, MTU: s.MTU, LinkUp: true, IfIndex: device(port),
				ExternalIDs: map[string]string{"attached-mac": "56:6f:00:00:00:01"},
			}}})
		}
		c.actual.Bridges[name] = b
	}
	c.actual.Links = plan.NewLinks(devices...)
	return c
}

func (c *crowded) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

func (c *crowded) Recalled() *model.Desired    { return nil }
func (c *crowded) Snapshot() *model.Desired    { return c.desired }
func (c *crowded) Changed() <-chan struct{}    { return nil }
func (c *crowded) Trouble() (time.Time, error) { return time.Time{}, nil }
func (c *crowded) Invalid() map[string]string  { return nil }

func (c *crowded) Register(context.Context, string, string) error { return nil }

func (c *crowded) Left(context.Context, model.ID, ...model.ID) error { return nil }

func (c *crowded) Newest() (*model.Desired, int64, <-chan struct{}) {
	d := c.Snapshot()
	return d, d.Revision, c.Changed()
}

func (c *crowded) Actual() (*plan.Actual, bool) { return c.actual, !c.lost }

func (c *crowded) Apply(context.Context, plan.Plan) (int, error) { return 0, nil }
func (c *crowded) Forward(...plan.Forwarding)                    {}
func (c *crowded) Flows() map[string]plan.Flows                  { return nil }
func (c *crowded) ObserveReconcile(time.Duration, string)        {}

func (c *crowded) Evidence() plan.Evidence {
	now := plan.Sighting{Seen: time.Now()}
	return plan.Evidence{Database: now, VSwitchd: now, Devices: now}
}

// touch changes a bridge so that it is another one and still as it must be.
func (c *crowded) touch(name string) {
	next := *c.actual
	next.Bridges = maps.Clone(next.Bridges)
	b := next.Bridges[name]
	c.version++
	b.Version = c.version
	next.Bridges[name] = b
	c.actual = &next
}

// BenchmarkPass is one pass over a host at which nothing changed, or one bridge.
func BenchmarkPass(b *testing.B) {
	for _, networks := range []int{10, 1000} {
		c := newCrowded(networks)
		l := New(c, c, c, slog.New(slog.DiscardHandler))
		l.pass(b.Context())
		for id, n := range l.Status().Networks {
			if n.State != report.Active || !n.Isolation.Isolated() {
				b.Fatalf("the network %s is %+v", id, n)
			}
		}
		b.Run(fmt.Sprintf("networks=%d/quiet", networks), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.pass(b.Context())
			}
		})
		b.Run(fmt.Sprintf("networks=%d/one", networks), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.touch("net3")
				l.pass(b.Context())
			}
		})
	}
}
