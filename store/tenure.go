package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	libovsdb "github.com/ovn-kubernetes/libovsdb/model"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

// machineKey is the key of a host's external_ids that names the machine which is
// that host.
const machineKey = "isonet-machine"

// claimProbe is how often about the leader of a cluster is asked for a sign of life by
// each claim: all hosts have one.
const claimProbe = 30 * time.Second

// hostLock returns the lock (RFC 7047 section 4.1.8) that a live machine has for
// its host. No other transaction of the store depends on it. The name is an <id>
// (RFC 7047 section 3.1).
func hostLock(host model.ID) string {
	return "isonet_host_" + strings.ReplaceAll(string(host), "-", "_")
}

// tenant is the row of a host, as far as it says whose it is.
type tenant struct {
	UUID        string            `ovsdb:"_uuid"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	SystemID    string            `ovsdb:"system_id"` // of the table's index
}

// tenure is a machine's claim to be a host.
type tenure struct {
	host    model.ID
	machine string
	tell    func(mine bool)
	// others is since when another machine was there, ended when its lock came free;
	// both zero while there is none.
	others, ended time.Time
}

// Hold makes a machine the host of a shared store until ctx ends, and tells whether
// it is whenever that is news, or known again. Machine names a run of a machine: no
// other one that is up has the same.
//
// The host is that of the machine in its row. A machine that is up keeps the
// host's lock, by a connection of its own. Another one gets the host when nobody
// has the lock: at once, as after the machine has started anew, or, if it has seen
// the other machine, after the other one has been away for as long as it was seen.
// Whoever is in the row takes the lock back when it comes back before.
//
// While the store cannot be reached from the start, the answer is what it was when it
// could be.
func (s *Slice) Hold(ctx context.Context, host model.ID, machine string, tell func(mine bool)) error {
	m, err := libovsdb.NewClientDBModel(Database, map[string]libovsdb.Model{schema.HostTable: &tenant{}})
	if err != nil {
		return fmt.Errorf("describe the hosts of the database: %w", err)
	}
	now := tenantOf{host, machine}
	told := false
	t := &tenure{host: host, machine: machine, tell: func(mine bool) {
		told = true
		if mine {
			s.tenant.Store(&now)
		} else {
			s.tenant.Store(&tenantOf{})
		}
		s.memory.unsave()
		tell(mine)
	}}
	cfg := s.cfg.session()
	cfg.Model, cfg.Lock = m, hostLock(host)
	// Locks are the server's: all hosts are with the one that leads.
	cfg.Conditions = ovsdb.Conditions{schema.HostTable: byUUID(string(host))}
	if len(cfg.Endpoints) > 1 {
		cfg.Many, cfg.ProbeInterval, cfg.ProbeTimeout = true, claimProbe, 0
	}
	ovsdb.Keep(ctx, cfg, t.follow, func(error) {
		if last := s.tenant.Load(); !told && last != nil && *last == now {
			tell(true)
		}
	})
	return nil
}

// follow keeps the claim as long as a session lasts.
func (t *tenure) follow(ctx context.Context, session *ovsdb.Session) error {
	mine, _, there := t.look(session)
	if there && mine && !session.Owner() {
		if err := session.Steal(ctx); err != nil {
			return err
		}
	}
	for {
		owner := session.Owner() // before the row, which the owner may have changed by then
		mine, free, there := t.look(session)
		var later <-chan time.Time
		switch wait := t.away(owner, time.Now()); {
		case !there: // the host was removed, and its machine keeps what it has
			if owner {
				t.tell(true)
			}
		case mine:
			t.others, t.ended = time.Time{}, time.Time{}
			t.tell(true)
		case owner && (free || wait == 0):
			if err := t.enter(ctx, session); err != nil {
				return err
			}
		case owner:
			later = time.After(wait)
		case !free:
			if t.others.IsZero() {
				t.others = time.Now()
			}
			t.tell(false)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-session.Changed():
		case <-later:
		}
	}
}

// away returns how long to wait until another machine that was there is taken for
// gone. The owner is the one who has the lock.
func (t *tenure) away(owner bool, now time.Time) time.Duration {
	switch {
	case t.others.IsZero():
		return 0
	case !owner:
		t.ended = time.Time{}
	case t.ended.IsZero():
		t.ended = now
	}
	return max(0, t.ended.Sub(t.others)-now.Sub(t.ended))
}

// look returns whether the host is this machine's or nobody's, and whether there is
// one.
func (t *tenure) look(session *ovsdb.Session) (mine, free, there bool) {
	session.Look(func(all ovsdb.Tables, _ ovsdb.Changes) {
		if row, is := all[schema.HostTable][string(t.host)].(*tenant); is {
			machine := row.ExternalIDs[machineKey]
			mine, free, there = machine == t.machine, machine == "", true
		}
	})
	return mine, free, there
}

// enter makes the host this machine's. It fails without the lock.
func (t *tenure) enter(ctx context.Context, session *ovsdb.Session) error {
	_, err := session.Transact(ctx, rfc.Operation{
		Op: rfc.OperationMutate, Table: schema.HostTable, Where: byUUID(string(t.host)),
		Mutations: []rfc.Mutation{
			*rfc.NewMutation("external_ids", rfc.MutateOperationDelete, rfc.OvsSet{GoSet: []any{machineKey}}),
			*rfc.NewMutation("external_ids", rfc.MutateOperationInsert, rfc.OvsMap{GoMap: map[any]any{machineKey: t.machine}}),
		},
	})
	if err != nil {
		return fmt.Errorf("make the host this machine's: %w", err)
	}
	return nil
}
