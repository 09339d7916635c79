package ovs

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovsdb"
)

// TestAPictureIsWhatTheRowsSay changes rows at random, several times between two
// looks: what was brought up to date must be what is made from all rows, and a
// bridge that kept its version must be as it was.
func TestAPictureIsWhatTheRowsSay(t *testing.T) {
	o := ovstest.Start(t, ovstest.WithoutVSwitchd())
	m, err := configuration()
	if err != nil {
		t.Fatal(err)
	}
	cfg := ovsdb.Config{Endpoints: []string{o.Endpoint()}, Model: m, Logger: slog.New(slog.DiscardHandler)}
	err = ovsdb.Run(t.Context(), cfg, func(ctx context.Context, session *ovsdb.Session) error {
		versions := uint64(0)
		next := func() uint64 { versions++; return versions }
		p := newPicture("netdev", next, plan.MarkedFor)
		look := func() (now, fresh *plan.Actual, changed []string) {
			session.Look(func(all ovsdb.Tables, changes ovsdb.Changes) {
				now, changed = p.update(all, changes)
				fresh, _ = newPicture("netdev", next, plan.MarkedFor).update(all, asNew(all))
			})
			return now, fresh, changed
		}
		before, _, _ := look()
		r := randomRows{Rand: rand.New(rand.NewPCG(1, 2)), root: before.RootUUID}
		committed := 0
		for step := range 400 {
			for range r.IntN(3) {
				// What the schema refuses is no change.
				if _, err := session.Transact(ctx, r.operations(before)...); err == nil {
					committed++
				}
			}
			now, fresh, changed := look()
			if diff := cmp.Diff(fresh, now, cmpopts.IgnoreFields(plan.Bridge{}, "Version"), cmpopts.EquateEmpty()); diff != "" {
				return fmt.Errorf("step %d (-from all rows +brought up to date):\n%s", step, diff)
			}
			for name, b := range now.Bridges {
				if old := before.Bridges[name]; old.Version == b.Version && !cmp.Equal(old, b) {
					return fmt.Errorf("step %d: the bridge %s changed and kept its version", step, name)
				}
			}
			for _, name := range slices.Concat(slices.Collect(maps.Keys(before.Bridges)), slices.Collect(maps.Keys(now.Bridges))) {
				if before.Bridges[name].Version != now.Bridges[name].Version && !slices.Contains(changed, name) {
					return fmt.Errorf("step %d: nothing tells that the bridge %s changed", step, name)
				}
			}
			before = now
		}
		if committed < 200 {
			t.Errorf("%d transactions say too little", committed)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// asNew tells all rows as new.
func asNew(all ovsdb.Tables) ovsdb.Changes {
	changes := ovsdb.Changes{}
	for table, rows := range all {
		changes[table] = map[string]ovsdb.Change{}
		for uuid, row := range rows {
			changes[table][uuid] = ovsdb.Change{After: row}
		}
	}
	return changes
}

// randomRows draws transactions.
type randomRows struct {
	*rand.Rand
	root string
}

// operations returns those of one transaction about what there is.
func (r randomRows) operations(have *plan.Actual) []rfc.Operation {
	name := func() string { return fmt.Sprint("n", r.IntN(6)) }
	names := slices.Sorted(maps.Keys(have.Bridges))
	mutate := func(table, uuid, column string, mutator rfc.Mutator, value any) rfc.Operation {
		return rfc.Operation{
			Op: rfc.OperationMutate, Table: table, Where: byUUID(uuid), Mutations: []rfc.Mutation{*rfc.NewMutation(column, mutator, value)},
		}
	}
	set := func(table, uuid string, row rfc.Row) rfc.Operation {
		return rfc.Operation{Op: rfc.OperationUpdate, Table: table, Where: byUUID(uuid), Row: row}
	}
	if len(names) == 0 || r.IntN(6) == 0 {
		c := compiler{root: r.root}
		c.create(plan.NewSpec(model.Network{ID: model.NewID(), Name: "x", VdsmName: name()}, "netdev"), nil)
		c.finish()
		return c.operations
	}
	row := func(uuid string) rfc.OvsSet { return rfc.OvsSet{GoSet: []any{rfc.UUID{GoUUID: uuid}}} }
	b, other := have.Bridges[names[r.IntN(len(names))]], have.Bridges[names[r.IntN(len(names))]]
	if r.IntN(10) == 0 || len(b.Ports) == 0 || len(other.Ports) == 0 {
		return []rfc.Operation{mutate("Open_vSwitch", r.root, "bridges", rfc.MutateOperationDelete, row(b.UUID))}
	}
	p := other.Ports[r.IntN(len(other.Ports))]
	i := p.Interfaces[r.IntN(len(p.Interfaces))]
	switch r.IntN(11) {
	case 0: // a new port
		return []rfc.Operation{
			{Op: rfc.OperationInsert, Table: "Interface", UUIDName: "i", Row: rfc.Row{"name": "p" + name()}},
			{Op: rfc.OperationInsert, Table: "Port", UUIDName: "p", Row: rfc.Row{"name": "p" + name(), "interfaces": rfc.UUID{GoUUID: "i"}}},
			mutate("Bridge", b.UUID, "ports", rfc.MutateOperationInsert, row("p")),
		}
	case 1: // a port goes
		return []rfc.Operation{mutate("Bridge", other.UUID, "ports", rfc.MutateOperationDelete, row(p.UUID))}
	case 2: // a port moves, or is on two bridges
		ops := []rfc.Operation{mutate("Bridge", b.UUID, "ports", rfc.MutateOperationInsert, row(p.UUID))}
		if r.IntN(2) == 0 && b.UUID != other.UUID {
			ops = append(ops, mutate("Bridge", other.UUID, "ports", rfc.MutateOperationDelete, row(p.UUID)))
		}
		return ops
	case 3: // an interface is another port's too
		q := b.Ports[r.IntN(len(b.Ports))]
		return []rfc.Operation{mutate("Port", q.UUID, "interfaces", rfc.MutateOperationInsert, row(i.UUID))}
	case 4:
		return []rfc.Operation{set("Interface", i.UUID, rfc.Row{"mtu": 1000 + r.IntN(3), "link_state": "up"})}
	case 5:
		return []rfc.Operation{set("Port", p.UUID, rfc.Row{"tag": r.IntN(3), "trunks": rfc.OvsSet{GoSet: []any{r.IntN(3), 7}}})}
	case 6:
		return []rfc.Operation{set("Bridge", b.UUID, rfc.Row{"stp_enable": r.IntN(2) == 0})}
	case 7:
		return []rfc.Operation{mutate("Open_vSwitch", r.root, "next_cfg", rfc.MutateOperationAdd, 1)}
	case 8: // a port gets a QoS, or loses it
		if p.QoS != nil && r.IntN(2) == 0 {
			return []rfc.Operation{set("Port", p.UUID, rfc.Row{"qos": rfc.OvsSet{}})}
		}
		c := compiler{}
		q := c.insertQoS(plan.QoS{Queues: map[int]plan.Columns{r.IntN(3): {"dscp": "1"}}})
		return append(c.operations, set("Port", p.UUID, rfc.Row{"qos": q}))
	case 9: // a queue of a QoS changes, of all that are there
		return []rfc.Operation{{Op: rfc.OperationUpdate, Table: "Queue", Where: []rfc.Condition{}, Row: rfc.Row{"dscp": r.IntN(4)}}}
	}
	if len(b.FlowSamples) > 0 {
		return []rfc.Operation{{Op: rfc.OperationDelete, Table: "Flow_Sample_Collector_Set", Where: byUUID(b.FlowSamples[0])}}
	}
	return []rfc.Operation{{
		Op: rfc.OperationInsert, Table: "Flow_Sample_Collector_Set", Row: rfc.Row{"id": r.IntN(3), "bridge": rfc.UUID{GoUUID: b.UUID}},
	}}
}
