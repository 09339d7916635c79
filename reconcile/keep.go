package reconcile

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// refusals is how many transactions in a row may fail with a port that is plugged
// in again, before it is left out so that it does not keep its bridge away.
const refusals = 5

// plugged is the column of the subject of a port that is plugged in again: what
// keeps being taken away is contested, and never put off.
const plugged = "plugged"

// keeper remembers the ports of the networks, so that those that are taken away
// with their bridge are plugged in again.
type keeper struct {
	mu   sync.Mutex
	kept map[model.ID]plan.Kept
	// opened are the devices that interfaces have had, as the guardian's memory has
	// them.
	opened map[model.ID]map[string][]int
	// boot names the run of the kernel in which the ports' devices are.
	boot    string
	nextCfg int
	// host is the host that this machine is; "" before that is known.
	host model.ID
	// changed holds a value when there is something new to save.
	changed chan struct{}
	// forgot is called when the verdicts rest on what is forgotten.
	forgot func()

	// The rest belongs to the loop's goroutine.

	// seen are the accepted ports that are kept already, by network.
	seen map[model.ID]sight
	// failed are the transactions in a row that failed with a port.
	failed map[plan.Subject]failure
}

type failure struct {
	times int
	last  error
}

// sight is what was looked at of a network's bridge.
type sight struct {
	version  uint64   // of the bridge
	accepted []string // the UUIDs of their rows
}

func newKeeper(wake func()) *keeper {
	return &keeper{
		kept: map[model.ID]plan.Kept{}, opened: map[model.ID]map[string][]int{}, changed: make(chan struct{}, 1), forgot: wake,
		seen: map[model.ID]sight{}, failed: map[plan.Subject]failure{},
	}
}

// look remembers the ports that were accepted. It wants those to be plugged in again
// that are away, and tells of those that cannot be.
func (k *keeper) look(p *pass, ps *ports) {
	k.mu.Lock()
	defer k.mu.Unlock()
	replaced := p.actual.NextCfg < k.nextCfg
	k.nextCfg = p.actual.NextCfg
	bridges := map[model.ID]plan.Bridge{}
	for name, b := range p.actual.Bridges {
		if b.Network != "" && !p.calm.bridges[name] {
			bridges[b.Network] = b
		}
	}
	for id, accepted := range ps.accepted {
		k.remember(id, bridges[id], accepted, p.actual.Links, replaced)
	}
	k.copyOpened(ps.memory.networks, ps.accepted)
	ps.waiting = k.waiting(p, bridges)
	p.want.Plug = map[model.ID][]plan.Port{}
	for _, n := range p.want.Networks {
		for _, bridge := range slices.Sorted(slices.Values(p.forged[n.ID])) {
			p.keepOpen(n.ID) // until the other bridge changes
			ps.find(n.ID, isolation.Finding{
				Reason: isolation.ForeignMarks, Bridge: bridge, Action: isolation.Report, Notice: true,
				Detail: fmt.Sprintf("the bridge '%s' is somebody else's and bears the marks of this network", bridge),
			})
		}
		for _, port := range ps.waiting[n.ID] {
			p.keepOpen(n.ID) // until its device changes
			k.comeBack(p, ps, n, port)
		}
	}
}

// waiting returns the ports that are to be plugged in again, by network: those that
// went with their bridges, and whose devices are there. Of calm networks nothing waits.
func (k *keeper) waiting(p *pass, bridges map[model.ID]plan.Bridge) map[model.ID][]plan.KeptPort {
	waiting := map[model.ID][]plan.KeptPort{}
	on := sync.OnceValue(func() map[string]bool { return portsOn(p.actual) })
	for id, kept := range k.kept {
		if p.calm.has(id) {
			continue
		}
		if _, there := bridges[id]; !there {
			kept = kept.Away()
			delete(k.seen, id)
		}
		if _, known := p.desired.Networks[id]; !known {
			kept.Ports = nil
		}
		if len(kept.Waits()) > 0 && p.actual.Links != nil {
			kept = kept.Without(func(port plan.KeptPort) bool { return port.Waiting && port.Gone(p.actual.Links, on()) })
		}
		k.keep(id, kept)
		if waits := kept.Waits(); len(waits) > 0 {
			waiting[id] = waits
		}
	}
	return waiting
}

