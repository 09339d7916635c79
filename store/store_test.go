package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store"
)

const systemID = "5d0fae7d-7f6e-4a53-8a9e-3a1b1ff0c001"

// full returns a change that uses every field, with values that need care on
// the way: empty, Unicode, quotes, line breaks, JSON.
func full(d *model.Desired) error {
	d.Hosts[systemID] = model.Host{ID: systemID, SystemID: systemID, Name: "hôst ⅠⅡ \"quoted\" \\ </b>"}
	other := model.HostID("node-2")
	d.Hosts[other] = model.Host{ID: other, SystemID: "node-2"}
	rich, err := d.AddNetwork(model.Network{
		Name: "Büro 网络 🦆", Description: "line one\nline two\ttab \"q\" \\ ['set',[]] \u2028", Comment: "مرحبا",
		MTU: model.MaxMTU, Label: "blue_1-x", PortIsolation: true,
		Isolation: model.PolicyQuarantine, Strict: true, MACLock: true, BroadcastLimit: 7,
	})
	if err != nil {
		return err
	}
	plain, err := d.AddNetwork(model.Network{Name: "p"})
	if err != nil {
		return err
	}
	if _, err := d.Attach(systemID, rich.ID, map[string]string{"empty": "", "a.b": "ü=1", "set": "[\"set\",[]]"}); err != nil {
		return err
	}
	if _, err := d.Attach(systemID, plain.ID, nil); err != nil {
		return err
	}
	for _, label := range []string{"z", "uuid", "a"} {
		if err := d.AddLabel(systemID, label); err != nil {
			return err
		}
	}
	d.Evict(systemID, model.NewID(), model.NewID())
	d.Evict(other, model.NewID())
	if err := d.Adopt(systemID, plain.ID, plain.VdsmName, string(model.NewID())); err != nil {
		return err
	}
	return d.Release(other, plain.ID)
}

func TestRoundTrip(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	if d := s.Snapshot(); d.Revision != 0 || same(model.NewDesired(), d) != "" {
		t.Fatalf("a new store has %+v", d)
	}
	second := remote(t, endpoint(dir))
	var want *model.Desired
	steps := []struct {
		name   string
		change func(d *model.Desired) error
	}{
		{"create all", full},
		{"change all", func(d *model.Desired) error {
			for id, n := range d.Networks {
				n.Name, n.Description, n.Comment, n.MTU, n.PortIsolation, n.Label = n.Name+"2", n.Comment, n.Description, model.MinMTU, !n.PortIsolation, "other"
				d.Networks[id] = n
			}
			for id, h := range d.Hosts {
				h.Name, h.Labels, h.Evicted = h.Name+"2", []string{"a", "b", "other"}, append(h.Evicted[1:], "ffffffff-0000-4000-8000-000000000000")
				h.Released = append(h.Released, "ffffffff-0000-4000-8000-000000000000")
				d.Hosts[id] = h
			}
			for id, a := range d.Attachments {
				a.Properties, a.Adopts = map[string]string{"a.b": "", "new": "1"}, string(model.NewID())
				d.Attachments[id] = a
			}
			return nil
		}},
		{"empty all", func(d *model.Desired) error {
			for id, n := range d.Networks {
				n.Description, n.Comment, n.MTU, n.PortIsolation, n.Label = "", "", 0, false, ""
				d.Networks[id] = n
			}
			for id, h := range d.Hosts {
				h.Name, h.Labels, h.Evicted, h.Released = "", nil, nil, nil
				d.Hosts[id] = h
			}
			for id, a := range d.Attachments {
				a.Properties, a.Adopts = nil, ""
				d.Attachments[id] = a
			}
			return nil
		}},
		{"refill", full},
		{"delete all", func(d *model.Desired) error {
			clear(d.Networks)
			clear(d.Hosts)
			clear(d.Attachments)
			return nil
		}},
	}
	for i, step := range steps {
		if step.name == "refill" { // the same hosts, other networks of the same names
			s.must(func(d *model.Desired) error { clear(d.Networks); clear(d.Attachments); return nil })
		}
		revision := s.must(func(d *model.Desired) error {
			err := step.change(d)
			want = d.Clone()
			return err
		})
		if diff := same(want, s.Snapshot()); diff != "" {
			t.Fatalf("%s, seen by the writer (-want +got):\n%s", step.name, diff)
		}
		seen := second.until("the revision is there", func(d *model.Desired) bool { return d.Revision >= revision })
		if diff := same(want, seen); diff != "" {
			t.Fatalf("%s, seen by another (-want +got):\n%s", step.name, diff)
		}
		if i == 0 {
			second.stop()
			s.stop()
			s, second = embedded(t, dir), nil
			if diff := same(want, s.Snapshot()); diff != "" || s.Snapshot().Revision != revision {
				t.Fatalf("revision %d after a restart, want %d (-want +got):\n%s", s.Snapshot().Revision, revision, diff)
			}
			second = remote(t, endpoint(dir))
		}
	}
}

