package reconcile

import (
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// seen is what Open vSwitch has at one moment, and the ports that are to be plugged
// in again, by network.
type seen struct {
	actual  *plan.Actual
	waiting map[model.ID][]plan.KeptPort
}

// Seen returns the answers about a host of which Open vSwitch has this.
func Seen(actual *plan.Actual) report.Host { return &seen{actual: actual} }

// Bridge returns the bridge of a network under the name of its bridges.
func (s *seen) Bridge(n model.Network) (report.Bridge, bool) { return s.tell(s.actual.Bridge(n)) }

// BridgeOf returns the bridge of a network.
func (s *seen) BridgeOf(network model.ID) (report.Bridge, bool) {
	return s.tell(s.actual.BridgeOf(network))
}

// BridgeNamed returns the bridge of a name.
func (s *seen) BridgeNamed(name string) (report.Bridge, bool) {
	b, there := s.actual.Bridges[name]
	return s.tell(b, there)
}

// tell returns what is told of a bridge that is there.
func (s *seen) tell(b plan.Bridge, there bool) (report.Bridge, bool) {
	if !there {
		return report.Bridge{}, false
	}
	_, device := s.actual.Links.Named(b.Name) // comes before vswitchd tells of the bridge
	told := report.Bridge{
		Made: device || opened(b),
		UUID: b.UUID, Name: b.Name, Network: b.Network, DatapathType: b.DatapathType, MTU: b.LocalMTU(),
		Strict: b.FailMode == plan.SecureFailMode, Unsettled: b.DatapathType == plan.ResetDatapath,
	}
	for _, p := range b.Ports {
		if p.Name == b.Name {
			told.Local = s.port(p)
		} else {
			told.Ports = append(told.Ports, s.port(p))
		}
	}
	return told, true
}

func (s *seen) port(p plan.Port) report.Port {
	links := s.actual.Links
	told := report.Port{
		Name: p.Name, VM: p.VM(), Live: p.Live(links), Stale: p.Stale(links), Quarantined: p.Marked(), Protected: p.Protected,
		Interfaces: make([]report.Interface, len(p.Interfaces)),
	}
	for at, i := range p.Interfaces {
		told.Interfaces[at] = report.Interface{
			UUID: i.UUID, Name: i.Name, Type: i.Type, MTU: i.MTU, LinkUp: i.LinkUp, Failed: i.Failed(), Error: i.Error, Elsewhere: i.Elsewhere(links),
			MAC: i.ExternalIDs["attached-mac"], VMID: i.ExternalIDs["vm-id"], IfaceID: i.ExternalIDs["iface-id"],
		}
	}
	return told
}

// Names returns what has which name here.
func (s *seen) Names() map[string]report.Taken {
	names := map[string]report.Taken{}
	for name, t := range s.actual.Names() {
		names[name] = report.Taken(t)
	}
	return names
}

// Conflicts returns the networks that a host must have and cannot have here.
func (s *seen) Conflicts(desired *model.Desired, host model.ID) []report.Conflict {
	var conflicts []report.Conflict
	for _, c := range plan.Diff(wantedOf(desired, host, s.actual), s.actual).Conflicts {
		conflicts = append(conflicts, report.Conflict(c))
	}
	return conflicts
}

// Leaving returns how many bridges are left that a host must not have.
func (s *seen) Leaving(desired *model.Desired, host model.ID) int {
	left := len(s.actual.Lingering)
	wanted := map[model.ID]bool{}
	for _, at := range desired.On(host) {
		wanted[at.Network] = true
	}
	for _, b := range s.actual.Bridges {
		if b.Network != "" && !wanted[b.Network] {
			left++
		}
	}
	return left
}

// Foresee returns what the loop would change.
func (s *seen) Foresee(desired *model.Desired, host model.ID) report.Plan {
	p := newPass(desired, s.actual, nil, &calm{host: isolation.HostOf(s.actual)})
	w := newWishes(desired, host)
	p.wants(w, w.networks)
	ports := ports{memory: newMemory()}
	ports.judge(p)
	p.want.Plug = map[model.ID][]plan.Port{}
	for _, n := range p.want.Networks {
		for _, kept := range s.waiting[n.ID] {
			if port := kept.Again(s.actual.Links); obstacle(n, kept, port, s.actual) == "" {
				p.want.Plug[n.ID] = append(p.want.Plug[n.ID], port)
			}
		}
	}
	foreseen := plan.Diff(p.want, s.actual)
	return report.Plan{Operations: operations(foreseen, s.actual), Held: heldOf(foreseen.Held)}
}

// heldOf tells of bridges that are held.
func heldOf(held []plan.Held) []report.Held {
	var told []report.Held
	for _, h := range held {
		told = append(told, report.Held(h))
	}
	return told
}

// operations tells of a plan in the order in which a person would do it.
func operations(p plan.Plan, actual *plan.Actual) []report.Operation {
	var list []report.Operation
	for _, s := range p.Create {
		list = append(list, report.Operation{Do: report.CreateBridge, Bridge: s.Name, Network: s.NetworkID, MTU: s.MTU})
	}
	for _, plug := range p.Plug {
		list = append(list, report.Operation{Do: report.PlugPort, Bridge: plug.Name, Network: plug.Network, Port: plug.Port.Name})
	}
	for _, r := range p.Repair {
		list = append(list, report.Operation{Do: report.RepairBridge, Bridge: r.Have.Name, Network: r.Have.Network, Columns: strings.Split(r.Columns(), ",")})
	}
	names := map[string]string{} // by the UUIDs of the bridges' rows
	for name, b := range actual.Bridges {
		names[b.UUID] = name
	}
	list = append(list, portOperations(p.Ports, names)...)
	for _, m := range p.MTU {
		list = append(list, report.Operation{Do: report.SetMTU, Bridge: m.Bridge, Network: actual.Bridges[m.Bridge].Network, Port: m.Interface.Name, MTU: m.Bytes})
	}
	for _, b := range p.Delete {
		list = append(list, report.Operation{Do: report.RemoveBridge, Bridge: b.Name, Network: b.Network})
	}
	for _, r := range p.Adopt {
		list = append(list, report.Operation{Do: report.AdoptBridge, Bridge: r.Have.Name, Network: r.Spec.NetworkID, Columns: strings.Split(r.Columns(), ",")})
	}
	for _, r := range p.Release {
		list = append(list, report.Operation{Do: report.ReleaseBridge, Bridge: r.Bridge.Name, Network: r.Bridge.Network})
		list = append(list, portOperations(r.Ports, names)...)
	}
	return list
}

func portOperations(changes []plan.PortChange, bridges map[string]string) []report.Operation {
	verbs := map[plan.PortVerb]report.Verb{plan.RemovePort: report.RemovePort, plan.QuarantinePort: report.QuarantinePort, plan.ReleasePort: report.ReleasePort}
	var list []report.Operation
	for _, c := range changes {
		list = append(list, report.Operation{Do: verbs[c.Do], Bridge: bridges[c.Bridge], Network: c.Network, Port: c.Port.Name, Reason: c.Reason})
	}
	return list
}
