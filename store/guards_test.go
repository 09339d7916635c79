package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isonet/isonet/model"
)

// errRefused is that of a change that is not valid on the state that it is given.
var errRefused = errors.New("refused")

// edits are changes that writers make at random. Each is a function of the state alone,
// so that it can be made again on another one.
type edits struct {
	*rand.Rand
	hosts, networks []model.ID
	names, labels   []string
	// before and after are the last change of the writer, for undoing it.
	before, after *model.Desired
}

func newEdits(seed uint64) *edits {
	e := &edits{
		Rand:  rand.New(rand.NewPCG(seed, 1)),
		names: []string{"a", "b", "c", "d"}, labels: []string{"red", "blue"},
	}
	for i := range 3 {
		e.hosts = append(e.hosts, model.HostID(fmt.Sprint("host", i)))
		e.networks = append(e.networks, model.DeriveID(fmt.Sprint("network", i)))
	}
	return e
}

func pick[T any](e *edits, list []T) T { return list[e.IntN(len(list))] }

// next draws a change. One that is not possible as a state is refuses, as the API does.
func (e *edits) next() (string, func(*model.Desired) error) {
	h, n, name, label := pick(e, e.hosts), pick(e, e.networks), pick(e, e.names), pick(e, e.labels)
	bridge, flag := pick(e, e.names), e.IntN(2) == 0
	switch e.IntN(16) {
	case 0:
		return fmt.Sprintf("add %s as %s by %s with %s", n, name, bridge, label), func(d *model.Desired) error { return add(d, n, name, bridge, label) }
	case 1:
		return fmt.Sprintf("rename %s to %s", n, name), func(d *model.Desired) error {
			return put(d, n, func(n *model.Network) { n.Name = name })
		}
	case 2:
		return fmt.Sprintf("label %s with %s %t", n, label, flag), func(d *model.Desired) error {
			return put(d, n, func(n *model.Network) {
				if n.Label = label; flag {
					n.Label = ""
				}
			})
		}
	case 3:
		return fmt.Sprintf("remove %s", n), func(d *model.Desired) error { return d.RemoveNetwork(n) }
	case 4:
		return fmt.Sprintf("host %s %t", h, flag), func(d *model.Desired) error {
			if _, known := d.Hosts[h]; known && flag {
				return d.RemoveHost(h)
			} else if known {
				return errRefused
			}
			d.Hosts[h] = model.Host{ID: h, SystemID: string(h), Name: name}
			return nil
		}
	case 5, 6:
		return fmt.Sprintf("give %s the label %s", h, label), func(d *model.Desired) error {
			if d.Hosts[h].Maintenance {
				return errRefused
			}
			return d.AddLabel(h, label)
		}
	case 7:
		return fmt.Sprintf("take from %s the label %s", h, label), func(d *model.Desired) error { return d.RemoveLabel(h, label) }
	case 8, 9:
		return fmt.Sprintf("attach %s to %s", n, h), func(d *model.Desired) error {
			if d.Hosts[h].Maintenance {
				return errRefused
			}
			_, err := d.Attach(h, n, map[string]string{"p": name})
			return err
		}
	case 10:
		return fmt.Sprintf("detach %s from %s by force %t", n, h, flag), func(d *model.Desired) error {
			if err := d.Detach(h, n); err != nil {
				return err
			}
			if flag {
				d.Evict(h, n)
			}
			return nil
		}
	case 11:
		return fmt.Sprintf("release %s on %s", n, h), func(d *model.Desired) error {
			if _, known := d.Hosts[h]; !known {
				return errRefused
			}
			return d.Release(h, n)
		}
	case 12:
		return fmt.Sprintf("forget %s on %s", n, h), func(d *model.Desired) error {
			d.Left(h, n)
			return nil
		}
	case 13:
		return fmt.Sprintf("name %s %s", h, name), func(d *model.Desired) error { return d.RenameHost(h, name) }
	case 14:
		return fmt.Sprintf("maintenance of %s %t", h, flag), func(d *model.Desired) error {
			host, known := d.Hosts[h]
			if !known {
				return errRefused
			}
			host.Maintenance, host.Decommissioned = flag, flag && name == "a"
			d.Hosts[h] = host
			return nil
		}
	default:
		before, after := e.before, e.after
		return "undo", func(d *model.Desired) error {
			if before == nil {
				return errRefused
			}
			d.Undo(before, after)
			return d.Validate()
		}
	}
}

func add(d *model.Desired, id model.ID, name, bridge, label string) error {
	if _, exists := d.Networks[id]; exists {
		return errRefused
	}
	made, err := d.AddNetworkOf(model.Network{Name: name, Label: label}, bridge)
	if err != nil {
		return err
	}
	delete(d.Networks, made.ID)
	made.ID = id
	d.Networks[id] = made
	return d.Validate()
}

func put(d *model.Desired, id model.ID, change func(*model.Network)) error {
	n, exists := d.Networks[id]
	if !exists {
		return errRefused
	}
	change(&n)
	if err := d.UpdateNetwork(n); err != nil {
		return err
	}
	return d.Validate()
}

// made is a change that the store acknowledged.
type made struct {
	revision int64
	name     string
	change   func(*model.Desired) error
}

// write makes random changes until one store has acknowledged some.
func (e *edits) write(t *testing.T, s *running, acknowledged int) []made {
	var list []made
	for len(list) < acknowledged {
		name, change := e.next()
		var before, after *model.Desired
		refusal := errors.New("not run")
		revision, err := s.Update(t.Context(), func(d *model.Desired) error {
			before = d.Clone()
			refusal = change(d)
			after = d.Clone()
			return refusal
		})
		switch {
		case err != nil && refusal == nil:
			t.Errorf("%s: %v", name, err)
			return list
		case err == nil && same(before, after) != "":
			list = append(list, made{revision, name, change})
			e.before, e.after = before, after
		}
	}
	return list
}

// TestConcurrentChangesAreAsInSomeOrder has several writers make changes at the same time
// that touch each other's networks and hosts. All that were acknowledged, made one by one
// in the order of their revisions, must be possible and give the same.
func TestConcurrentChangesAreAsInSomeOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dir := tempDir(t)
	stores := []*running{embedded(t, dir), remote(t, endpoint(dir)), remote(t, endpoint(dir)), remote(t, endpoint(dir))}
	var all []made
	var mu sync.Mutex
	var writers sync.WaitGroup
	for i, s := range stores {
		writers.Go(func() {
			list := newEdits(seed+uint64(i)).write(t, s, 100)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, list...)
		})
	}
	writers.Wait()
	slices.SortFunc(all, func(a, b made) int { return cmp.Compare(a.revision, b.revision) })
	want := model.NewDesired()
	var history strings.Builder
	for i, m := range all {
		fmt.Fprintf(&history, "%d: %s\n", m.revision, m.name)
		if i > 0 && all[i-1].revision == m.revision {
			t.Fatalf("two changes are revision %d:\n%s", m.revision, &history)
		}
		if err := m.change(want); err != nil {
			t.Fatalf("in the order of revisions: %v after\n%s", err, &history)
		}
	}
	got := stores[0].until("all are there", func(d *model.Desired) bool { return d.Revision >= all[len(all)-1].revision })
	if diff := same(want, got); diff != "" {
		t.Fatalf("one by one (-) and at the same time (+):\n%s\nafter\n%s", diff, &history)
	}
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
}