// TestRandomEdits makes random changes and looks at them with another store.
func TestRandomEdits(t *testing.T) {
	dir := tempDir(t)
	writer := embedded(t, dir)
	reader := remote(t, endpoint(dir))
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "net", "bond0", "on"}), rapid.StringN(0, 8, -1))
	label := rapid.SampledFrom([]string{"", "red", "blue", "set", "map"})
	rapid.Check(t, func(rt *rapid.T) {
		var want *model.Desired
		edits := rapid.IntRange(1, 8).Draw(rt, "edits")
		_, err := writer.Update(t.Context(), func(d *model.Desired) error {
			for range edits {
				next := d.Clone()
				if edit(rt, next, text, label); next.Validate() == nil {
					*d = *next
				}
			}
			want = d.Clone()
			return nil
		})
		if err != nil {
			if !errors.Is(err, model.ErrInvalid) { // a text that OVSDB cannot carry
				rt.Fatalf("Update: %v", err)
			}
			want = writer.Snapshot()
		}
		if diff := same(want, writer.Snapshot()); diff != "" {
			rt.Fatalf("the writer sees (-want +got):\n%s", diff)
		}
		revision := writer.Snapshot().Revision
		seen := reader.until("the revision is there", func(d *model.Desired) bool { return d.Revision >= revision })
		if diff := same(want, seen); diff != "" {
			rt.Fatalf("the reader sees (-want +got):\n%s", diff)
		}
	})
	t.Logf("%d changes were written", writer.Snapshot().Revision)
}

// edit makes one random change; those that the model refuses change nothing.
func edit(rt *rapid.T, d *model.Desired, text, label *rapid.Generator[string]) {
	hosts, networks := keys(d.Hosts), keys(d.Networks)
	pick := func(ids []model.ID) model.ID {
		return rapid.SampledFrom(append(ids, model.DeriveID("nothing has this id"))).Draw(rt, "id")
	}
	draw := func(g *rapid.Generator[string]) string { return g.Draw(rt, "text") }
	switch rapid.IntRange(0, 11).Draw(rt, "edit") {
	case 0, 1:
		_, _ = d.AddNetwork(model.Network{
			Name: draw(text), Description: draw(text), Comment: draw(text), Label: draw(label),
			MTU: rapid.SampledFrom([]int{0, model.MinMTU, 1500, model.MaxMTU}).Draw(rt, "mtu"), PortIsolation: rapid.Bool().Draw(rt, "isolation"),
		})
	case 2:
		n := d.Networks[pick(networks)]
		n.Name, n.Description, n.Label = draw(text), draw(text), draw(label)
		_ = d.UpdateNetwork(n)
	case 3:
		_ = d.RemoveNetwork(pick(networks))
	case 4:
		system := draw(text)
		id := model.HostID(system)
		if _, exists := d.Hosts[id]; !exists {
			d.Hosts[id] = model.Host{ID: id, SystemID: system, Name: draw(text)}
		}
	case 5:
		_ = d.RemoveHost(pick(hosts))
	case 6:
		_, _ = d.Attach(pick(hosts), pick(networks), map[string]string{draw(text): draw(text), "k": draw(label)})
	case 7:
		_ = d.Detach(pick(hosts), pick(networks))
	case 8:
		if id := pick(hosts); rapid.Bool().Draw(rt, "add") {
			_ = d.AddLabel(id, draw(label))
		} else {
			_ = d.RemoveLabel(id, draw(label))
		}
	case 9:
		if id := pick(hosts); d.Hosts[id].ID != "" {
			d.Evict(id, pick(networks))
		}
	case 10:
		_ = d.RenameHost(pick(hosts), draw(label))
	case 11:
		d.FollowName(pick(hosts), draw(text))
	}
}

