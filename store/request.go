package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

// Each transaction inserts a row with its own UUID in the table Request, before anything
// else. A server refuses a UUID that is there, so of all the transactions with one UUID
// only one can ever be committed, however late and however often one arrives.

const (
	// requestAge is how long a row of a transaction is kept that may still be on its way
	// to a server, in a connection that broke.
	requestAge = 24 * time.Hour
	// pruneInterval is how often a writer deletes the rows that are older.
	pruneInterval = time.Hour
	// withdrawn is the revision of a row that keeps a transaction from being committed.
	// A committed one has a greater one.
	withdrawn = 0
)

// request claims the UUID of a transaction. The revision is one that is made at the
// earliest: only the commit itself finds out.
func request(id string, revision int64) rfc.Operation {
	return rfc.Operation{
		Op: rfc.OperationInsert, Table: schema.RequestTable, UUID: id,
		Row: rfc.Row{"revision": int(revision), "time": int(time.Now().Unix())},
	}
}

// requested says that the server refused a transaction because its UUID is taken.
func requested(err error) bool {
	var refused *ovsdb.Error
	return errors.As(err, &refused) && refused.Op == 0 && refused.Class == "duplicate uuid"
}

// transaction returns the operations that claim an id, check what the change rests on,
// make it, and tell the revision that it makes.
func (s *Store) transaction(r root, id string, c compiled) []rfc.Operation {
	root := rfc.Row{"_uuid": rfc.UUID{GoUUID: r.uuid}}
	counted := []rfc.Mutation{*rfc.NewMutation("revision", rfc.MutateOperationAdd, 1)}
	if c.names {
		root["names"], root["recent"] = r.names, recentMap(r.recent)
		counted = append(counted, *rfc.NewMutation("names", rfc.MutateOperationAdd, 1))
	}
	if c.all {
		root["revision"] = int(r.revision)
	}
	return slices.Concat(
		[]rfc.Operation{request(id, r.revision+1)},
		s.prune(),
		[]rfc.Operation{unchanged(schema.IsolatedNetworksTable, r.uuid, root)},
		c.guards,
		c.writes,
		[]rfc.Operation{
			{Op: rfc.OperationMutate, Table: schema.IsolatedNetworksTable, Where: byUUID(r.uuid), Mutations: counted},
			{Op: rfc.OperationSelect, Table: schema.IsolatedNetworksTable, Where: byUUID(r.uuid), Columns: []string{"revision"}},
		})
}

func recentMap(recent map[string]int) rfc.OvsMap {
	pairs := make(map[any]any, len(recent))
	for id, revision := range recent {
		pairs[id] = revision
	}
	return rfc.OvsMap{GoMap: pairs}
}

// prune deletes rows that nobody needs: that of the Update before, and now and then those
// that are old.
func (s *Store) prune() []rfc.Operation {
	var operations []rfc.Operation
	if s.settled != "" {
		operations = append(operations, rfc.Operation{Op: rfc.OperationDelete, Table: schema.RequestTable, Where: byUUID(s.settled)})
	}
	if time.Since(s.pruned) > pruneInterval {
		old := rfc.NewCondition("time", rfc.ConditionLessThan, int(time.Now().Add(-requestAge).Unix()))
		operations = append(operations, rfc.Operation{Op: rfc.OperationDelete, Table: schema.RequestTable, Where: []rfc.Condition{old}})
	}
	return operations
}

// commit sends a transaction and returns the revision that it made.
func (u *update) commit(ctx context.Context, now *view, c compiled) (int64, error) {
	operations := u.store.transaction(now.root, u.id, c)
	results, err := now.session.Transact(ctx, operations...)
	if requested(err) { // by a server that lost its leadership on the way, and sent it again
		return u.made(ctx, now)
	}
	if err != nil {
		return 0, err
	}
	if time.Since(u.store.pruned) > pruneInterval {
		u.store.pruned = time.Now()
	}
	u.store.settled = u.id // it was never in doubt: none of this id is on its way
	return revisionOf(results[len(operations)-1])
}

// settle finds out about a transaction in doubt: it takes the transaction's UUID. If that
// is free, the transaction cannot be committed any more, and the update goes on with
// another one. Else it returns a revision with the change.
func (u *update) settle(ctx context.Context, now *view) (revision int64, made bool, err error) {
	_, err = now.session.Transact(ctx, request(u.id, withdrawn))
	if requested(err) {
		revision, err = u.made(ctx, now)
		if err == nil && revision != withdrawn {
			return revision, true, nil
		}
	}
	if err == nil {
		u.id, u.doubt = uuid.NewString(), nil
	}
	return 0, false, err
}

// made returns a revision with the change of the transaction, if there was one, or
// withdrawn.
func (u *update) made(ctx context.Context, now *view) (int64, error) {
	results, err := now.session.Transact(ctx,
		rfc.Operation{Op: rfc.OperationSelect, Table: schema.RequestTable, Where: byUUID(u.id), Columns: []string{"revision"}},
		rfc.Operation{Op: rfc.OperationSelect, Table: schema.IsolatedNetworksTable, Where: byUUID(now.root.uuid), Columns: []string{"revision"}})
	if err != nil {
		return 0, err
	}
	revision, err := revisionOf(results[0])
	if err != nil || revision == withdrawn {
		return withdrawn, err
	}
	return revisionOf(results[1])
}

// revisionOf returns the revision that a select found in the one row that there is.
func revisionOf(result rfc.OperationResult) (int64, error) {
	if len(result.Rows) == 1 {
		if revision, is := result.Rows[0]["revision"].(float64); is {
			return int64(revision), nil
		}
	}
	return 0, fmt.Errorf("%w: the server answers with %v where one revision was asked for", ErrUnknown, result.Rows)
}
