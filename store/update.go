package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

const (
	// updateTimeout bounds an Update whose caller sets no deadline.
	updateTimeout = 30 * time.Second
	// connectPatience is how long an Update waits for a connection.
	connectPatience = 5 * time.Second
	// newsPatience is how long an Update that was refused waits for the change of
	// somebody else that explains it. A server tells of it before it refuses.
	newsPatience = 2 * time.Second
)

var (
	// ErrUnavailable says that the store has no connection to its database.
	// Nothing was written.
	ErrUnavailable = model.Refuse(model.ErrUnavailable, model.StoreUnreachable, "the store cannot reach its database")
	// ErrUnknown says that the connection broke after a change had been sent
	// and that it could not be found out whether it was made.
	ErrUnknown = model.Refuse(model.ErrUndecided, model.StoreUndecided, "it is unknown whether the change was made: look before you repeat it")
	// ErrDisk says that the database cannot be written, for example because its
	// disk is full. Nothing was written.
	ErrDisk = model.Refuse(model.ErrUnavailable, model.StoreDisk, "the store's database cannot be written: free or repair the disk of its server")
)

// ErrForbidden says that the servers of the store do not allow a change to the
// certificate of this isonetd. Nothing was written.
var ErrForbidden = model.Refuse(model.ErrForbidden, model.StoreForbidden, "the certificate of this isonetd lacks the right to make that change: ask the API of a node that has it")

// Update runs change on a copy of the newest state and commits what it changed
// in one durable transaction. It returns the revision with the change, and
// Snapshot shows that by then. A change that changes nothing writes nothing.
//
// When another writer was faster with something that the change rests on, change runs
// again on the newer state: see resting. A change may run on a state of which other parts
// are not the newest any more. An error of change is returned as it is. The other errors are those of
// model.Desired.Validate, ErrUnavailable, ErrDisk, ErrUnknown, an *ovsdb.Error
// when the database refuses, and ctx's end. Nothing was written, except that ErrUnknown
// leaves that open.
//
// It waits up to 5 seconds for a connection, and until ctx ends for its turn.
func (s *Store) Update(ctx context.Context, change func(d *model.Desired) error) (int64, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, updateTimeout)
		defer done()
	}
	s.rest.ask()
	if err := s.takeTurn(ctx); err != nil {
		return 0, err
	}
	defer func() { <-s.writing }()
	u := &update{store: s, id: uuid.NewString(), change: change}
	revision, err := u.run(ctx)
	if err != nil {
		return 0, err
	}
	return revision, s.await(ctx, revision)
}

// takeTurn waits until no other Update runs. A free turn is taken even when ctx
// has ended, so that the error says what is wrong and not that nobody waited.
func (s *Store) takeTurn(ctx context.Context) error {
	select {
	case s.writing <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the changes before this one: %w", context.Cause(ctx))
	}
}

// await returns when the snapshot shows a committed revision.
func (s *Store) await(ctx context.Context, revision int64) error {
	for {
		now := s.newest.Load()
		if now.root.revision >= revision {
			return nil
		}
		select {
		case <-now.replaced:
		case <-ctx.Done():
			return fmt.Errorf("the change is made as revision %d, but the store does not see it yet: %w", revision, context.Cause(ctx))
		}
	}
}

// update is one call of Update.
type update struct {
	store  *Store
	id     string // of the transaction: of all that have it only one can be committed
	change func(d *model.Desired) error
	// doubt is the lost session that had a transaction whose outcome is unknown.
	doubt *ovsdb.Session
}

