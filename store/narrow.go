package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

// narrowTimeout bounds a write of a host about itself, with the wait for a connection.
const narrowTimeout = 10 * time.Second

// Register makes the host with a system-id known to the store. It returns nil when it is
// known, and Snapshot shows it then.
func (s *Store) Register(ctx context.Context, systemID, name string) error {
	_, err := s.Update(ctx, func(d *model.Desired) error {
		id := model.HostID(systemID)
		if _, known := d.HostOf(systemID); known {
			return nil
		}
		if _, taken := d.Hosts[id]; taken { // by one whose system-id has changed
			id = model.NewID()
		}
		d.Hosts[id] = model.Host{ID: id, SystemID: systemID, Name: name}
		return nil
	})
	return err
}

// FollowName gives a host the name of its machine, unless an operator chose another.
func (s *Store) FollowName(ctx context.Context, host model.ID, name string) error {
	_, err := s.Update(ctx, func(d *model.Desired) error {
		d.FollowName(host, name)
		return nil
	})
	return err
}

// Left says that networks that were evicted or released have left a host.
func (s *Store) Left(ctx context.Context, host model.ID, networks ...model.ID) error {
	_, err := s.Update(ctx, func(d *model.Desired) error {
		d.Left(host, networks...)
		return nil
	})
	return err
}

// Register makes the host with a system-id known to the store. It returns nil when it is
// known, and Snapshot shows it then. Like the other writes of a host about itself it needs
// no guard and bumps no revision.
func (s *Slice) Register(ctx context.Context, systemID, name string) error {
	ctx, done := context.WithTimeout(ctx, narrowTimeout)
	defer done()
	there := func() bool { _, known := s.Snapshot().HostOf(systemID); return known }
	if there() {
		return nil
	}
	insert := func(id model.ID) error {
		noWait := 0
		return s.write(ctx, rfc.Operation{
			Op: rfc.OperationWait, Table: schema.HostTable, Timeout: &noWait, Columns: []string{"system_id"}, Until: string(rfc.WaitConditionNotEqual), Rows: []rfc.Row{{"system_id": systemID}},
			Where: []rfc.Condition{rfc.NewCondition("system_id", rfc.ConditionEqual, systemID)},
		}, rfc.Operation{
			Op: rfc.OperationInsert, Table: schema.HostTable, UUID: string(id),
			Row: hostRow(model.Host{SystemID: systemID, Name: name}),
		})
	}
	err := insert(model.HostID(systemID))
	var refused *ovsdb.Error
	if errors.As(err, &refused) && !errors.Is(err, ovsdb.ErrStale) && !errors.Is(err, ErrForbidden) { // the id is taken by one whose system-id has changed
		err = insert(model.NewID())
	}
	if err != nil && !errors.Is(err, ovsdb.ErrStale) { // another one was faster
		return err
	}
	for !there() {
		select {
		case <-s.Changed():
		case <-ctx.Done():
			return fmt.Errorf("the host is registered, but its store does not show it yet: %w", context.Cause(ctx))
		}
	}
	return nil
}

// FollowName gives a host the name of its machine, unless an operator chose another.
func (s *Slice) FollowName(ctx context.Context, host model.ID, name string) error {
	return s.write(ctx, rfc.Operation{
		Op: rfc.OperationUpdate, Table: schema.HostTable, Row: rfc.Row{"name": name},
		Where: append(byUUID(string(host)), rfc.NewCondition("named", rfc.ConditionEqual, false)),
	})
}

// Left says that networks that were evicted or released have left a host.
func (s *Slice) Left(ctx context.Context, host model.ID, networks ...model.ID) error {
	left := uuidSet(networks)
	return s.write(ctx, rfc.Operation{
		Op: rfc.OperationMutate, Table: schema.HostTable, Where: byUUID(string(host)),
		Mutations: []rfc.Mutation{
			*rfc.NewMutation("evicted", rfc.MutateOperationDelete, left),
			*rfc.NewMutation("released", rfc.MutateOperationDelete, left),
		},
	})
}

// write makes a transaction by the session of the slice: its server hands it to the
// leader. It waits for a session. An error that is ErrForbidden, ErrUnavailable or an
// *ovsdb.Error says that nothing was written.
func (s *Slice) write(ctx context.Context, operations ...rfc.Operation) error {
	ctx, done := context.WithTimeout(ctx, narrowTimeout)
	defer done()
	for {
		now := s.newest.Load()
		if now.session != nil {
			_, err := now.session.Transact(ctx, operations...)
			if errors.Is(err, ovsdb.ErrForbidden) {
				err = fmt.Errorf("%w: %w", ErrForbidden, err)
			}
			return err
		}
		select {
		case <-now.replaced:
		case <-ctx.Done():
			_, cause := s.Trouble()
			return fmt.Errorf("%w: %w", ErrUnavailable, cause)
		}
	}
}
