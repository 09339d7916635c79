package reconcile

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
)

// calm are the networks about which nothing is left to do or to find out, and of
// which nothing waits for a time. As long as all that their verdicts rest on is
// what it was, a pass leaves them out: it costs what changed, not what there is.
type calm struct {
	networks map[model.ID]*rested
	bridges  map[string]bool // the names of theirs
	// host and datapath are what the verdicts of all rest on.
	host     isolation.Host
	datapath string
}

// rested is a network that is calm, and what its verdict rests on.
type rested struct {
	network model.Network
	bridge  uint64 // its version
	devices []*plan.Device
	flows   flowsSeen
	members map[int]plan.MemberCounters // of flows
	// former are the devices that its interfaces have had.
	former map[string][]int
	// links are those in which the devices were last found to be the same.
	links *plan.Links
}

// flowsSeen is what is known of flows, without the counters of members.
type flowsSeen struct {
	known, inPlace     bool
	since              time.Time
	err, foreign, last string
	restored           uint64
}

func seeFlows(f plan.Flows) flowsSeen {
	return flowsSeen{f.Known, f.InPlace, f.Since, f.Err, f.Foreign, f.Last, f.Restored}
}

// devicesSeen yields what the kernel has for the interfaces of a bridge: for each
// the device that Open vSwitch tells of, the one of its name, and those that it
// had before. Nil is none.
func devicesSeen(b plan.Bridge, links *plan.Links, former map[string][]int) func(func(*plan.Device) bool) {
	return func(yield func(*plan.Device) bool) {
		for _, p := range b.Ports {
			for _, i := range p.Interfaces {
				opened, _ := links.Of(i)
				named, _ := links.Named(i.Name)
				if !yield(links.Ref(opened.Index)) || !yield(links.Ref(named.Index)) {
					return
				}
				for _, index := range former[i.UUID] {
					if !yield(links.Ref(index)) {
						return
					}
				}
			}
		}
	}
}

// same reports whether a verdict rests on the same as before.
func (r *rested) same(n model.Network, b plan.Bridge, links *plan.Links, flows plan.Flows) bool {
	if r.network != n || r.bridge != b.Version || b.Network != n.ID || r.flows != seeFlows(flows) || !maps.Equal(r.members, flows.Members) {
		return false
	}
	if r.links == links {
		return true
	}
	at := 0
	for d := range devicesSeen(b, links, r.former) {
		if at == len(r.devices) || r.devices[at] != d {
			return false
		}
		at++
	}
	r.links = links
	return at == len(r.devices)
}

// wake keeps those calm for which nothing changed, and returns the other networks.
func (c *calm) wake(networks []model.Network, actual *plan.Actual, flows map[string]plan.Flows) (open []model.Network) {
	host := isolation.HostOf(actual)
	if c.networks == nil || actual.Standby || c.datapath != actual.DatapathType || !reflect.DeepEqual(c.host, host) {
		*c = calm{host: host, datapath: actual.DatapathType, networks: map[model.ID]*rested{}, bridges: map[string]bool{}}
		return networks
	}
	for id := range marked(actual) { // a bridge of somebody else bears its marks
		if r, is := c.networks[id]; is {
			c.forget(r)
		}
	}
	still := 0
	for _, n := range networks {
		if r, is := c.networks[n.ID]; is {
			if r.same(n, actual.Bridges[n.VdsmName], actual.Links, flows[n.VdsmName]) {
				still++
				continue
			}
			c.forget(r)
		}
		open = append(open, n)
	}
	if still < len(c.networks) { // some are not wanted any more
		wanted := map[model.ID]bool{}
		for _, n := range networks {
			wanted[n.ID] = true
		}
		for id, r := range c.networks {
			if !wanted[id] {
				c.forget(r)
			}
		}
	}
	return open
}

func (c *calm) has(id model.ID) bool { return c.networks[id] != nil }

func (c *calm) forget(r *rested) {
	delete(c.networks, r.network.ID)
	delete(c.bridges, r.network.VdsmName)
}

// settle makes those networks calm of which a pass leaves nothing open.
func (c *calm) settle(networks []model.Network, actual *plan.Actual, flows map[string]plan.Flows, former func(model.ID) map[string][]int, settled func(model.Network) bool) {
	for _, n := range networks {
		b, there := actual.Bridge(n)
		if !there || b.Version == 0 || !settled(n) {
			continue
		}
		r := &rested{network: n, bridge: b.Version, flows: seeFlows(flows[b.Name]), members: flows[b.Name].Members, former: former(n.ID), links: actual.Links}
		r.devices = slices.AppendSeq(r.devices, devicesSeen(b, actual.Links, r.former))
		c.networks[n.ID], c.bridges[b.Name] = r, true
	}
}

// merged returns what was known of the calm networks with what was found out about
// the others. It returns what was known itself if that says the same.
func merged[V any](c *calm, before, found map[model.ID]V) map[model.ID]V {
	if len(before) == len(c.networks)+len(found) {
		same := true
		for id, v := range found {
			old, known := before[id]
			if same = known && reflect.DeepEqual(old, v); !same {
				break
			}
		}
		if same {
			return before
		}
	}
	all := make(map[model.ID]V, len(c.networks)+len(found))
	for id := range c.networks {
		if v, known := before[id]; known {
			all[id] = v
		}
	}
	maps.Copy(all, found)
	return all
}