func (u *update) run(ctx context.Context) (int64, error) {
	for {
		now, err := u.connected(ctx)
		if err != nil {
			return 0, err
		}
		revision, done, err := u.attempt(ctx, now)
		if done || err == nil {
			return revision, err
		}
		var refused *ovsdb.Error
		switch {
		case errors.Is(err, ovsdb.ErrStale):
			if err := u.stale(ctx, now); err != nil {
				return 0, err
			}
		case errors.Is(err, ovsdb.ErrIO):
			return 0, u.undecided(fmt.Errorf("%w: %w", ErrDisk, err))
		case errors.Is(err, ovsdb.ErrForbidden):
			return 0, u.undecided(fmt.Errorf("%w: %w", ErrForbidden, err))
		case errors.As(err, &refused):
			if !u.news(ctx, now) {
				return 0, u.undecided(fmt.Errorf("write the desired state: %w", err))
			}
		default:
			u.doubt = now.session
		}
	}
}

// attempt tries once, and says whether that is the end: nothing is left to try, or the
// error is not one of the database.
func (u *update) attempt(ctx context.Context, now *view) (revision int64, done bool, err error) {
	if u.doubt != nil {
		revision, made, err := u.settle(ctx, now)
		if made || err != nil {
			return revision, made || errors.Is(err, ErrUnknown), err
		}
	}
	c, err := u.prepare(now)
	if err != nil || len(c.writes) == 0 {
		if behind := u.behind(ctx, now); behind != nil {
			return 0, false, behind
		}
		return now.root.revision, true, err
	}
	if ctx.Err() != nil { // sent now, its outcome could only be in doubt
		return 0, true, fmt.Errorf("nothing was written: %w", context.Cause(ctx))
	}
	revision, err = u.commit(ctx, now, c)
	return revision, errors.Is(err, ErrUnknown), err
}

// prepare computes what to send.
func (u *update) prepare(now *view) (compiled, error) {
	wanted := now.desired.Clone()
	if err := u.change(wanted); err != nil {
		return compiled{}, err
	}
	c, err := compile(now, wanted)
	if err == nil && len(c.writes) > 0 {
		err = wanted.ValidateSince(now.desired)
	}
	return c, err
}

// behind returns an error if others have written what a view does not have yet. Nothing
// else tells of it when the change is refused, or when there is nothing to write: an API
// of another host may have acknowledged the opposite a moment ago.
func (u *update) behind(ctx context.Context, now *view) error {
	if len(u.store.cfg.Endpoints) == 0 { // nobody else writes
		return nil
	}
	results, err := now.session.Transact(ctx,
		rfc.Operation{Op: rfc.OperationSelect, Table: schema.IsolatedNetworksTable, Where: byUUID(now.root.uuid), Columns: []string{"revision"}})
	if err != nil { // another session may tell
		return fmt.Errorf("%w: %w", ovsdb.ErrStale, err)
	}
	if revision, err := revisionOf(results[0]); err != nil || revision == now.root.revision {
		return err
	}
	return ovsdb.ErrStale
}

// connected waits for a session: after an attempt in doubt for another one,
// because only that one tells the outcome.
func (u *update) connected(ctx context.Context) (*view, error) {
	patience := time.NewTimer(connectPatience)
	defer patience.Stop()
	for {
		now := u.store.newest.Load()
		if now.session != nil && (u.doubt == nil || now.session != u.doubt) {
			return now, nil
		}
		select {
		case <-now.replaced:
		case <-ctx.Done():
			return nil, u.unavailable(fmt.Errorf("%w (%w)", now.reason(), context.Cause(ctx)))
		case <-patience.C:
			return nil, u.unavailable(now.reason())
		}
	}
}

func (u *update) unavailable(cause error) error {
	if u.doubt != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, cause)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// undecided adds that a transaction of the update is still in doubt, if it is.
func (u *update) undecided(cause error) error {
	if u.doubt != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, cause)
	}
	return cause
}

// news waits for another view than the one that an attempt was made of.
func (u *update) news(ctx context.Context, now *view) bool {
	patience := time.NewTimer(newsPatience)
	defer patience.Stop()
	select {
	case <-now.replaced:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false
}

// stale waits until the store has seen what made an attempt stale.
func (u *update) stale(ctx context.Context, now *view) error {
	select {
	case <-now.replaced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: others kept changing the same things: %w", context.Cause(ctx), ovsdb.ErrStale)
	}
}
