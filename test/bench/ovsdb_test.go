package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

const (
	database = "Open_vSwitch"
	// localPort is the number of a bridge's local port once it is in use.
	localPort = 65534
	// patience bounds a wait for vswitchd, which removes 1,000 bridges in half a
	// minute on a quiet machine.
	patience = 10 * time.Minute
)

type root struct {
	UUID    string `ovsdb:"_uuid"`
	CurCfg  int    `ovsdb:"cur_cfg"`
	NextCfg int    `ovsdb:"next_cfg"`
}

type bridge struct {
	UUID string `ovsdb:"_uuid"`
	Name string `ovsdb:"name"`
}

type iface struct {
	UUID   string `ovsdb:"_uuid"`
	Name   string `ovsdb:"name"`
	OFPort *int   `ovsdb:"ofport"`
	MTU    *int   `ovsdb:"mtu"`
}

// event is what the database said of a bridge, or that cur_cfg changed.
type event struct {
	what string // "deleted", "added", "in use" or "cfg"
	name string
	mtu  int
	// current and next are cur_cfg and next_cfg.
	current, next int
	at            time.Time
}

// monitor opens a session of its own, with nothing of isonet's code. The
// channel has the events in their order.
func (o *openvswitch) monitor() (client.Client, <-chan event) {
	o.Helper()
	m, err := model.NewClientDBModel(database, map[string]model.Model{
		database: &root{}, "Bridge": &bridge{}, "Interface": &iface{},
	})
	if err != nil {
		o.Fatal(err)
	}
	c, err := client.NewOVSDBClient(m, client.WithEndpoint(o.Endpoint()))
	if err != nil {
		o.Fatal(err)
	}
	if err := c.Connect(o.Context()); err != nil {
		o.Fatal(err)
	}
	events := make(chan event, 100_000) // it must never hold the session up
	c.Cache().AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(_ string, row model.Model) { report(events, nil, row) },
		UpdateFunc: func(_ string, old, row model.Model) { report(events, old, row) },
		DeleteFunc: func(_ string, old model.Model) {
			if b, ok := old.(*bridge); ok {
				events <- event{what: "deleted", name: b.Name, at: time.Now()}
			}
		},
	})
	var r root
	var b bridge
	var i iface
	_, err = c.Monitor(o.Context(), c.NewMonitor(
		client.WithTable(&r, &r.CurCfg, &r.NextCfg), client.WithTable(&b, &b.Name), client.WithTable(&i, &i.Name, &i.OFPort, &i.MTU)))
	if err != nil {
		o.Fatal(err)
	}
	return c, events
}

func report(events chan<- event, old, row model.Model) {
	now := time.Now()
	switch r := row.(type) {
	case *root:
		events <- event{what: "cfg", current: r.CurCfg, next: r.NextCfg, at: now}
	case *bridge:
		if old == nil {
			events <- event{what: "added", name: r.Name, at: now}
		}
	case *iface:
		if r.OFPort != nil && *r.OFPort == localPort {
			mtu := 0
			if r.MTU != nil {
				mtu = *r.MTU
			}
			events <- event{what: "in use", name: r.Name, mtu: mtu, at: now}
		}
	}
}

// next waits for an event.
func (o *openvswitch) next(events <-chan event, what string) event {
	o.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(patience):
		o.Fatalf("%s: not within %v", what, patience)
		return event{}
	}
}

// raw commits one transaction, with nothing but a connection that is open
// already. It returns when vswitchd has applied it and done says so.
func (o *openvswitch) raw(operations []ovsdb.Operation, done func(event) bool) time.Duration {
	o.Helper()
	c, events := o.monitor()
	defer c.Close()
	start := time.Now()
	nextCfg := o.transact(c, operations)
	o.await(events, nextCfg, done)
	return time.Since(start)
}

// transact commits operations that end as commit makes them, and returns the new
// next_cfg.
func (o *openvswitch) transact(c client.Client, operations []ovsdb.Operation) int {
	o.Helper()
	results, err := c.Transact(o.Context(), operations...)
	if err != nil {
		o.Fatal(err)
	}
	for i, r := range results {
		if r.Error != "" {
			o.Fatalf("operation %d: %s: %s", i, r.Error, r.Details)
		}
	}
	return int(results[len(results)-2].Rows[0]["next_cfg"].(float64))
}

// await waits until vswitchd has applied everything up to a next_cfg, and done
// has said so of an event since.
func (o *openvswitch) await(events <-chan event, nextCfg int, done func(event) bool) {
	o.Helper()
	complete, current := false, 0
	for !complete || current < nextCfg {
		e := o.next(events, "vswitchd has applied it")
		if e.what == "cfg" {
			current = e.current
		}
		complete = done(e) || complete
	}
}

// applied is done when vswitchd has nothing more to apply.
func applied(e event) bool { return e.what == "cfg" && e.current >= e.next }

// inUse is done when the local ports of all bridges are in use.
func (o *openvswitch) inUse(want []wanted) func(event) bool {
	return o.haveMTU(want, 0)
}

