package cluster_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/store"
)

// The system-ids of the hosts of the matrix.
const (
	own   = "11111111-0000-4000-8000-000000000001"
	other = "11111111-0000-4000-8000-000000000002"
)

// filled gives each table of the store a row, and two hosts.
func filled(t *testing.T, c *connection) {
	t.Helper()
	host := func(name, systemID string) op {
		return op{"op": "insert", "table": "Host", "uuid-name": name, "row": op{"system_id": systemID, "name": name}}
	}
	_, err := c.transact(store.Database,
		host("h1", own), host("h2", other),
		op{"op": "insert", "table": "Network", "uuid-name": "n1", "row": op{"name": "blue", "vdsm_name": "blue"}},
		op{"op": "insert", "table": "Attachment", "row": op{"host": []any{"named-uuid", "h1"}, "network": []any{"named-uuid", "n1"}}},
		op{"op": "insert", "table": "Request", "row": op{"revision": 1}},
		op{"op": "insert", "table": "Join_Token", "row": op{"digest": strings.Repeat("0", 64), "name": "host3"}},
		op{"op": "insert", "table": "SSL", "uuid-name": "ssl", "row": op{"private_key": "/nonexistent"}},
		op{"op": "update", "table": store.Database, "where": []any{}, "row": op{"ssl": []any{"named-uuid", "ssl"}}},
	)
	if err != nil {
		t.Fatal(err)
	}
}

