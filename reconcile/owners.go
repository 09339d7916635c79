package reconcile

import (
	"cmp"
	"log/slog"
	"maps"
	"sync"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// owners knows whose the bridges of the host are.
type owners struct {
	store Store

	mu    sync.Mutex
	known plan.Owners
	// intents are what a transaction under way makes of bridges, by the UUIDs of
	// their rows: the network that adopts one, or "" for a release. The marks on
	// the row tell when it has.
	intents map[string]model.ID
	// made are the names of the bridges that transactions made or are about to make,
	// by network: one can be seen for the first time when its network has been
	// removed again.
	made map[model.ID]string
	// last is what was settled last.
	last *plan.Actual
	// changed is called when there is something new to remember.
	changed func()
	log     *slog.Logger
	// told are the bridges of others with marks that were logged, by the UUIDs of
	// their rows.
	told map[string]bool
}

func newOwners(store Store, changed func(), log *slog.Logger) *owners {
	return &owners{store: store, known: plan.Owners{}, intents: map[string]model.ID{}, made: map[model.ID]string{}, changed: changed, log: log, told: map[string]bool{}}
}

// maxOwners bounds how many bridges are remembered, those that are gone included:
// a database that is put back from a copy has them again.
const maxOwners = 8192

// recall begins with what was remembered before the program ended.
func (o *owners) recall(known plan.Owners) {
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.Copy(o.known, known)
}

// all returns what is to be remembered: of bridges that are gone those that were
// networks'.
func (o *owners) all() plan.Owners {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil {
		return maps.Clone(o.known)
	}
	there := map[string]bool{}
	for _, b := range o.last.Bridges {
		there[b.UUID] = true
	}
	maps.DeleteFunc(o.known, func(uuid string, owner model.ID) bool {
		return !there[uuid] && (owner == "" || len(o.known) > maxOwners)
	})
	maps.DeleteFunc(o.told, func(uuid string, _ bool) bool { return !there[uuid] })
	return maps.Clone(o.known)
}

// marked returns the bridges of others that bear the marks of networks, by
// network.
func marked(actual *plan.Actual) map[model.ID][]string {
	found := map[model.ID][]string{}
	for name, b := range actual.Bridges {
		if b.Network != "" {
			continue
		}
		if id := plan.MarkedFor(b); id != "" {
			found[id] = append(found[id], name)
		}
	}
	return found
}

// Of returns the network whose bridge b is, and remembers that.
func (o *owners) Of(b plan.Bridge) model.ID {
	networks := o.networks()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of(b, networks)
}

// networks returns those of the store, nil before it is known.
func (o *owners) networks() map[model.ID]model.Network {
	select {
	case <-o.store.Ready():
		return o.store.Snapshot().Networks
	default:
		return nil
	}
}

// of does so by the networks of the store. Before they are known, marks alone
// tell of bridges that were not seen before. The caller has the lock.
func (o *owners) of(b plan.Bridge, networks map[model.ID]model.Network) model.ID {
	if to, intended := o.intents[b.UUID]; intended && to == plan.MarkedFor(b) {
		delete(o.intents, b.UUID)
		o.remember(b, to)
	}
	owner, decided := o.known.Of(b, func(id model.ID) string {
		if networks == nil {
			return b.Name
		}
		return cmp.Or(networks[id].VdsmName, o.made[id])
	})
	if networks == nil {
		return owner
	}
	if decided {
		o.remember(b, owner)
	}
	if marked := plan.MarkedFor(b); owner == "" && marked != "" && !o.told[b.UUID] {
		o.told[b.UUID] = true
		o.log.Warn("a bridge that isonet did not make, or of a network that it does not know, bears its marks; it is left alone: remove its marks, or the bridge if it is left over",
			"bridge", b.Name, "network", marked)
	}
	return owner
}

func (o *owners) remember(b plan.Bridge, owner model.ID) {
	if before, known := o.known[b.UUID]; !known || before != owner {
		o.known[b.UUID] = owner
		o.changed()
	}
}

// intend says what a plan is about to make of bridges.
func (o *owners) intend(p plan.Plan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range p.Create {
		o.made[s.NetworkID] = s.Name
	}
	for _, r := range p.Adopt {
		o.intents[r.Have.UUID] = r.Spec.NetworkID
	}
	for _, r := range p.Release {
		o.intents[r.Bridge.UUID] = ""
	}
}

// settle returns what the switch has, with every bridge's owner, and the bridges of
// others that bear the marks of networks, by network.
func (o *owners) settle(actual *plan.Actual, calm map[string]bool) (*plan.Actual, map[model.ID][]string) {
	networks := o.networks()
	o.mu.Lock()
	defer o.mu.Unlock()
	settled, forged := actual, map[model.ID][]string{}
	o.last = actual
	if len(o.made) > maxOwners {
		maps.DeleteFunc(o.made, func(id model.ID, _ string) bool { return networks[id].ID == "" })
	}
	for name, b := range actual.Bridges {
		if calm[name] {
			continue
		}
		owner := o.of(b, networks)
		if marked := plan.MarkedFor(b); owner == "" && marked != "" {
			forged[marked] = append(forged[marked], name)
		}
		if owner == b.Network {
			continue
		}
		if settled == actual {
			next := *actual
			next.Bridges = maps.Clone(actual.Bridges)
			settled = &next
		}
		b.Network = owner
		settled.Bridges[name] = b
	}
	return settled, forged
}
