package cluster_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/cluster"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/store"
)

// begin starts the member of a machine and waits until it takes part.
func begin(t *testing.T, m cluster.Member) *ovstest.Process {
	t.Helper()
	p := start(t, m.MemberCommand())
	healthy(t, m)
	return p
}

func healthy(t *testing.T, m cluster.Member) cluster.Status {
	t.Helper()
	var s cluster.Status
	ovstest.Eventually(t, "the member takes part", func() (err error) {
		if s, err = m.Status(t.Context()); err == nil && !s.Healthy() {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	return s
}

// content returns what the tables of the desired state have, with the ids of the rows.
func content(t *testing.T, c *connection) map[string][]map[string]any {
	t.Helper()
	all := map[string][]map[string]any{}
	for _, table := range []string{store.Database, "Network", "Host", "Attachment", "Join_Token", "RBAC_Role", "RBAC_Permission", "Connection"} {
		rows := c.rows(t, table)
		for _, row := range rows {
			delete(row, "_version")
		}
		slices.SortFunc(rows, func(a, b map[string]any) int { return strings.Compare(fmt.Sprint(a["_uuid"]), fmt.Sprint(b["_uuid"])) })
		all[table] = rows
	}
	return all
}

// TestLifeOfACluster goes from one member to three, replaces one, and restores.
func TestLifeOfACluster(t *testing.T) {
	f := newFleet(t)
	var machines []cluster.Member
	for i := range 4 {
		machines = append(machines, f.machine(fmt.Sprintf("127.0.0.%d", i+1)))
	}
	first := machines[0]
	if _, err := first.Status(t.Context()); !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("a member that does not run: %v", err)
	}
	if err := first.Create(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if err := first.Create(t.Context(), ""); !errors.Is(err, cluster.ErrExists) {
		t.Errorf("a second cluster on the machine: %v", err)
	}
	processes := []*ovstest.Process{begin(t, first)}
	for _, m := range machines[1:3] {
		if err := m.Join(t.Context(), first.Address); err != nil {
			t.Fatal(err)
		}
		processes = append(processes, begin(t, m))
	}
	all := connect(t, first.Address, f.ports.Servers(), f.server("api"))
	filled(t, all)
	want := content(t, all)

	// A member that is gone for good is replaced by another machine.
	processes[2].Kill()
	s := healthy(t, first)
	gone, err := s.Find(machines[2].Address)
	if err != nil || len(s.Servers) != 3 || gone.Self {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := first.Kick(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := machines[3].Join(t.Context(), first.Address, machines[1].Address); err != nil {
		t.Fatal(err)
	}
	begin(t, machines[3])
	if _, err := healthy(t, machines[3]).Find(machines[2].Address); err == nil {
		t.Error("the member that was removed is still one")
	}
	if diff := cmp.Diff(want, content(t, connect(t, machines[3].Address, f.ports.Servers(), f.server("api")))); diff != "" {
		t.Errorf("the new member has something else (-want +got):\n%s", diff)
	}

	// The leader knows how far the others are.
	leader := machines[slices.IndexFunc(machines, func(m cluster.Member) bool {
		s, err := m.Status(t.Context())
		return err == nil && s.Role == "leader"
	})]
	ovstest.Eventually(t, "nobody lacks anything", func() error {
		s := healthy(t, leader)
		for _, p := range s.Servers {
			if p.Behind == nil || *p.Behind != 0 {
				return fmt.Errorf("%+v", s)
			}
		}
		if gone := s.Unreachable(); len(gone) > 0 {
			return fmt.Errorf("unreachable: %+v", gone)
		}
		return nil
	})

	// One that leaves by itself is no member any more.
	if err := machines[3].Leave(t.Context()); err != nil {
		t.Fatal(err)
	}

	// A backup becomes a new cluster with the same ids.
	backup := filepath.Join(t.TempDir(), "backup")
	if err := machines[1].Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if _, err := first.PutAside(t.Context(), time.Now()); err == nil {
		t.Error("the database of a member that runs is put aside")
	}
	for _, p := range processes[:2] {
		p.Kill()
	}
	aside, err := first.PutAside(t.Context(), time.Now())
	if err != nil || aside == "" {
		t.Fatalf("%q, %v", aside, err)
	}
	if err := first.Create(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	begin(t, first)
	if diff := cmp.Diff(want, content(t, connect(t, first.Address, f.ports.Servers(), f.server("api")))); diff != "" {
		t.Errorf("what was restored is something else (-want +got):\n%s", diff)
	}
}

func TestBadBackups(t *testing.T) {
	f := newFleet(t)
	m := f.machine("127.0.0.1")
	dir := t.TempDir()
	schema, err := os.ReadFile("../internal/ovstest/ovstest.go") // something that is no database
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"empty": nil, "other": schema} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.Create(t.Context(), path); err == nil {
			t.Errorf("the backup %s is taken", name)
		}
	}
	if err := m.Create(t.Context(), filepath.Join(dir, "nosuch")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a backup that is not there: %v", err)
	}
	// Nothing is left that is in the way.
	if err := m.Create(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// TestUpgrade converts a cluster of the schema before, while it runs.
func TestUpgrade(t *testing.T) {
	f := newFleet(t)
	m := f.machine("127.0.0.1")
	if err := m.Create(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	begin(t, m)
	all := connect(t, m.Address, f.ports.Servers(), f.server("api"))
	filled(t, all)
	if _, err := all.transact(store.Database, op{"op": "update", "table": "RBAC_Permission", "where": []any{}, "row": op{"update": "labels"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time changes nothing
		if err := m.Upgrade(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := connect(t, m.Address, f.ports.Servers(), f.server("api"))
		rights := again.rows(t, "RBAC_Permission")
		if len(rights) != 1 || fmt.Sprint(rights[0]["update"]) != "[set [evicted external_ids name released]]" {
			t.Errorf("hosts may write %v", rights)
		}
		if n := len(again.rows(t, "Connection")); n != 1 {
			t.Errorf("%d connections", n)
		}
		if n := len(again.rows(t, "Host")); n != 2 {
			t.Errorf("%d hosts", n)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("Server ID: a (b)\nStatus: x\n    5ad4 (5ad4 at tcp:127.0.0.1:7701) (self) next_index=2 match_index=3")
	f.Fuzz(func(_ *testing.T, text string) {
		s, err := cluster.ParseStatus(text)
		if err == nil {
			_, _ = s.Find("x") // it must not panic
		}
	})
}