// TestRights tries every write of every column of every table of the store as a host,
// at a relay, which is where hosts are, and at a member that is opened to them too. It
// may write what is its own and nothing else.
func TestRights(t *testing.T) {
	f := newFleet(t)
	m := f.machine("127.0.0.1")
	if err := m.Create(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	command := m.MemberCommand()
	member := start(t, command)
	all := connect(t, m.Address, f.ports.Servers(), f.server("api"))
	ovstest.Eventually(t, "the member can write", func() error {
		_, err := all.transact(store.Database, op{"op": "mutate", "table": store.Database, "where": []any{}, "mutations": []any{}})
		return err
	})
	filled(t, all)
	relay := start(t, m.RelayCommand(m.Address))
	t.Run("relay", func(t *testing.T) {
		storeMatrix(t, all, connect(t, m.Address, f.ports.Hosts(), f.host(own)))
	})
	t.Run("another host", func(t *testing.T) {
		c := connect(t, m.Address, f.ports.Hosts(), f.host(other))
		for id, want := range map[string]string{own: "permission error", other: ""} {
			if got := attempt(c, store.Database, op{"op": "update", "table": "Host", "where": []any{[]any{"system_id", "==", id}}, "row": op{"name": "x"}}); got != want {
				t.Errorf("the host %s as %s: %q, want %q", id, other, got, want)
			}
		}
	})
	t.Run("a server of the fleet at the port of hosts", func(t *testing.T) {
		c := connect(t, m.Address, f.ports.Hosts(), f.server("api"))
		for _, table := range []string{"Network", "Host"} {
			if got := attempt(c, store.Database, op{"op": "update", "table": table, "where": []any{}, "row": op{"name": "x"}}); got != "permission error" {
				t.Errorf("update %s: %s", table, got)
			}
		}
	})
	// No machine of a fleet runs it like this: it would take hosts at its other port too.
	t.Run("member", func(t *testing.T) {
		relay.Kill()
		member.Kill()
		open := slices.Clone(command)
		for i, arg := range open {
			if strings.HasPrefix(arg, "--ca-cert=") {
				open[i] = "--ca-cert=" + m.Layout.Both()
			}
		}
		start(t, slices.Insert(open, len(open)-1, "--remote=db:"+store.Database+","+store.Database+",connections"))
		storeMatrix(t, connect(t, m.Address, f.ports.Servers(), f.server("api")), connect(t, m.Address, f.ports.Hosts(), f.host(own)))
	})
}

// attempt returns what a transaction is refused with; "" is nothing. Nothing is changed:
// it is given up at its end.
func attempt(c *connection, database string, o op) string {
	results, err := c.transact(database, o, op{"op": "abort"})
	if results == nil {
		return err.Error()
	}
	if text, refused := results[0]["error"].(string); refused {
		return text
	}
	return ""
}

// matrix is what a host may write of a database.
type matrix struct {
	database string
	schema   []byte
	// table and owner are where the host has a row, and what says which; columns are
	// those that it may write.
	table, owner string
	columns      []string
	// insert says that it may make and remove the row.
	insert bool
	tried  int
}

func storeMatrix(t *testing.T, all, c *connection) {
	t.Helper()
	m := &matrix{database: store.Database, schema: store.Schema, table: "Host", owner: "system_id", columns: []string{"evicted", "external_ids", "name", "released"}}
	m.tryAll(t, all, c)
	// What is allowed does not take with it what is not, and all hosts at once are not
	// its own either.
	mine := []any{[]any{"system_id", "==", own}}
	m.expect(t, c, false, op{"op": "update", "table": "Host", "where": mine, "row": op{"name": "x", "labels": []any{"set", []any{"lab"}}}})
	m.expect(t, c, false, op{"op": "update", "table": "Host", "where": []any{}, "row": op{"name": "x"}})
	if m.tried < 120 {
		t.Errorf("only %d writes were tried", m.tried)
	}
	really(t, all, c)
}

func (m *matrix) expect(t *testing.T, c *connection, want bool, o op) {
	t.Helper()
	m.tried++
	switch got := attempt(c, m.database, o); {
	case want && got != "":
		t.Errorf("%v is refused: %s", o, got)
	case !want && got != "permission error":
		t.Errorf("%v is not refused, but %q", o, got)
	}
}

// tryAll tries all writes of a host.
func (m *matrix) tryAll(t *testing.T, all, c *connection) {
	t.Helper()
	names, columns := tables(t, m.schema)
	for _, table := range names {
		ovstest.Eventually(t, "the rows of "+table+" are there", func() error {
			if len(c.rowsOf(t, m.database, table)) != len(all.rowsOf(t, m.database, table)) {
				return errNotYet
			}
			return nil
		})
		rows := all.rowsOf(t, m.database, table)
		if len(rows) == 0 {
			t.Fatalf("%s has no row", table)
		}
		for _, row := range rows {
			mine := table == m.table && row[m.owner] == own
			where := []any{[]any{"_uuid", "==", row["_uuid"]}}
			m.expect(t, c, mine && m.insert, op{"op": "delete", "table": table, "where": where})
			for _, column := range slices.Sorted(maps.Keys(columns[table])) {
				if strings.Contains(string(columns[table][column]), `"mutable"`) { // which comes before rights
					continue
				}
				may := mine && slices.Contains(m.columns, column)
				m.expect(t, c, may, op{"op": "update", "table": table, "where": where, "row": op{column: row[column]}})
				if mutation := neutral(row[column], columns[table][column]); mutation != nil {
					m.expect(t, c, may, op{"op": "mutate", "table": table, "where": where, "mutations": []any{append([]any{column}, mutation...)}})
				}
			}
			insert := op{}
			for column, value := range row {
				if !strings.HasPrefix(column, "_") {
					insert[column] = value
				}
			}
			m.expect(t, c, mine && m.insert, op{"op": "insert", "table": table, "row": insert})
		}
		m.expect(t, c, false, op{"op": "delete", "table": table, "where": []any{}})
	}
}

// neutral returns a mutation of a column that changes nothing; nil if the type has none.
func neutral(value any, description json.RawMessage) []any {
	var d struct {
		Type    any   `json:"type"`
		Mutable *bool `json:"mutable"`
	}
	if json.Unmarshal(description, &d) != nil || d.Mutable != nil {
		return nil
	}
	var t struct {
		Type struct {
			Value any `json:"value"`
			Max   any `json:"max"`
		} `json:"type"`
	}
	_ = json.Unmarshal(description, &t) // a type that is a mere name has neither
	if _, integer := value.(float64); integer {
		return []any{"+=", 0}
	}
	switch {
	case t.Type.Value != nil:
		return []any{"insert", []any{"map", []any{}}}
	case t.Type.Max != nil:
		return []any{"insert", []any{"set", []any{}}}
	}
	return nil
}

// really writes what a host may, and looks at what comes of it.
func really(t *testing.T, all, c *connection) {
	t.Helper()
	where := []any{[]any{"system_id", "==", own}}
	if _, err := c.transact(store.Database, op{"op": "update", "table": "Host", "where": where, "row": op{"name": "renamed"}}); err != nil {
		t.Error(err)
	}
	if _, err := c.transact(store.Database, op{"op": "update", "table": "Network", "where": []any{}, "row": op{"mtu": 9000}}); err == nil {
		t.Error("a host changes networks")
	}
	for _, row := range all.rows(t, "Host") {
		if want := map[any]string{own: "renamed", other: "h2"}[row["system_id"]]; row["name"] != want {
			t.Errorf("the host %v has the name %v, want %q", row["system_id"], row["name"], want)
		}
	}
	if mtu := all.rows(t, "Network")[0]["mtu"]; mtu != 0.0 {
		t.Errorf("the network has an MTU of %v", mtu)
	}
}

// TestRightsOfReports tries every write of the hosts' reports as a host: it may write
// its own row, and make and remove it.
func TestRightsOfReports(t *testing.T) {
	f := newFleet(t)
	m := f.machine("127.0.0.1")
	if err := m.CreateReports(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, m.ReportsCommand())
	for _, id := range []string{own, other} {
		c := connect(t, m.Address, f.ports.Reports(), f.host(id))
		if _, err := c.transact(fleet.Database, op{"op": "insert", "table": fleet.Table, "row": op{"system_id": id, "host": id}}); err != nil {
			t.Fatal(err)
		}
	}
	c := connect(t, m.Address, f.ports.Reports(), f.host(own))
	if got := attempt(c, fleet.Database, op{"op": "insert", "table": fleet.Table, "row": op{"system_id": "x", "host": own}}); got != "permission error" {
		t.Errorf("a row of a host that is nobody's: %q", got)
	}
	if out, err := exec.CommandContext(t.Context(), "ovsdb-client", "transact", m.Layout.StatusSocket(), `["Isolated_Networks_Status",
		{"op": "insert", "table": "SSL", "uuid-name": "ssl", "row": {}}, {"op": "update", "table": "Isolated_Networks_Status", "where": [], "row": {"ssl": ["named-uuid", "ssl"]}}]`).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	x := &matrix{database: fleet.Database, schema: fleet.Schema, table: fleet.Table, owner: "system_id", columns: fleet.Columns(), insert: true}
	x.tryAll(t, c, c)
	if x.tried < 80 {
		t.Errorf("only %d writes were tried", x.tried)
	}
	// API nodes read there, and write nothing.
	reader := connect(t, m.Address, f.ports.Reports(), f.server("api"))
	if n := len(reader.rowsOf(t, fleet.Database, fleet.Table)); n != 2 {
		t.Errorf("an API node sees %d hosts", n)
	}
	if got := attempt(reader, fleet.Database, op{"op": "delete", "table": fleet.Table, "where": []any{}}); got != "permission error" {
		t.Errorf("an API node removes reports: %q", got)
	}
}

// TestWhoOpensWhichPort shows that a member takes no certificate of a host, on any of
// its ports, and that nobody is taken for a server who is not.
func TestWhoOpensWhichPort(t *testing.T) {
	f := newFleet(t)
	m := f.machine("127.0.0.1")
	if err := m.Create(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	start(t, m.MemberCommand())
	start(t, m.RelayCommand(m.Address))
	connect(t, m.Address, f.ports.Servers(), f.server("api"))
	connect(t, m.Address, f.ports.Hosts(), f.host(own))
	stranger := newFleet(t).host(own)
	stranger.RootCAs = f.host(own).RootCAs
	nobody := f.host(own)
	nobody.Certificates = nil
	for _, port := range []int{f.ports.Servers(), f.ports.Raft()} {
		if c, err := dial(m.Address, port, f.host(own)); err == nil {
			_ = c.conn.Close() // the test has failed
			t.Errorf("a host opens the port %d of a member", port-int(f.ports))
		}
	}
	for _, port := range []int{f.ports.Servers(), f.ports.Hosts(), f.ports.Raft()} {
		if c, err := dial(m.Address, port, stranger); err == nil {
			_ = c.conn.Close() // likewise
			t.Errorf("a host of another fleet opens the port %d", port-int(f.ports))
		}
		if c, err := dial(m.Address, port, nobody); err == nil {
			_ = c.conn.Close() // likewise
			t.Errorf("nobody opens the port %d", port-int(f.ports))
		}
	}
}

// TestNoHostIsTakenForAMember lets a host listen where a relay looks for members.
func TestNoHostIsTakenForAMember(t *testing.T) {
	f := newFleet(t)
	m := f.machine("127.0.0.1")
	for _, c := range []struct {
		who  string
		tls  *tls.Config
		good bool
	}{{"host", f.host(own), false}, {"server", f.server("m1"), true}} {
		l, err := net.Listen("tcp", net.JoinHostPort(m.Address, strconv.Itoa(f.ports.Servers())))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(ovstest.Patience)); err != nil {
			t.Fatal(err)
		}
		relay := start(t, m.RelayCommand(m.Address))
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		server := tls.Server(conn, c.tls)
		if err = server.SetDeadline(time.Now().Add(ovstest.Patience)); err == nil {
			_, err = server.Read(make([]byte, 1)) // its first request
		}
		if (err == nil) != c.good {
			t.Errorf("a relay that meets a %s: %v", c.who, err)
		}
		relay.Kill()
		_ = errors.Join(conn.Close(), l.Close()) // it was only to be looked at
	}
}

var errNotYet = errors.New("not yet")
