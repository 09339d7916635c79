package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

// selection says which rows a slice has. Its lists are sorted.
type selection struct {
	systemID string
	// hosts are further hosts, owners those whose attachments are wanted.
	hosts, owners []model.ID
	// labels are those of networks, networks the ones without them.
	labels   []string
	networks []model.ID
}

// conditions returns the selection as the server needs it.
func (s selection) conditions() ovsdb.Conditions {
	c := ovsdb.Conditions{schema.HostTable: nil, schema.AttachmentTable: nil, schema.NetworkTable: nil}
	add := func(table, column string, value any) {
		c[table] = append(c[table], rfc.NewCondition(column, rfc.ConditionEqual, value))
	}
	if s.systemID != "" {
		add(schema.HostTable, "system_id", s.systemID)
	}
	for _, host := range s.hosts {
		add(schema.HostTable, "_uuid", rfc.UUID{GoUUID: string(host)})
	}
	for _, host := range s.owners {
		add(schema.AttachmentTable, "host", rfc.UUID{GoUUID: string(host)})
	}
	for _, label := range s.labels {
		add(schema.NetworkTable, "label", label)
	}
	for _, network := range s.networks {
		add(schema.NetworkTable, "_uuid", rfc.UUID{GoUUID: string(network)})
	}
	return c
}

// first is what to select before anything is known but the slice of before.
func first(whose Whose, before *model.Desired) selection {
	rows := selectionOf(whose, before)
	if h, known := before.HostOf(whose.SystemID); !known && whose.SystemID != "" {
		rows.owners = sorted(append(rows.owners, model.HostID(whose.SystemID))) // as a rule
	} else if known {
		rows.owners = sorted(append(rows.owners, h.ID))
	}
	return rows
}

// selectionOf returns what a slice must have, by what is known of it.
func selectionOf(whose Whose, d *model.Desired) selection {
	s := selection{systemID: whose.SystemID}
	if whose.Host != "" {
		s.hosts = []model.ID{whose.Host}
	}
	var labels []string
	for id, h := range d.Hosts {
		if id == whose.Host || h.SystemID == whose.SystemID && whose.SystemID != "" {
			s.owners = append(s.owners, id)
			labels = append(labels, h.Labels...)
		}
	}
	slices.Sort(labels)
	s.labels, s.owners = slices.Compact(labels), sorted(s.owners)
	needed := slices.Clone(whose.Networks)
	for _, a := range d.Attachments {
		if slices.Contains(s.owners, a.Host) {
			needed = append(needed, a.Network)
		}
	}
	// One that has a label of the host comes by that: many networks have few labels.
	s.networks = sorted(slices.DeleteFunc(needed, func(id model.ID) bool {
		n, known := d.Networks[id]
		_, labelled := slices.BinarySearch(s.labels, n.Label)
		return known && labelled
	}))
	return s
}

func sorted(ids []model.ID) []model.ID { return slices.Compact(slices.Sorted(slices.Values(ids))) }

// sliceSession is a session that follows a slice.
type sliceSession struct {
	slice   *Slice
	session *ovsdb.Session
	// written is what the rows say, and root is the root row, of the newest look. Touched
	// says that others than the root row have changed since they were published.
	written *model.Desired
	root    rootRevision
	touched bool
	// selected is what the copy has, nil while it has nothing but the root row; whose
	// is for whom.
	selected *selection
	whose    Whose
	// behind is since when the server is behind what was seen.
	behind time.Time
}

// follow publishes the slice after every change, as long as the session lasts: never
// one that lacks rows because they were not selected yet.
func (f *sliceSession) follow(ctx context.Context) error {
	for {
		published, err := f.step(ctx)
		if err != nil {
			return err
		}
		if !published {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.session.Changed():
		case <-f.slice.minded:
		case <-f.late():
			return f.old()
		}
	}
}

// step looks once. It returns false if it has to look again, because it has changed what
// the copy has.
func (f *sliceSession) step(ctx context.Context) (settled bool, err error) {
	if !f.session.Look(f.look) {
		return false, ovsdb.ErrLost
	}
	whose := f.slice.cfg.Whose()
	whose.Networks = sorted(whose.Networks)
	if whose.SystemID == "" && whose.Host == "" { // it is not known which host that is
		return true, nil
	}
	if changed := !reflect.DeepEqual(whose, f.whose); changed || f.touched {
		f.whose, f.touched = whose, true
		wanted := first(whose, f.slice.Snapshot())
		if f.selected != nil {
			wanted = selectionOf(whose, f.written)
		}
		if f.selected == nil || !reflect.DeepEqual(wanted, *f.selected) {
			f.selected = &wanted
			return false, f.session.Select(ctx, wanted.conditions())
		}
	}
	return true, f.publish(ctx)
}

// look takes what the copy has.
func (f *sliceSession) look(all ovsdb.Tables, changes ovsdb.Changes) {
	for table := range changes {
		f.touched = f.touched || table != schema.IsolatedNetworksTable
	}
	f.written, f.root = after(f.written, changes), rootRevision{}
	for _, row := range all[schema.IsolatedNetworksTable] {
		if r, is := row.(*rootRevision); is {
			f.root = *r
		}
	}
}

// publish publishes what was looked at.
func (f *sliceSession) publish(ctx context.Context) error {
	if f.root.UUID == "" {
		return f.slice.createRoot(ctx, f.session)
	}
	if f.isBehind() {
		return nil
	}
	if f.touched {
		f.slice.publish(f.session, f.root, f.written)
	} else {
		f.slice.advance(f.session, f.root)
	}
	f.touched = false
	return nil
}

// isBehind reports whether the server has less than what was seen of the store.
func (f *sliceSession) isBehind() bool {
	s, root := f.slice, f.root
	seen := s.newest.Load()
	if int64(root.Revision) >= seen.revision || seen.root != "" && seen.root != root.UUID {
		f.behind, s.behind = time.Time{}, time.Time{}
		return false
	}
	now := time.Now()
	if s.behind.IsZero() {
		s.behind = now
	}
	if now.Sub(s.behind) > oldPatience {
		s.cfg.Logger.Warn("the store has gone back to an older state, and that counts now", "revision", root.Revision, "before", seen.revision)
		f.behind, s.behind = time.Time{}, time.Time{}
		return false
	}
	if f.behind.IsZero() {
		f.behind = now
		s.disconnected(f.old())
	}
	return true
}

// old says that the server is behind.
func (f *sliceSession) old() error {
	return fmt.Errorf("%s is behind: it has revision %d of the store, and %d was seen; look at what it follows", f.session.Endpoint(), f.root.Revision, f.slice.newest.Load().revision)
}

// late receives a value when a server was behind for too long.
func (f *sliceSession) late() <-chan time.Time {
	if f.behind.IsZero() {
		return nil
	}
	return time.After(behindPatience - time.Since(f.behind))
}

// createRoot makes a new database usable. When another process is faster, the server
// refuses.
func (s *Slice) createRoot(ctx context.Context, session *ovsdb.Session) error {
	_, err := session.Transact(ctx, rfc.Operation{
		Op: rfc.OperationInsert, Table: schema.IsolatedNetworksTable,
		Row: rfc.Row{"revision": int(s.newest.Load().revision)}, // one that was seen means that somebody deleted the row
	})
	var refused *ovsdb.Error
	if err != nil && (!errors.As(err, &refused) || errors.Is(err, ovsdb.ErrForbidden)) {
		return fmt.Errorf("create the root row of the database: %w", err)
	}
	return nil
}