// remember keeps what is accepted on a network's bridge.
func (k *keeper) remember(id model.ID, b plan.Bridge, accepted []plan.Port, links *plan.Links, replaced bool) {
	s := sight{version: b.Version, accepted: make([]string, len(accepted))}
	for n, p := range accepted {
		s.accepted[n] = p.UUID
	}
	if before, known := k.seen[id]; known && !replaced && s.version != 0 && before.version == s.version && slices.Equal(before.accepted, s.accepted) {
		return
	}
	k.seen[id] = s
	k.keep(id, k.kept[id].Remember(b, accepted, links, replaced))
}

// copyOpened takes over which devices the interfaces of the networks that were
// judged have had. The caller has the lock.
func (k *keeper) copyOpened(networks map[model.ID]past, judged map[model.ID][]plan.Port) {
	for id := range judged {
		if opened := networks[id].opened; !maps.EqualFunc(k.opened[id], opened, slices.Equal) {
			k.opened[id] = opened
			k.mark()
		}
	}
	if len(k.opened) > len(networks) {
		maps.DeleteFunc(k.opened, func(id model.ID, _ map[string][]int) bool { _, known := networks[id]; return !known })
		k.mark()
	}
}

// keep replaces what is kept of a network. The caller has the lock.
func (k *keeper) keep(id model.ID, kept plan.Kept) {
	before, known := k.kept[id]
	if known && reflect.DeepEqual(before, kept) {
		return
	}
	if len(kept.Ports) == 0 && kept.Bridge == "" {
		delete(k.kept, id)
	} else {
		k.kept[id] = kept
	}
	k.mark()
}

// of returns what is kept of a network.
func (k *keeper) of(id model.ID) plan.Kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept[id]
}

// mark says that there is something new to save.
func (k *keeper) mark() { yield(k.changed) }

// hostID returns the host that this machine was last.
func (k *keeper) hostID() model.ID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.host
}

func (k *keeper) setHost(id model.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.host != id {
		k.host = id
		k.mark()
	}
}

