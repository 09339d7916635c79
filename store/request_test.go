package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

// TestAFasterWriterIsExplained makes somebody else faster in ways that the schema refuses:
// the refusal is that of the newer state.
func TestAFasterWriterIsExplained(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	other := remote(t, endpoint(dir))
	var red model.Network
	reset := func(d *model.Desired) (err error) {
		*d = *model.NewDesired()
		d.Hosts[systemID] = model.Host{ID: systemID, SystemID: systemID, Name: "h"}
		red, err = d.AddNetwork(model.Network{Name: "red"})
		return err
	}
	attach := func(d *model.Desired) error {
		_, err := d.Attach(systemID, red.ID, nil)
		return err
	}
	remove := func(d *model.Desired) error { return d.RemoveNetwork(red.ID) }
	register := func(d *model.Desired) error {
		if _, known := d.HostOf("new"); !known {
			d.Hosts[model.HostID("new")] = model.Host{ID: model.HostID("new"), SystemID: "new"}
		}
		return nil
	}
	for _, c := range []struct {
		name           string
		theirs, change func(*model.Desired) error
		is             error
	}{
		{"the name is taken", adding("blue"), adding("blue"), model.ErrConflict},
		{"the name is that of a bridge", func(d *model.Desired) error {
			_, err := d.AddNetworkOf(model.Network{Name: "blue"}, "green")
			return err
		}, adding("green"), model.ErrInvalid},
		{"the network is gone", remove, attach, model.ErrInvalid},
		{"the network is attached", attach, remove, nil},
		{"it is attached already", attach, attach, nil},
		{"the host is there", register, register, nil},
		{"the host is gone", func(d *model.Desired) error { return d.RemoveHost(systemID) }, attach, model.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			revision := s.must(reset)
			other.until("it sees that", func(d *model.Desired) bool { return d.Revision >= revision })
			runs := 0
			_, err := s.Update(t.Context(), func(d *model.Desired) error {
				if runs++; runs == 1 {
					other.must(c.theirs)
				}
				return c.change(d)
			})
			if !errors.Is(err, c.is) || runs < 2 {
				t.Errorf("after %d runs: %v; want %v", runs, err, c.is)
			}
			if err := s.Snapshot().Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestALateTransactionIsNotMade lets a transaction arrive that was in a connection that
// broke, after it was made again and somebody has changed the same back.
func TestALateTransactionIsNotMade(t *testing.T) {
	dir := tempDir(t)
	direct := embedded(t, dir)
	cutter := newCutter(t, dir)
	s := remote(t, cutter.endpoint())
	named := func(name string) func(*model.Desired) error {
		return func(d *model.Desired) error {
			h := d.Hosts[systemID]
			h.ID, h.SystemID, h.Name = systemID, systemID, name
			d.Hosts[systemID] = h
			return adding(name)(d) // the cutter cuts what writes networks
		}
	}
	s.must(named("first"))
	late := make(chan []byte, 1)
	cutter.next(func(transaction []byte, _ func()) { late <- transaction })
	s.must(func(d *model.Desired) error {
		h := d.Hosts[systemID]
		h.Name = "second"
		d.Hosts[systemID] = h
		n, _ := d.NetworkByName("first")
		n.Comment = "second"
		d.Networks[n.ID] = n // without a new revision, so that no guard notices
		return nil
	})
	back := func(d *model.Desired) error {
		h := d.Hosts[systemID]
		h.Name = "first"
		d.Hosts[systemID] = h
		n, _ := d.NetworkByName("first")
		n.Comment = ""
		d.Networks[n.ID] = n
		return nil
	}
	revision := direct.Snapshot().Revision
	s.must(adding("next")) // which must not forget the one before
	direct.until("the next is there", func(d *model.Desired) bool { return d.Revision > revision })
	want := direct.must(back)

	conn, err := net.Dial("unix", strings.TrimPrefix(endpoint(dir), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(<-late); err != nil {
		t.Fatal(err)
	}
	var answer json.RawMessage
	if err := json.NewDecoder(conn).Decode(&answer); err != nil || !strings.Contains(string(answer), "duplicate uuid") {
		t.Errorf("the late transaction is answered by %s, %v", answer, err)
	}
	direct.must(adding("last"))
	if d := direct.Snapshot(); d.Hosts[systemID].Name != "first" || d.Revision != want+1 {
		t.Errorf("revision %d: the host is %+v", d.Revision, d.Hosts[systemID])
	}
}

// TestRequestsAreForgotten keeps one row of each writer, and none that is older than a
// day.
func TestRequestsAreForgotten(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	transact(t, dir, `{"op":"insert","table":"Request","row":{"revision":1,"time":1000}}`)
	for _, name := range []string{"a", "b", "c"} {
		s.must(adding(name))
	}
	if rows := transact(t, dir, `{"op":"select","table":"Request","where":[],"columns":["revision"]}`); rows != `[{"rows":[{"revision":3}]}]` {
		t.Errorf("the requests are %s", rows)
	}
}

// TestAnUpdateIsMadeOnceInACluster makes the leaders of a cluster die while a writer
// counts.
func TestAnUpdateIsMadeOnceInACluster(t *testing.T) {
	cluster := ovstest.StartCluster(t, "isolated-networks.ovsschema", store.Database, 3)
	s := remote(t, cluster.Endpoints()...)
	s.must(adding("counter"))
	const leaders, each = 3, 20
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		for i := range leaders {
			s.until("it has counted on", func(d *model.Desired) bool { return count(d) >= i*each+each/2 })
			leader := cluster.Leader()
			leader.Stop()
			leader.Start()
		}
	}()
	for range leaders * each {
		s.must(counting)
	}
	<-dead
	if n := count(s.Snapshot()); n != leaders*each {
		t.Errorf("counted %d; want %d", n, leaders*each)
	}
}

// TestAnOlderWriterIsNoticed has an isonetd write that guards by the revision and counts no
// names.
func TestAnOlderWriterIsNoticed(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(adding("a"))
	runs := 0
	_, err := s.Update(t.Context(), func(d *model.Desired) error {
		if runs++; runs == 1 {
			transact(t, dir, `{"op":"wait","table":"Isolated_Networks","where":[],"columns":["revision"],"until":"==","rows":[{"revision":1}],"timeout":0},
				{"op":"insert","table":"Network","row":{"name":"theirs","vdsm_name":"b"}},
				{"op":"mutate","table":"Isolated_Networks","where":[],"mutations":[["revision","+=",1],["recent","insert",["map",[["11111111-1111-4111-8111-111111111111",2]]]]]}`)
		}
		return adding("b")(d)
	})
	if !errors.Is(err, model.ErrInvalid) || runs < 2 {
		t.Errorf("after %d runs: %v; want a refusal, because the name is that of a bridge", runs, err)
	}
}

// TestAnAnswerWithoutAWriteIsOfTheNewestState asks a store that has not heard yet what
// another one has acknowledged: for what would be nothing to do, or be refused, of the
// state before.
func TestAnAnswerWithoutAWriteIsOfTheNewestState(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	wire := hosttest.NewWire(t, filepath.Join(dir, "wire.sock"), filepath.Join(dir, "ovsdb", "db.sock"))
	late := remote(t, wire.Endpoint())
	var red model.Network
	s.must(func(d *model.Desired) (err error) {
		d.Hosts[systemID] = model.Host{ID: systemID, SystemID: systemID, Name: "h"}
		red, err = d.AddNetwork(model.Network{Name: "red"})
		return err
	})
	attach := func(d *model.Desired) error {
		if _, attached := d.AttachmentOf(systemID, red.ID); attached {
			return nil
		}
		_, err := d.Attach(systemID, red.ID, nil)
		return err
	}
	detach := func(d *model.Desired) error { return d.Detach(systemID, red.ID) }
	renamed := func(d *model.Desired) error {
		n, known := d.NetworkByName("blue")
		if !known {
			return errRefused
		}
		n.Name = "green"
		return d.UpdateNetwork(n)
	}
	for _, c := range []struct {
		name                   string
		before, theirs, change func(*model.Desired) error
		has                    func(*model.Desired) bool
	}{
		{"it was as asked for", attach, detach, attach, func(d *model.Desired) bool {
			_, attached := d.AttachmentOf(systemID, red.ID)
			return attached
		}},
		{"it was not there", attach, adding("blue"), renamed, func(d *model.Desired) bool {
			_, known := d.NetworkByName("green")
			return known
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			revision := s.must(c.before)
			late.until("it sees that", func(d *model.Desired) bool { return d.Revision >= revision })
			told := make(chan struct{})
			tell := sync.OnceFunc(func() { close(told) })
			defer tell()
			wire.Spoil(func(m hosttest.Message) [][]byte {
				if hosttest.Updates(m) {
					<-told
				}
				return [][]byte{m.Raw}
			})
			s.must(c.theirs)
			sent, done := wire.Sent("transact"), make(chan error, 1)
			var made int64
			go func() {
				var err error
				made, err = late.Update(context.Background(), c.change)
				done <- err
			}()
			ovstest.Eventually(t, "it asks or answers", func() error {
				if wire.Sent("transact") == sent && len(done) == 0 {
					return errors.New("it does neither")
				}
				return nil
			})
			tell()
			if err := <-done; err != nil {
				t.Errorf("it is refused: %v", err)
			}
			d := s.until("it sees that", func(d *model.Desired) bool { return d.Revision >= made })
			if !c.has(d) {
				t.Errorf("the change is acknowledged and lost: %+v", d.Networks)
			}
		})
	}
}
