package store_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

// writeForEver adds networks with ascending names and writes each name to the
// standard output once the store has acknowledged it.
func writeForEver(dir string) error {
	s := store.New(store.Config{StateDir: dir, Logger: slog.New(slog.DiscardHandler)})
	ctx := context.Background()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		return fmt.Errorf("run: %w", err)
	}
	for i := len(s.Snapshot().Networks); ; i++ {
		if _, err := s.Update(ctx, adding(strconv.Itoa(i))); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// TestAcknowledgedSurvivesTheProcess kills whole processes while they write.
func TestAcknowledgedSurvivesTheProcess(t *testing.T) {
	dir := tempDir(t)
	acknowledged := 0
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), helperDir+"="+dir)
		var problems bytes.Buffer
		cmd.Stderr = &problems
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for written := 0; lines.Scan(); written++ {
			if lines.Text() != strconv.Itoa(acknowledged) {
				t.Fatalf("round %d: the process acknowledged %q; want %d", round, lines.Text(), acknowledged)
			}
			acknowledged++
			if written == 3+round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
		if problems.Len() > 0 {
			t.Fatalf("round %d: the process failed: %s", round, problems.String())
		}

		s := embedded(t, dir)
		d := s.Snapshot()
		for i := range acknowledged {
			if _, ok := d.NetworkByName(strconv.Itoa(i)); !ok {
				t.Errorf("round %d: acknowledged network %d is lost", round, i)
			}
		}
		// The one that was being written may be there or not.
		if n := len(d.Networks); n > acknowledged+1 {
			t.Errorf("round %d: %d networks; at most %d were written", round, n, acknowledged+1)
		}
		acknowledged = len(d.Networks)
		s.stop()
		if pids := servers(t, dir); len(pids) > 0 {
			t.Errorf("round %d: servers %v are left", round, pids)
		}
	}
}

// writing starts a process that writes to a store, and returns when it has begun.
func writing(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the process wrote nothing")
	}
	return cmd
}