func keys[V any](m map[model.ID]V) []model.ID {
	var ids []model.ID
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	dir := tempDir(t)
	a := embedded(t, dir)
	b := remote(t, endpoint(dir))
	revision := a.must(adding("counter"))
	b.until("both see the counter", func(d *model.Desired) bool { return d.Revision >= revision })
	const each = 25
	revisions := make(chan int64, 2*each)
	var writers sync.WaitGroup
	for _, s := range []*running{a, b} {
		for range each {
			writers.Go(func() {
				revision, err := s.Update(t.Context(), counting)
				if err != nil {
					t.Error(err)
				}
				revisions <- revision
			})
		}
	}
	writers.Wait()
	close(revisions)
	seen := map[int64]bool{}
	for revision := range revisions {
		if seen[revision] {
			t.Errorf("two updates are revision %d", revision)
		}
		seen[revision] = true
	}
	for _, s := range []*running{a, b} {
		s.until("all updates are there", func(d *model.Desired) bool { return d.Revision >= 1+2*each })
		if n := count(s.Snapshot()); n != 2*each {
			t.Errorf("counted %d; want %d", n, 2*each)
		}
	}
}

func TestUpdateThatWritesNothing(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	revision := s.must(full)
	before := contents(t, dir)
	refusal := errors.New("changed my mind")
	for _, c := range []struct {
		name   string
		change func(d *model.Desired) error
		is     error
	}{
		{"error of the change", func(d *model.Desired) error {
			clear(d.Networks)
			return refusal
		}, refusal},
		{"nothing changed", func(*model.Desired) error { return nil }, nil},
		{"changed and changed back", func(d *model.Desired) error {
			h := d.Hosts[systemID]
			h.Labels, h.Evicted = slices.Clone(h.Labels), slices.Clone(h.Evicted)
			slices.Reverse(h.Labels)
			slices.Reverse(h.Evicted)
			d.Hosts[systemID] = h
			d.Revision = 99
			return nil
		}, nil},
		{"invalid network", adding("bond0"), model.ErrInvalid},
		{"dangling attachment", func(d *model.Desired) error {
			clear(d.Networks)
			return nil
		}, model.ErrNotFound},
		{"name taken", adding("p"), model.ErrConflict},
		{"NUL character", func(d *model.Desired) error {
			for _, n := range d.Networks {
				_, err := d.Attach(systemID, n.ID, map[string]string{"a": "\x00"})
				return err
			}
			return nil
		}, model.ErrInvalid},
		{"not UTF-8", func(d *model.Desired) error {
			h := d.Hosts[systemID]
			h.Name = "\xff"
			d.Hosts[systemID] = h
			return nil
		}, model.ErrInvalid},
		{"id that OVSDB would respell", func(d *model.Desired) error {
			d.Hosts["ABCDEF00-0000-4000-8000-000000000000"] = model.Host{ID: "ABCDEF00-0000-4000-8000-000000000000", SystemID: "x"}
			return nil
		}, model.ErrInvalid},
	} {
		got, err := s.Update(t.Context(), c.change)
		if !errors.Is(err, c.is) {
			t.Errorf("%s: error %v; want %v", c.name, err, c.is)
		}
		if c.is == nil && got != revision {
			t.Errorf("%s: revision %d; want %d", c.name, got, revision)
		}
		if s.Snapshot().Revision != revision || !slices.Equal(before, contents(t, dir)) {
			t.Errorf("%s: something was written", c.name)
		}
	}
	if !s.Connected() || strings.Contains(s.logs.String(), "no session") {
		t.Errorf("the session was lost:\n%s", s.logs)
	}
	s.must(adding("still works"))
}

// TestChangeRunsAgain makes somebody else faster, in a way that counts
// revisions and in one that does not.
func TestChangeRunsAgain(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	other := remote(t, endpoint(dir))
	s.must(adding("n"))
	for name, interfere := range map[string]func(){
		"another isonetd": func() { other.must(commenting("n", "another")) },
		"ovsdb-client":    func() { transact(t, dir, `{"op":"update","table":"Network","where":[],"row":{"comment":"by hand"}}`) },
	} {
		runs := 0
		s.must(func(d *model.Desired) error {
			if runs++; runs == 1 {
				interfere()
			}
			n, _ := d.NetworkByName("n")
			n.Comment += "+"
			d.Networks[n.ID] = n
			return nil
		})
		if runs < 2 { // more, when the news of the other's change comes late
			t.Errorf("%s: the change ran %d times; want 2", name, runs)
		}
	}
	d := s.Snapshot()
	if n, _ := d.NetworkByName("n"); n.Comment != "by hand+" && n.Comment != "another+" {
		t.Errorf("the comment is %q", n.Comment)
	}
}