// yield puts a value into a channel of one, if it has none.
func yield(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// portsOn returns the names of all ports and interfaces that are on a bridge.
func portsOn(actual *plan.Actual) map[string]bool {
	on := map[string]bool{}
	for _, b := range actual.Bridges {
		for _, p := range b.Ports {
			on[p.Name] = true
			for _, i := range p.Interfaces {
				on[i.Name] = true
			}
		}
	}
	return on
}

// comeBack plugs a port in again, or says why it cannot be.
func (k *keeper) comeBack(p *pass, ps *ports, n model.Network, kept plan.KeptPort) {
	subject := plan.Subject{Network: n.ID, Port: kept.Name, Column: plugged}
	port := kept.Again(p.actual.Links)
	problem := obstacle(n, kept, port, p.actual)
	if failed := k.failed[subject]; problem == "" && failed.times >= refusals {
		problem = failed.last.Error()
	}
	if problem == "" {
		p.want.Plug[n.ID] = append(p.want.Plug[n.ID], port)
		return
	}
	ps.find(n.ID, isolation.Finding{
		Reason: isolation.PortLost, Bridge: n.VdsmName, Port: kept.Name, Action: isolation.Report, Notice: true,
		Detail: fmt.Sprintf("%s and cannot be plugged in again: %s. When that is settled: %s", taken(kept.Port), problem, port.Command(n.VdsmName)),
	})
}

// replugged tells of the ports that a plan has plugged in again.
func (ps *ports) replugged(p plan.Plan) {
	if len(p.Plug) == 0 {
		return
	}
	networks := ps.store.Snapshot().Networks
	var repairs []repair
	for _, plug := range p.Plug {
		e := newEvent(networks[plug.Network], isolation.Finding{Reason: isolation.PortLost, Port: plug.Port.Name, Detail: taken(plug.Port)}, report.Replugged, time.Now())
		repairs = append(repairs, repair{e, plan.Subject{Network: plug.Network, Port: plug.Port.Name, Column: plugged}})
	}
	ps.repaired(repairs)
}

// find adds a finding to a network's verdict.
func (ps *ports) find(network model.ID, f isolation.Finding) {
	v := ps.isolation[network]
	v.Findings = append(v.Findings, f)
	ps.isolation[network] = v
}

// taken says of a port what happened to it.
func taken(p plan.Port) string {
	const text = "it was taken away with its bridge"
	if vm := p.VM(); vm != "" {
		return fmt.Sprintf("%s (VM %s)", text, vm)
	}
	return text
}

// obstacle says why a port cannot be plugged in again; "" if it can. It must be
// one that would be accepted.
func obstacle(n model.Network, p plan.KeptPort, port plan.Port, actual *plan.Actual) string {
	if destroyed := p.Destroyed(); len(destroyed) > 0 {
		return fmt.Sprintf("Open vSwitch had made its device %v and removed it with the bridge, and whoever used it needs a new one", destroyed)
	}
	v := isolation.Judge(isolation.Input{
		Network: n, DatapathType: actual.DatapathType, Devices: actual.Links,
		Bridge: plan.Bridge{Name: n.VdsmName, Network: n.ID, DatapathType: actual.DatapathType, Ports: []plan.Port{port}},
	})
	if len(v.Accepted) == 1 {
		return ""
	}
	for _, f := range v.Findings {
		if f.Port == p.Name && f.Column == "" && !f.Notice {
			return f.Detail
		}
	}
	return "too little is known of its device"
}

// tried says how a transaction with a plan ended.
func (k *keeper) tried(p plan.Plan, err error) {
	for _, plug := range p.Plug {
		subject := plan.Subject{Network: plug.Network, Port: plug.Port.Name, Column: plugged}
		if err == nil {
			delete(k.failed, subject)
		} else {
			k.failed[subject] = failure{k.failed[subject].times + 1, err}
		}
	}
}

// forget forgets the ports of a network that wait, and returns their names.
func (k *keeper) forget(network model.ID) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept, known := k.kept[network]
	if !known {
		return nil
	}
	var names []string
	for _, p := range kept.Waits() {
		names = append(names, p.Name)
	}
	k.keep(network, kept.Without(func(p plan.KeptPort) bool { return p.Waiting }))
	k.forgot()
	return names
}

// Recall begins with what was remembered before the program ended. Devices count
// only in the run of the kernel and the network namespace that boot names. It comes
// before Run.
func (l *Loop) Recall(m plan.Memory, boot string) {
	l.owners.recall(m.Owners)
	l.ports.keep.boot, l.ports.keep.nextCfg, l.ports.keep.host = boot, m.NextCfg, m.Host
	if boot == "" || m.Boot != boot {
		return
	}
	for id, kept := range m.Networks {
		l.ports.keep.kept[id] = kept.Without(func(p plan.KeptPort) bool { return !p.Valid() })
	}
	for id, opened := range m.Opened {
		l.ports.keep.opened[id], l.ports.memory.networks[id] = opened, past{opened: opened}
	}
}

// Memory returns what is to be remembered when the program ends.
func (l *Loop) Memory() plan.Memory {
	m := plan.Memory{Owners: l.owners.all()}
	l.ports.keep.mu.Lock()
	defer l.ports.keep.mu.Unlock()
	m.Boot, m.NextCfg, m.Host, m.Networks = l.ports.keep.boot, l.ports.keep.nextCfg, l.ports.keep.host, maps.Clone(l.ports.keep.kept)
	m.Opened = maps.Clone(l.ports.keep.opened)
	return m
}

// savePause is the least time between two times that the memory is saved: a crash
// loses what was plugged in during it.
const savePause = 50 * time.Millisecond

// SaveMemory saves the memory whenever it has changed, until ctx ends, and then
// once more.
func (l *Loop) SaveMemory(ctx context.Context, save func(plan.Memory)) error {
	select {
	case <-ctx.Done(): // another isonetd may have the state directory
		return nil
	case <-l.store.Ready():
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-l.ports.keep.changed:
		}
		start := time.Now()
		save(l.Memory())
		select {
		case <-ctx.Done():
		case <-time.After(max(savePause, 4*time.Since(start))):
		}
	}
	save(l.Memory())
	return nil
}