// TestServerEndsWithItsProcess looks for a server that lost its store.
func TestServerEndsWithItsProcess(t *testing.T) {
	dir := tempDir(t)
	cmd := writing(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	ovstest.Eventually(t, "the server ends", func() error {
		if pids := servers(t, dir); len(pids) > 0 {
			return fmt.Errorf("servers %v run", pids)
		}
		return nil
	})
}

// TestAcknowledgedSurvivesTheServer kills the server right after an answer.
func TestAcknowledgedSurvivesTheServer(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	const rounds = 5
	for i := range rounds {
		s.must(adding(strconv.Itoa(i)))
		killServer(t, dir)
	}
	s.must(adding("last"))
	if n := len(s.Snapshot().Networks); n != rounds+1 {
		t.Errorf("%d networks; want %d", n, rounds+1)
	}
	s.stop()
	if n := len(embedded(t, dir).Snapshot().Networks); n != rounds+1 {
		t.Errorf("%d networks after a restart; want %d", n, rounds+1)
	}
}

// TestExactlyOnceWhileTheServerDies counts with two stores while the server is
// killed again and again: no acknowledged step is lost and none counts twice.
func TestExactlyOnceWhileTheServerDies(t *testing.T) {
	dir := tempDir(t)
	a := embedded(t, dir)
	b := remote(t, endpoint(dir))
	revision := a.must(adding("counter"))
	b.until("both see the counter", func(d *model.Desired) bool { return d.Revision >= revision })
	const writers, each = 4, 25
	var work sync.WaitGroup
	for i := range writers {
		s := []*running{a, b}[i%2]
		work.Go(func() {
			for range each {
				if _, err := s.Update(t.Context(), counting); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		work.Wait()
		close(ended)
	}()
	kills := 0
	for milestone := 10; milestone < writers*each; milestone += 20 {
		// Killed while others are on their way: the writers never pause.
		a.until("the writers get on", func(d *model.Desired) bool { return count(d) >= milestone })
		killServer(t, dir)
		kills++
	}
	a.await(ended, "the writers are done")
	for _, s := range []*running{a, b} {
		s.until("the last change is there", func(d *model.Desired) bool { return d.Revision >= 1+writers*each })
		if n := count(s.Snapshot()); n != writers*each {
			t.Errorf("counted %d with %d kills; want %d", n, kills, writers*each)
		}
	}
}

// TestCutShort cuts bytes off the last record of the database, as a crash of
// the machine could.
func TestCutShort(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(full)
	before, start := s.Snapshot(), len(contents(t, dir))
	s.must(func(d *model.Desired) error { // several tables in one record
		clear(d.Attachments)
		for id, n := range d.Networks {
			n.Comment = "changed"
			d.Networks[id] = n
		}
		return adding("new")(d)
	})
	after, whole := s.Snapshot(), contents(t, dir)
	s.stop()
	if start >= len(whole) {
		t.Fatalf("the change made the file no longer than %d bytes", len(whole))
	}
	cuts := []int{start, start + 1, start + 12, start + 40, start + 60, (start + len(whole)) / 2, len(whole) - 2, len(whole) - 1, len(whole)}
	for _, cut := range cuts {
		t.Run(fmt.Sprint(cut-len(whole)), func(t *testing.T) {
			dir := tempDir(t)
			if err := os.WriteFile(database(dir), whole[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			s := embedded(t, dir)
			d := s.Snapshot()
			isOld, isNew := same(before, d) == "" && d.Revision == before.Revision, same(after, d) == "" && d.Revision == after.Revision
			if !isOld && !isNew {
				t.Errorf("neither the old nor the new state:\n%s", same(after, d))
			}
			if cut == len(whole) && !isNew {
				t.Error("the whole file does not have the new state")
			}
			s.must(adding("goes on"))
			s.stop()
			if _, ok := embedded(t, dir).Snapshot().NetworkByName("goes on"); !ok {
				t.Error("what was written afterwards is lost")
			}
		})
	}
}

// TestCutShortAnywhere cuts the last record at every byte: the state is the one
// before it, or that with it when all of it is there.
func TestCutShortAnywhere(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(adding("counter"))
	before, start := s.Snapshot(), len(contents(t, dir))
	s.must(counting)
	after, whole := s.Snapshot(), contents(t, dir)
	s.stop()
	slots := make(chan struct{}, 4)
	var work sync.WaitGroup
	for cut := start; cut <= len(whole); cut++ {
		work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			want := before
			if cut == len(whole) {
				want = after
			}
			if got := opened(t, whole[:cut]); got.Revision != want.Revision || same(want, got) != "" {
				t.Errorf("%d of %d bytes: revision %d, want %d:\n%s", cut-start, len(whole)-start, got.Revision, want.Revision, same(want, got))
			}
		})
	}
	work.Wait()
}

// opened returns what a store reads from a database file.
func opened(t *testing.T, file []byte) *model.Desired {
	t.Helper()
	dir := tempDir(t)
	if err := os.WriteFile(database(dir), file, 0o600); err != nil {
		t.Error(err)
	}
	s := store.New(store.Config{StateDir: dir, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case <-ctx.Done():
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return s.Snapshot()
}

func TestUnusableDatabase(t *testing.T) {
	newer := bytes.Replace(store.Schema, []byte(`"version": "`+schemaVersion(t)+`"`), []byte(`"version": "1000.0.0"`), 1)
	other := bytes.Replace(store.Schema, []byte(`"name": "Isolated_Networks"`), []byte(`"name": "Other"`), 1)
	for _, c := range []struct {
		name, says string
		make       func(t *testing.T, dir string) store.Config
	}{
		{"newer version", "upgrade isonetd", func(t *testing.T, dir string) store.Config {
			create(t, dir, newer)
			return store.Config{StateDir: dir}
		}},
		{"other database", "another state directory", func(t *testing.T, dir string) store.Config {
			create(t, dir, other)
			return store.Config{StateDir: dir}
		}},
		{"not a database", "run 'isonet restore' with a backup", func(t *testing.T, dir string) store.Config {
			if err := os.WriteFile(database(dir), []byte("garbage"), 0o600); err != nil {
				t.Fatal(err)
			}
			return store.Config{StateDir: dir}
		}},
		{"no directory", "no state directory", func(*testing.T, string) store.Config { return store.Config{} }},
		{"directory is a file", "make a directory", func(t *testing.T, dir string) store.Config {
			file := filepath.Join(dir, "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return store.Config{StateDir: file}
		}},
		{"a directory", "is no file but something else", func(t *testing.T, dir string) store.Config {
			if err := os.Mkdir(database(dir), 0o700); err != nil {
				t.Fatal(err)
			}
			return store.Config{StateDir: dir}
		}},
		{"a fifo", "is no file but something else", func(t *testing.T, dir string) store.Config {
			if err := syscall.Mkfifo(database(dir), 0o600); err != nil {
				t.Fatal(err)
			}
			return store.Config{StateDir: dir}
		}},
		{"no ovsdb-server", "none cannot be run", func(_ *testing.T, dir string) store.Config {
			return store.Config{StateDir: dir, OVSDBServer: filepath.Join(dir, "none")}
		}},
		{"no ovsdb-tool", "none cannot be run", func(_ *testing.T, dir string) store.Config {
			return store.Config{StateDir: dir, OVSDBTool: filepath.Join(dir, "none")}
		}},
		{"no ovsdb-tool for a healthy database", "none cannot be run", func(t *testing.T, dir string) store.Config {
			create(t, dir, store.Schema)
			return store.Config{StateDir: dir, OVSDBTool: filepath.Join(dir, "none")}
		}},
		{"ovsdb-tool is not in PATH", "install Open vSwitch's packages", func(t *testing.T, dir string) store.Config {
			create(t, dir, store.Schema)
			return store.Config{StateDir: dir, OVSDBTool: "no-such-ovsdb-tool"}
		}},
		{"ovsdb-tool is not executable", "permission denied", func(t *testing.T, dir string) store.Config {
			create(t, dir, store.Schema)
			return store.Config{StateDir: dir, OVSDBTool: script(t, 0o600, "")}
		}},
		{"ovsdb-tool lacks a library", "cannot be run", func(t *testing.T, dir string) store.Config {
			create(t, dir, store.Schema)
			return store.Config{StateDir: dir, OVSDBTool: script(t, 0o700, "echo error while loading shared libraries >&2; exit 127")}
		}},
		{"ovsdb-tool is killed", "signal: killed", func(t *testing.T, dir string) store.Config {
			create(t, dir, store.Schema)
			return store.Config{StateDir: dir, OVSDBTool: script(t, 0o700, "kill -KILL $$")}
		}},
		{"ovsdb-tool is something else", "is it Open vSwitch's?", func(t *testing.T, dir string) store.Config {
			create(t, dir, store.Schema)
			return store.Config{StateDir: dir, OVSDBTool: script(t, 0o700, "true")}
		}},
		{"server that does not start", "ended", func(t *testing.T, dir string) store.Config {
			failing, err := exec.LookPath("false")
			if err != nil {
				t.Fatal(err)
			}
			return store.Config{StateDir: dir, OVSDBServer: failing}
		}},
		{"long path", "choose a shorter directory", func(_ *testing.T, dir string) store.Config {
			return store.Config{StateDir: dir, RunDir: filepath.Join(dir, strings.Repeat("x", 100))}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tempDir(t)
			cfg := c.make(t, dir)
			cfg.Logger = slog.New(slog.DiscardHandler)
			before := content(database(dir))
			err := store.New(cfg).Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Run returned %v; want an error that says %q", err, c.says)
			}
			if damaged := c.name == "not a database"; err != nil && strings.Contains(err.Error(), "isonet restore") != damaged {
				t.Errorf("Run returned %v; is the database damaged? %t", err, damaged)
			}
			after := content(database(dir))
			if before != nil && !slices.Equal(before, after) {
				t.Error("the database was changed")
			}
		})
	}
}

// content returns what is in a file, nil if there is none.
func content(path string) []byte {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	text, _ := os.ReadFile(path) // it was there
	return text
}

// script makes a program in the place of another.
func script(t *testing.T, mode os.FileMode, commands string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ovsdb-tool")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+commands+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

// create makes a database with a schema in a state directory.
func create(t *testing.T, dir string, schema []byte) {
	t.Helper()
	file := filepath.Join(tempDir(t), "schema")
	if err := os.WriteFile(file, schema, 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "create", database(dir), file)
}

// TestConversion opens a database of an earlier schema, both whole and with a
// last record that was cut short.
func TestConversion(t *testing.T) {
	schema, err := os.ReadFile("testdata/0.9.0.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	const network, host = "11111111-1111-4111-8111-111111111111", systemID
	id := string(model.AttachmentID(host, network))
	for _, cut := range []int{0, 1, 30} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			dir := tempDir(t)
			create(t, dir, schema)
			tool(t, "transact", database(dir), `["Isolated_Networks",
				{"op":"insert","table":"Isolated_Networks","row":{"revision":41}},
				{"op":"insert","table":"Network","uuid":"`+network+`","row":{"name":"Büro","vdsm_name":"on1","description":"d","mtu":9000,"label":"l","revision":3}},
				{"op":"insert","table":"Host","uuid":"`+host+`","row":{"system_id":"`+host+`","name":"h","labels":["set",["a","b"]]}},
				{"op":"insert","table":"Attachment","uuid":"`+id+`","row":{"host":["uuid","`+host+`"],"network":["uuid","`+network+`"],"properties":["map",[["k","v"]]]}}]`)
			tool(t, "transact", database(dir), `["Isolated_Networks",{"op":"update","table":"Network","where":[],"row":{"description":"cut off?"}}]`)
			old := contents(t, dir)
			if err := os.WriteFile(database(dir), old[:len(old)-cut], 0o600); err != nil {
				t.Fatal(err)
			}

			s := embedded(t, dir)
			want := model.NewDesired()
			want.Networks[network] = model.Network{ID: network, Name: "Büro", VdsmName: "on1", Description: "d", MTU: 9000, Label: "l", Revision: 3}
			want.Hosts[host] = model.Host{ID: host, SystemID: host, Name: "h", Labels: []string{"a", "b"}}
			want.Attachments[model.ID(id)] = model.Attachment{ID: model.ID(id), Host: host, Network: network, Explicit: true, Properties: map[string]string{"k": "v"}}
			if n := want.Networks[network]; cut == 0 {
				n.Description = "cut off?"
				want.Networks[network] = n
			}
			if diff := same(want, s.Snapshot()); diff != "" || s.Snapshot().Revision != 41 {
				t.Errorf("revision %d (-want +got):\n%s", s.Snapshot().Revision, diff)
			}
			s.must(full)
			s.stop()
			if version := tool(t, "db-version", database(dir)); version != schemaVersion(t) {
				t.Errorf("the database has version %s", version)
			}
			backup := database(dir) + ".backup-0.9.0"
			if version := tool(t, "db-version", backup); version != "0.9.0" {
				t.Errorf("the backup has version %s", version)
			}
			if rows := tool(t, "query", backup, `["Isolated_Networks",{"op":"select","table":"Network","where":[]}]`); !strings.Contains(rows, "Büro") {
				t.Errorf("the backup has %s", rows)
			}
		})
	}
}

// TestConversionFromTheFirstRelease opens a database of schema 1.0.0: its
// networks get the default policy, and can be given another.
func TestConversionFromTheFirstRelease(t *testing.T) {
	schema, err := os.ReadFile("testdata/1.0.0.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	const network = "11111111-1111-4111-8111-111111111111"
	dir := tempDir(t)
	create(t, dir, schema)
	tool(t, "transact", database(dir), `["Isolated_Networks",
		{"op":"insert","table":"Isolated_Networks","row":{"revision":41}},
		{"op":"insert","table":"Network","uuid":"`+network+`","row":{"name":"n","vdsm_name":"n","comment":"c","port_isolation":true,"revision":3}}]`)

	s := embedded(t, dir)
	want := model.Network{ID: network, Name: "n", VdsmName: "n", Comment: "c", PortIsolation: true, Revision: 3}
	got := s.Snapshot().Networks[network]
	if got != want || got.EffectiveIsolation() != model.PolicyEnforce {
		t.Errorf("the network is %+v, want %+v under the default policy", got, want)
	}
	want.Isolation, want.Strict, want.MACLock, want.BroadcastLimit = model.PolicyReport, true, true, 50
	s.must(func(d *model.Desired) error { return d.UpdateNetwork(want) })
	s.stop()
	for file, version := range map[string]string{database(dir): schemaVersion(t), database(dir) + ".backup-1.0.0": "1.0.0"} {
		if got := tool(t, "db-version", file); got != version {
			t.Errorf("%s has version %s, want %s", file, got, version)
		}
	}
	again := embedded(t, dir)
	want.Revision = 4
	if got := again.Snapshot().Networks[network]; got != want {
		t.Errorf("after a restart the network is %+v, want %+v", got, want)
	}
}

// TestConversionFromPolicies opens a database of schema 1.1.0, the one that got
// the policies: what it has is kept, and bridges can be adopted.
func TestConversionFromPolicies(t *testing.T) {
	schema, err := os.ReadFile("testdata/1.1.0.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	const network, gone, host = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", systemID
	const bridge = "33333333-3333-4333-8333-333333333333"
	id := model.AttachmentID(host, network)
	dir := tempDir(t)
	create(t, dir, schema)
	tool(t, "transact", database(dir), `["Isolated_Networks",
		{"op":"insert","table":"Isolated_Networks","row":{"revision":41}},
		{"op":"insert","table":"Network","uuid":"`+network+`","row":{"name":"n","vdsm_name":"n","isolation":"report","strict":true,"mac_lock":true,"broadcast_limit":50,"revision":3}},
		{"op":"insert","table":"Host","uuid":"`+host+`","row":{"system_id":"`+host+`","name":"h","evicted":["uuid","`+gone+`"]}},
		{"op":"insert","table":"Attachment","uuid":"`+string(id)+`","row":{"host":["uuid","`+host+`"],"network":["uuid","`+network+`"]}}]`)

	s := embedded(t, dir)
	want := model.NewDesired()
	want.Networks[network] = model.Network{ID: network, Name: "n", VdsmName: "n", Isolation: model.PolicyReport, Strict: true, MACLock: true, BroadcastLimit: 50, Revision: 3}
	want.Hosts[host] = model.Host{ID: host, SystemID: host, Name: "h", Evicted: []model.ID{gone}}
	want.Attachments[id] = model.Attachment{ID: id, Host: host, Network: network, Explicit: true}
	if diff := same(want, s.Snapshot()); diff != "" || s.Snapshot().Revision != 41 {
		t.Errorf("revision %d (-want +got):\n%s", s.Snapshot().Revision, diff)
	}
	s.must(func(d *model.Desired) error { return d.Adopt(host, network, "n", bridge) })
	s.stop()
	for file, version := range map[string]string{database(dir): schemaVersion(t), database(dir) + ".backup-1.1.0": "1.1.0"} {
		if got := tool(t, "db-version", file); got != version {
			t.Errorf("%s has version %s, want %s", file, got, version)
		}
	}
	if got := embedded(t, dir).Snapshot().Attachments[id].Adopts; got != bridge {
		t.Errorf("after a restart the network adopts '%s', want %s", got, bridge)
	}
}

// TestConversionToNamedHosts opens a database of schema 1.2.0: its hosts go on to
// follow their machines, until somebody renames one.
func TestConversionToNamedHosts(t *testing.T) {
	schema, err := os.ReadFile("testdata/1.2.0.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	const host = systemID
	dir := tempDir(t)
	create(t, dir, schema)
	tool(t, "transact", database(dir), `["Isolated_Networks",
		{"op":"insert","table":"Isolated_Networks","row":{"revision":41}},
		{"op":"insert","table":"Host","uuid":"`+host+`","row":{"system_id":"`+host+`","name":"localhost","labels":"lab"}}]`)
	s := embedded(t, dir)
	s.must(func(d *model.Desired) error { d.FollowName(host, "rack1"); return nil })
	want := model.Host{ID: host, SystemID: host, Name: "rack1", Labels: []string{"lab"}}
	if diff := cmp.Diff(want, s.Snapshot().Hosts[host]); diff != "" {
		t.Errorf("the host (-want +got):\n%s", diff)
	}
	s.must(func(d *model.Desired) error { return d.RenameHost(host, "mine") })
	s.stop()
	again := embedded(t, dir)
	again.must(func(d *model.Desired) error { d.FollowName(host, "rack2"); return nil })
	want.Name, want.Named = "mine", true
	if diff := cmp.Diff(want, again.Snapshot().Hosts[host]); diff != "" {
		t.Errorf("the renamed host (-want +got):\n%s", diff)
	}
}

// TestConversionToTheFleet opens a database of schema 1.3.0: nobody is in maintenance, and
// what was there stays.
func TestConversionToTheFleet(t *testing.T) {
	schema, err := os.ReadFile("testdata/1.3.0.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	const host = systemID
	dir := tempDir(t)
	create(t, dir, schema)
	tool(t, "transact", database(dir), `["Isolated_Networks",
		{"op":"insert","table":"Isolated_Networks","row":{"revision":41}},
		{"op":"insert","table":"Host","uuid":"`+host+`","row":{"system_id":"`+host+`","name":"rack1","named":true,"labels":"lab"}}]`)
	s := embedded(t, dir)
	want := model.Host{ID: host, SystemID: host, Name: "rack1", Named: true, Labels: []string{"lab"}}
	if diff := cmp.Diff(want, s.Snapshot().Hosts[host]); diff != "" {
		t.Errorf("the host (-want +got):\n%s", diff)
	}
	s.must(func(d *model.Desired) error { d.Hosts[host] = decommissioned(d.Hosts[host]); return nil })
	s.stop()
	if !embedded(t, dir).Snapshot().Hosts[host].Decommissioned {
		t.Error("after a restart the host is not decommissioned")
	}
}

func decommissioned(h model.Host) model.Host {
	h.Maintenance, h.Decommissioned = true, true
	return h
}

// TestASharedDatabaseIsConvertedByHand follows a server of somebody else, whose
// schema isonet does not change by itself: others may need it as it is.
func TestASharedDatabaseIsConvertedByHand(t *testing.T) {
	dir := tempDir(t)
	server := ovstest.NewServer(t, dir, filepath.Join(dir, "shared.db"), "testdata/1.1.0.ovsschema")
	server.Start()
	s := launch(t, store.Config{Endpoints: []string{server.Endpoint()}})
	ovstest.Eventually(t, "the log says what to do", func() error {
		if text := s.logs.String(); !strings.Contains(text, "ovsdb-client convert") || !strings.Contains(text, "has no column") {
			return errors.New(text)
		}
		return nil
	})
	server.Convert("isolated-networks.ovsschema")
	s.await(s.Ready(), "the converted database")
	s.must(adding("counter"))
}

// TestCrashWhileMaking leaves what a crash in the midst of a creation leaves.
func TestCrashWhileMaking(t *testing.T) {
	dir := tempDir(t)
	half := filepath.Join(dir, "new-1234")
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "db"), []byte("OVSDB JSON 5"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := embedded(t, dir)
	s.must(adding("n"))
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unfinished database is still there: %v", err)
	}
}

func TestSecondInstanceIsRefused(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	err := store.New(store.Config{StateDir: dir, Logger: slog.New(slog.DiscardHandler)}).Run(ctx)
	want := fmt.Sprintf("in use by ovsdb-server (process %d, ", servers(t, dir)[0])
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "stop it, or use") || !strings.Contains(err.Error(), dir) {
		t.Errorf("Run returned %v; want an error that names %s and says %q", err, dir, want)
	}
	s.must(adding("undisturbed"))
	s.stop()
	embedded(t, dir)
}

// The message names the process that has the directory, and not one that died.
func TestTheStateDirectorysHolderIsNamed(t *testing.T) {
	dir := tempDir(t)
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	holder := exec.CommandContext(t.Context(), "sleep", "1000")
	holder.ExtraFiles = []*os.File{lock} // it holds the lock as well, and then alone
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Wait() }()
	defer func() { _ = holder.Process.Kill() }()
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("(process %d, ", holder.Process.Pid)
	err = store.New(store.Config{StateDir: dir, Logger: slog.New(slog.DiscardHandler)}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Run returned %v, want %s", err, want)
	}
}

// A server that is stopped when its isonetd is killed would hold the directory
// for ever, whether or not it has taken the signal to end.
func TestAStoppedServerOfADeadProcessIsNoObstacle(t *testing.T) {
	for name, signals := range map[string][]syscall.Signal{
		"before it is to end": {syscall.SIGSTOP},
		"as it ends":          {syscall.SIGSTOP, syscall.SIGTERM}, // both at once: the handler of SIGTERM comes first
	} {
		t.Run(name, func(t *testing.T) { stoppedServerOfADeadProcess(t, signals) })
	}
}

func stoppedServerOfADeadProcess(t *testing.T, signals []syscall.Signal) {
	dir := tempDir(t)
	cmd := writing(t, dir)
	pids := servers(t, dir)
	if len(pids) != 1 {
		t.Fatalf("servers %v", pids)
	}
	for _, signal := range signals {
		if err := syscall.Kill(pids[0], signal); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	s := embedded(t, dir)
	s.must(adding("after"))
	if !strings.Contains(s.logs.String(), "it was continued") {
		t.Errorf("the log does not tell:\n%s", s.logs)
	}
	if left := servers(t, dir); len(left) != 1 || left[0] == pids[0] {
		t.Errorf("servers %v, of which %d is left of the dead process", left, pids[0])
	}
}

func TestFilesAreProtected(t *testing.T) {
	parent := tempDir(t)
	dir, run := filepath.Join(parent, "state"), filepath.Join(parent, "run")
	s := open(t, store.Config{StateDir: dir, RunDir: run})
	s.must(adding("n"))
	for path, want := range map[string]os.FileMode{
		dir:                                    0o700,
		database(dir):                          0o600,
		filepath.Join(dir, "lock"):             0o600,
		filepath.Join(run, "ovsdb"):            0o700,
		filepath.Join(run, "ovsdb", "db.sock"): 0o750,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got&^want != 0 {
			t.Errorf("%s has mode %o; want at most %o", path, got, want)
		}
	}
	s.stop()
	if _, err := os.Stat(filepath.Join(run, "ovsdb", "db.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestStartCompacts(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(adding("counter"))
	for range 50 {
		s.must(counting)
	}
	want := s.Snapshot()
	s.stop()
	grown := len(contents(t, dir))
	s = embedded(t, dir)
	if diff := same(want, s.Snapshot()); diff != "" || s.Snapshot().Revision != want.Revision {
		t.Errorf("after the compaction (-want +got):\n%s", diff)
	}
	if now := len(contents(t, dir)); now >= grown {
		t.Errorf("the file has %d bytes; before the restart it had %d", now, grown)
	}
}

// docs/howto.md says so to operators. The ids are what ovsdb-client restore would
// not keep.
func TestABackupIsPutInPlaceOfTheFile(t *testing.T) {
	dir := tempDir(t)
	s := embedded(t, dir)
	s.must(full)
	want := s.Snapshot()
	backup, err := exec.CommandContext(t.Context(), "ovsdb-client", "backup", endpoint(dir), "Isolated_Networks").Output()
	if err != nil {
		t.Fatalf("ovsdb-client: %v", err)
	}
	s.must(adding("younger"))
	s.stop()
	if err := os.WriteFile(database(dir), backup, 0o600); err != nil {
		t.Fatal(err)
	}
	s = embedded(t, dir)
	if diff := same(want, s.Snapshot()); diff != "" {
		t.Errorf("after the backup was put in place (-want +got):\n%s", diff)
	}
	s.must(adding("younger"))
}

func TestSchemaChecksum(t *testing.T) { ovstest.CheckSum(t, store.Schema) }

// schemaVersion is that of the schema which isonetd has.
func schemaVersion(t *testing.T) string {
	t.Helper()
	var schema struct{ Version string }
	if err := json.Unmarshal(store.Schema, &schema); err != nil || schema.Version == "" {
		t.Fatalf("the schema has no version: %v", err)
	}
	return schema.Version
}