func TestSnapshotIsNeverChanged(t *testing.T) {
	s := embedded(t, tempDir(t))
	s.must(full)
	old := s.Snapshot()
	copied := old.Clone()
	changed := s.Changed()
	s.must(func(d *model.Desired) error {
		clear(d.Networks)
		clear(d.Attachments)
		return nil
	})
	ovstest.Eventually(t, "Changed is closed", func() error {
		select {
		case <-changed:
			return nil
		default:
			return errors.New("it is open")
		}
	})
	if diff := same(copied, old); diff != "" {
		t.Errorf("the old snapshot changed (-before +after):\n%s", diff)
	}
}

func TestUpdatesTakeTurns(t *testing.T) {
	s := embedded(t, tempDir(t))
	ctx, cancel := context.WithCancel(t.Context())
	s.must(func(d *model.Desired) error {
		cancel()
		_, err := s.Update(ctx, adding("inner"))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("an update during another one: %v", err)
		}
		return adding("outer")(d)
	})
	if got := names(s.Snapshot()); !slices.Equal(got, []string{"outer"}) {
		t.Errorf("networks: %q", got)
	}
}

func TestContextEndsInTheChange(t *testing.T) {
	s := embedded(t, tempDir(t))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Update(ctx, func(d *model.Desired) error {
		cancel()
		return adding("n")(d)
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("Update returned %v; want to hear of the context only", err)
	}
	s.must(adding("m"))
	if got := names(s.Snapshot()); !slices.Equal(got, []string{"m"}) {
		t.Errorf("networks: %q", got)
	}
}

// TestUpdateSeesWhatTheSnapshotShowed looks for the moment between the two.
func TestUpdateSeesWhatTheSnapshotShowed(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	other := remote(t, endpoint(dir))
	var writing sync.WaitGroup
	defer writing.Wait()
	for i := range 50 {
		writing.Go(func() {
			if _, err := other.Update(t.Context(), adding(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
		shown := s.until("it arrives", func(d *model.Desired) bool { return len(d.Networks) > i })
		if _, err := s.Update(t.Context(), func(d *model.Desired) error {
			if d.Revision < shown.Revision {
				return fmt.Errorf("the change runs on revision %d after the snapshot showed %d", d.Revision, shown.Revision)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutConnection(t *testing.T) {
	dir := tempDir(t)
	for _, c := range []struct {
		name, endpoint string
		is             error
		says           string
	}{
		{"nobody listens", "unix:" + filepath.Join(dir, "none.sock"), syscall.ENOENT, "none.sock"},
		{"no such database", ovstest.Start(t).Endpoint(), ovsdb.ErrNoDatabase, "ovsdb-tool create"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := launch(t, store.Config{Endpoints: []string{c.endpoint}})
			ovstest.Eventually(t, "the log tells", func() error {
				if log := s.logs.String(); !strings.Contains(log, c.says) {
					return fmt.Errorf("it does not say %q: %s", c.says, log)
				}
				return nil
			})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := s.Update(ctx, adding("n"))
			if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, c.is) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Update: %v", err)
			}
			select {
			case <-s.Ready():
				t.Error("the store is ready")
			default:
			}
			if s.Connected() || s.Snapshot() == nil || same(model.NewDesired(), s.Snapshot()) != "" {
				t.Errorf("connected %v, snapshot %+v", s.Connected(), s.Snapshot())
			}
		})
	}
}

func TestRemoteOverTCP(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(full)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	control := filepath.Join(dir, "ovsdb", "ovsdb-server.ctl")
	if out, err := exec.CommandContext(t.Context(), "ovs-appctl", "-t", control, "ovsdb-server/add-remote", "ptcp:"+port+":127.0.0.1").CombinedOutput(); err != nil {
		t.Fatalf("ovs-appctl: %v: %s", err, out)
	}
	other := remote(t, "tcp:127.0.0.1:"+port)
	if diff := same(s.Snapshot(), other.Snapshot()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	revision := other.must(adding("over TCP"))
	s.until("the change arrives", func(d *model.Desired) bool { return d.Revision >= revision })
}

// TestSchemaEnforces writes by hand what isonet never would.
func TestSchemaEnforces(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(full)
	revision := s.Snapshot().Revision
	plain, _ := s.Snapshot().NetworkByName("p")
	network := func(row string) string { return `{"op":"insert","table":"Network","row":{` + row + `}}` }
	attachment := func(host, network any) string {
		return fmt.Sprintf(`{"op":"insert","table":"Attachment","row":{"host":["uuid","%v"],"network":["uuid","%v"]}}`, host, network)
	}
	for _, c := range []struct{ name, operations, says string }{
		{"duplicate name", network(`"name":"p","vdsm_name":"other"`), "constraint violation"},
		{"duplicate bridge", network(`"name":"other","vdsm_name":"p"`), "constraint violation"},
		{"no name", network(`"vdsm_name":"other"`), "constraint violation"},
		{"MTU 70000", network(`"name":"q","vdsm_name":"q","mtu":70000`), "constraint violation"},
		{"long bridge", network(`"name":"q","vdsm_name":"q234567890123456"`), "constraint violation"},
		{"empty label", network(`"name":"q","vdsm_name":"q","label":""`), "constraint violation"},
		{"two labels", network(`"name":"q","vdsm_name":"q","label":["set",["a","b"]]`), "syntax error"},
		{"renamed bridge", `{"op":"update","table":"Network","where":[["name","==","p"]],"row":{"vdsm_name":"q"}}`, "constraint violation"},
		{"duplicate host", `{"op":"insert","table":"Host","row":{"system_id":"node-2"}}`, "constraint violation"},
		{"duplicate attachment", attachment(systemID, plain.ID), "constraint violation"},
		{"dangling host", attachment(model.NewID(), plain.ID), "referential integrity violation"},
		{"dangling network", attachment(systemID, model.NewID()), "referential integrity violation"},
		{"network in use", `{"op":"delete","table":"Network","where":[["name","==","p"]]}`, "referential integrity violation"},
		{"host in use", `{"op":"delete","table":"Host","where":[]}`, "referential integrity violation"},
		{"second root", `{"op":"insert","table":"Isolated_Networks","row":{}}`, "constraint violation"},
		{"negative revision", `{"op":"update","table":"Isolated_Networks","where":[],"row":{"revision":-1}}`, "constraint violation"},
	} {
		if answer := transact(t, dir, c.operations); !strings.Contains(answer, c.says) {
			t.Errorf("%s: the answer is %s; want a %s", c.name, answer, c.says)
		}
	}
	if got := s.Snapshot().Revision; got != revision {
		t.Errorf("revision %d; want %d", got, revision)
	}
}

// TestRowsThatIsonetDidNotWrite must neither harm nor be harmed.
func TestRowsThatIsonetDidNotWrite(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(func(d *model.Desired) error {
		d.Hosts[systemID] = model.Host{ID: systemID, SystemID: systemID}
		return adding("good")(d)
	})
	good, _ := s.Snapshot().NetworkByName("good")
	transact(t, dir, `{"op":"insert","table":"Network","row":{"name":"bond7","vdsm_name":"b"}},
		{"op":"insert","table":"Network","row":{"name":"two\nlines","vdsm_name":"no bridge"}},
		{"op":"insert","table":"Network","row":{"name":"fine","vdsm_name":"fine","mtu":9000,"external_ids":["map",[["by","hand"]]]}},
		{"op":"update","table":"Host","where":[],"row":{"labels":["set",["a","b c"]]}},
		{"op":"insert","table":"Attachment","row":{"host":["uuid","`+systemID+`"],"network":["uuid","`+string(good.ID)+`"]}}`)
	d := s.until("the good row is there", func(d *model.Desired) bool { _, ok := d.NetworkByName("fine"); return ok })
	got := names(d)
	if slices.Sort(got); !slices.Equal(got, []string{"fine", "good"}) || len(d.Hosts[systemID].Labels) != 0 || len(d.Attachments) != 0 {
		t.Errorf("networks %q, hosts %v, attachments %v", got, d.Hosts, d.Attachments)
	}
	for _, table := range []string{"Network", "Host", "Attachment"} {
		if !strings.Contains(s.logs.String(), `row="`+table+` `) {
			t.Errorf("no warning names the row of %s:\n%s", table, s.logs)
		}
	}
	warnings := strings.Count(s.logs.String(), "ignoring what somebody wrote")

	s.must(func(d *model.Desired) error {
		n, _ := d.NetworkByName("fine")
		n.Comment = "ours"
		d.Networks[n.ID] = n
		return adding("new")(d)
	})
	// What is in the way of a change is an error, not a reason to try for ever.
	var refused *ovsdb.Error
	if _, err := s.Update(t.Context(), func(d *model.Desired) error { return d.RemoveNetwork(good.ID) }); !errors.As(err, &refused) {
		t.Errorf("removing a network that a foreign attachment refers to: %v", err)
	}
	rows := transact(t, dir, `{"op":"select","table":"Network","where":[],"columns":["name","external_ids"]},{"op":"select","table":"Host","where":[],"columns":["labels"]},{"op":"select","table":"Attachment","where":[],"columns":["_uuid"]}`)
	for _, want := range []string{`"bond7"`, `"two\nlines"`, `["by","hand"]`, `"b c"`, `["uuid"`} {
		if !strings.Contains(rows, want) {
			t.Errorf("%s is gone from %s", want, rows)
		}
	}
	if n := strings.Count(s.logs.String(), "ignoring what somebody wrote"); n != warnings {
		t.Errorf("%d warnings; want the %d of the beginning", n, warnings)
	}
	transact(t, dir, `{"op":"update","table":"Host","where":[],"row":{"labels":["set",["a"]]}}`)
	s.until("the corrected host is there", func(d *model.Desired) bool { return len(d.Hosts[systemID].Labels) == 1 })
}

// TestARowBecomesInvalid writes what isonet never would into rows that it wrote. What
// they were before counts, also for what refers to them and for later changes, until
// isonet or somebody else writes them.
func TestARowBecomesInvalid(t *testing.T) {
	for _, c := range []struct {
		name, table, row string
		change           func(d *model.Desired) error
	}{
		{"MTU of a network", "Network", `"mtu":10`, func(d *model.Desired) error { return editNetwork(d, func(n *model.Network) { n.MTU = 1400 }) }},
		{"name of a network", "Network", `"name":"bond7"`, func(d *model.Desired) error { return editNetwork(d, func(n *model.Network) { n.Name = "blue" }) }},
		{"several columns", "Network", `"mtu":10,"description":"\u202e","label":"b c"`, func(d *model.Desired) error {
			return editNetwork(d, func(n *model.Network) { n.Comment = "mended" })
		}},
		{"labels of a host", "Host", `"labels":["set",["a","b c"]]`, func(d *model.Desired) error {
			h := d.Hosts[systemID]
			h.Labels = []string{"c"}
			d.Hosts[systemID] = h
			return nil
		}},
		{"bridge that an attachment adopts", "Attachment", `"properties":["map",[["","x"]]]`, func(d *model.Desired) error {
			for id := range d.Attachments {
				delete(d.Attachments, id)
			}
			return nil
		}},
		{"a network that goes", "Network", `"mtu":10`, func(d *model.Desired) error {
			clear(d.Attachments)
			clear(d.Networks)
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tempDir(t)
			s := embedded(t, dir)
			s.must(func(d *model.Desired) error {
				d.Hosts[systemID] = model.Host{ID: systemID, SystemID: systemID, Labels: []string{"a"}}
				if err := adding("red")(d); err != nil {
					return err
				}
				red, _ := d.NetworkByName("red")
				id := model.AttachmentID(systemID, red.ID)
				d.Attachments[id] = model.Attachment{ID: id, Host: systemID, Network: red.ID, Explicit: true}
				return nil
			})
			before := s.Snapshot()
			transact(t, dir, `{"op":"update","table":"`+c.table+`","where":[],"row":{`+c.row+`}}`)
			ovstest.Eventually(t, "the row is told", func() error {
				if !strings.Contains(s.logs.String(), `row="`+c.table+` `) {
					return errors.New(s.logs.String())
				}
				return nil
			})
			if diff := same(before, s.Snapshot()); diff != "" {
				t.Errorf("what counts is not what was there (-before +now):\n%s", diff)
			}
			s.must(adding("other"))
			s.must(c.change)
			other := remote(t, endpoint(dir))
			if diff := same(s.Snapshot(), other.Snapshot()); diff != "" {
				t.Errorf("the rows are not what counts (-counts +rows):\n%s", diff)
			}
			if n := strings.Count(other.logs.String(), "without isonet"); n != 0 {
				t.Errorf("there is an invalid row yet:\n%s", other.logs)
			}
		})
	}
}

// editNetwork changes the network red.
func editNetwork(d *model.Desired, edit func(n *model.Network)) error {
	n, ok := d.NetworkByName("red")
	if !ok {
		return errors.New("there is no network red")
	}
	edit(&n)
	d.Networks[n.ID] = n
	return nil
}

// TestBadRowsAmongMany leaves out no more than what is wrong: of two rows that are
// in each other's way one stays.
func TestBadRowsAmongMany(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	const many = 100
	s.must(func(d *model.Desired) error {
		for i := range many {
			if err := adding(fmt.Sprint("good", i))(d); err != nil {
				return err
			}
		}
		return nil
	})
	transact(t, dir, `{"op":"insert","table":"Network","row":{"name":"bond7","vdsm_name":"bond7"}},
		{"op":"insert","table":"Network","row":{"name":"left","vdsm_name":"right"}},
		{"op":"insert","table":"Network","row":{"name":"right","vdsm_name":"left"}}`)
	d := s.until("one of the two is there", func(d *model.Desired) bool { return len(d.Networks) > many })
	_, left := d.NetworkByName("left")
	_, right := d.NetworkByName("right")
	if len(d.Networks) != many+1 || left == right {
		t.Errorf("%d networks; left is there: %t, right: %t; want %d with one of the two", len(d.Networks), left, right, many+1)
	}
	if n := strings.Count(s.logs.String(), "ignoring what somebody wrote"); n != 2 {
		t.Errorf("%d warnings; want 2:\n%s", n, s.logs)
	}
}

// TestDeletedRootRow makes several stores create the root row at once, as they
// do when they are the first on a new database.
func TestDeletedRootRow(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	all := []*running{s, remote(t, endpoint(dir)), remote(t, endpoint(dir)), remote(t, endpoint(dir))}
	s.must(adding("a"))
	revision := s.must(adding("b"))
	for _, other := range all {
		other.until("it sees the newest", func(d *model.Desired) bool { return d.Revision >= revision })
	}
	transact(t, dir, `{"op":"delete","table":"Isolated_Networks","where":[]}`)
	for i, other := range all {
		next := other.must(adding(fmt.Sprint("n", i)))
		if next <= revision {
			t.Errorf("revision %d after %d", next, revision)
		}
		revision = next
	}
	d := s.until("all are there", func(d *model.Desired) bool { return d.Revision >= revision })
	if n := len(d.Networks); n != 2+len(all) {
		t.Errorf("%d networks; want %d", n, 2+len(all))
	}
}

func TestServerIsStartedAgain(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(full)
	want := s.Snapshot()
	killed := killServer(t, dir)
	if diff := same(want, s.Snapshot()); diff != "" {
		t.Errorf("after the crash (-want +got):\n%s", diff)
	}
	s.must(adding("after"))
	pids := servers(t, dir)
	if len(pids) != 1 || pids[0] == killed {
		t.Errorf("servers %v; killed was %d", pids, killed)
	}
	if !strings.Contains(s.logs.String(), "starting another") {
		t.Errorf("the log does not tell:\n%s", s.logs)
	}
	if !s.Connected() {
		t.Error("not connected")
	}
	if _, ok := s.Snapshot().NetworkByName("after"); !ok || len(s.Snapshot().Networks) != len(want.Networks)+1 {
		t.Errorf("networks %q", names(s.Snapshot()))
	}
}

func TestConnectedTellsTheTruth(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	other := remote(t, endpoint(dir))
	s.must(adding("n"))
	ovstest.Eventually(t, "the other sees the change", func() error {
		if _, ok := other.Snapshot().NetworkByName("n"); !ok {
			return errors.New("it does not")
		}
		return nil
	})
	s.stop()
	ovstest.Eventually(t, "the loss is noticed", func() error {
		if other.Connected() {
			return errors.New("it says that it is connected")
		}
		return nil
	})
	if s.Connected() {
		t.Error("a stopped store says that it is connected")
	}
	if _, ok := other.Snapshot().NetworkByName("n"); !ok {
		t.Error("the snapshot is lost")
	}
	ctx, done := context.WithTimeout(t.Context(), time.Millisecond)
	defer done()
	if _, err := other.Update(ctx, adding("m")); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Update: %v", err)
	}
}