// haveMTU is done when the local ports of all bridges are in use and have the
// MTU; 0 is any.
func (o *openvswitch) haveMTU(want []wanted, mtu int) func(event) bool {
	ready := map[string]bool{}
	return func(e event) bool {
		if e.what == "in use" && (mtu == 0 || e.mtu == mtu) {
			ready[e.name] = true
		}
		return len(ready) == len(want)
	}
}

// setMTU is the smallest transaction that changes the MTU of the bridges.
func (o *openvswitch) setMTU(want []wanted, mtu int) []ovsdb.Operation {
	var operations []ovsdb.Operation
	for _, w := range want {
		operations = append(operations, ovsdb.Operation{
			Op: ovsdb.OperationUpdate, Table: "Interface", Row: ovsdb.Row{"mtu_request": mtu},
			Where: []ovsdb.Condition{ovsdb.NewCondition("name", ovsdb.ConditionEqual, w.name)},
		})
	}
	return append(operations, commit()...)
}

// remove is the smallest transaction that deletes the bridges.
func (o *openvswitch) remove(want []wanted) []ovsdb.Operation {
	o.Helper()
	args := []string{"--bare", "--columns=_uuid", "list", "Bridge"}
	for _, w := range want {
		args = append(args, w.name)
	}
	var bridges []any
	for _, uuid := range strings.Fields(o.Vsctl(args...)) {
		bridges = append(bridges, ovsdb.UUID{GoUUID: uuid})
	}
	return commit(*ovsdb.NewMutation("bridges", ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: bridges}))
}

// commit ends a transaction: it changes the root row, has vswitchd tell when that
// is applied, and is on disk when it is answered, as isonet's are.
func commit(mutations ...ovsdb.Mutation) []ovsdb.Operation {
	durable := true
	theOne := []ovsdb.Condition{ovsdb.NewCondition("next_cfg", ovsdb.ConditionGreaterThanOrEqual, 0)}
	return []ovsdb.Operation{{
		Op: ovsdb.OperationMutate, Table: database, Where: theOne,
		Mutations: append(mutations, *ovsdb.NewMutation("next_cfg", ovsdb.MutateOperationAdd, 1)),
	}, {Op: ovsdb.OperationSelect, Table: database, Where: theOne, Columns: []string{"next_cfg"}}, {
		Op: ovsdb.OperationCommit, Durable: &durable,
	}}
}

// insert is the smallest transaction that makes the bridges.
func insert(want []wanted) []ovsdb.Operation {
	var operations []ovsdb.Operation
	var bridges []any
	add := func(table string, row ovsdb.Row) ovsdb.UUID {
		name := fmt.Sprintf("row%d", len(operations))
		operations = append(operations, ovsdb.Operation{Op: ovsdb.OperationInsert, Table: table, UUIDName: name, Row: row})
		return ovsdb.UUID{GoUUID: name}
	}
	for _, w := range want {
		port := with(w.port, "interfaces", add("Interface", w.iface))
		bridges = append(bridges, add("Bridge", with(w.bridge, "ports", add("Port", port))))
	}
	return append(operations, commit(*ovsdb.NewMutation("bridges", ovsdb.MutateOperationInsert, ovsdb.OvsSet{GoSet: bridges}))...)
}

// with returns a copy of a row with one more column.
func with(row map[string]any, column string, v any) ovsdb.Row {
	c := ovsdb.Row{column: v}
	for k, old := range row {
		c[k] = old
	}
	return c
}

// repair is how long after a bridge's deletion was committed its row was back,
// and the bridge in use.
type repair struct{ committed, realised time.Duration }

// drift deletes bridges behind isonet's back, one after the other, and takes
// the times when the events come. Their session must be older than isonet's:
// ovsdb-server serves the oldest first, so that it tells of the deletion before
// isonet can answer it, and does not tell of both in one message.
func (o *openvswitch) drift(events <-chan event, names []string) []repair {
	o.Helper()
	return o.repairs(events, names, func(int) {})
}

// rawDrift does the same while isonet does not run: what tells of the deletion
// puts the bridge back, with one transaction that was ready before. It is the floor
// of a repair.
func (o *openvswitch) rawDrift(want []wanted) []repair {
	o.Helper()
	c, events := o.monitor()
	defer c.Close()
	names, ready := make([]string, len(want)), make([][]ovsdb.Operation, len(want))
	for i, w := range want {
		names[i], ready[i] = w.name, insert([]wanted{w})
	}
	return o.repairs(events, names, func(i int) { o.transact(c, ready[i]) })
}

// repairs deletes bridges one after the other, and calls mend with the index of
// each when its deletion was seen.
func (o *openvswitch) repairs(events <-chan event, names []string, mend func(int)) []repair {
	o.Helper()
	var repairs []repair
	for n := range driftRepairs {
		i := n % len(names)
		o.Vsctl("--no-wait", "del-br", names[i])
		deleted := o.seen(events, "deleted", names[i])
		mend(i)
		added := o.seen(events, "added", names[i])
		used := o.seen(events, "in use", names[i])
		repairs = append(repairs, repair{added.Sub(deleted), used.Sub(deleted)})
	}
	return repairs
}

func (o *openvswitch) seen(events <-chan event, what, name string) time.Time {
	o.Helper()
	for {
		if e := o.next(events, name+" is "+what); e.what == what && e.name == name {
			return e.at
		}
	}
}
