package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/cluster"
	"github.com/isonet/isonet/enroll"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/store"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

const passphrase = "a passphrase of a test"

// trusted is the trust of a fleet whose servers are on addresses of the loopback device.
type trusted struct {
	t           *testing.T
	authorities *trust.Authorities
	ports       cluster.Ports
}

// newFleet makes the authorities of a fleet.
func newFleet(t *testing.T) *trusted {
	t.Helper()
	a, err := trust.Create(filepath.Join(t.TempDir(), "ca"), []byte(passphrase), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &trusted{t: t, authorities: a, ports: freePorts(t)}
}

// freePorts returns the first of four ports that were free a moment ago.
func freePorts(t *testing.T) cluster.Ports {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first := l.Addr().(*net.TCPAddr).Port
		_ = l.Close() // it was only opened for its port
		free := cluster.Ports(first).Check() == nil
		for port := first; free && port < first+4; port++ {
			for _, address := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"} {
				l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
				if err != nil {
					free = false
					break
				}
				_ = l.Close() // likewise
			}
		}
		if free {
			return cluster.Ports(first)
		}
	}
	t.Fatal("no four ports are free")
	return 0
}

// machine returns a machine of the fleet with its certificate.
func (f *trusted) machine(address string) cluster.Member {
	f.t.Helper()
	dir, err := os.MkdirTemp("", "fleet") // short enough for the path of a socket
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := cluster.Member{Layout: cluster.DefaultLayout(dir), Ports: f.ports, Address: address}
	key, r := f.request(address)
	signed, err := f.authorities.Servers.Server(r, time.Now(), address)
	if err != nil {
		f.t.Fatal(err)
	}
	private, err := trust.ParseKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := enroll.Files(m.Layout.Config, private, signed, f.authorities.Servers.PEM(), f.authorities.Hosts.PEM(), wire.Fleet{}, nil); err != nil {
		f.t.Fatal(err)
	}
	for _, name := range []string{"isonet-member", "isonet-relay", "isonet-status"} {
		if err := os.MkdirAll(filepath.Join(dir, "run", name), 0o700); err != nil {
			f.t.Fatal(err)
		}
	}
	return m
}

func (f *trusted) request(name string) (key []byte, r *trust.Request) {
	f.t.Helper()
	private, err := trust.NewKey()
	if err != nil {
		f.t.Fatal(err)
	}
	text, err := trust.NewRequest(name, private)
	if err != nil {
		f.t.Fatal(err)
	}
	if r, err = trust.ParseRequest(text); err != nil {
		f.t.Fatal(err)
	}
	if key, err = trust.MarshalKey(private); err != nil {
		f.t.Fatal(err)
	}
	return key, r
}

// client returns the TLS of a client with a certificate.
func (f *trusted) client(key, certificate []byte) *tls.Config {
	f.t.Helper()
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		f.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(f.authorities.Servers.PEM())
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{pair}}
}

// host returns the TLS of a host.
func (f *trusted) host(systemID string) *tls.Config {
	f.t.Helper()
	key, r := f.request(systemID)
	signed, err := f.authorities.Hosts.Host(r, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	return f.client(key, signed)
}

// server returns the TLS of a server of the fleet.
func (f *trusted) server(name string) *tls.Config {
	f.t.Helper()
	key, r := f.request(name)
	signed, err := f.authorities.Servers.Server(r, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	return f.client(key, signed)
}

// start starts a server of the fleet. It ends with the test.
func start(t *testing.T, command []string) *ovstest.Process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...)
	cmd.Stderr = log
	p, err := ovstest.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s\n%s", strings.Join(command, " "), text)
		}
	})
	return p
}

// connection speaks JSON-RPC with a server (RFC 7047 section 4).
type connection struct {
	conn    net.Conn
	decoder *json.Decoder
	id      int
}

func dial(address string, port int, config *tls.Config) (*connection, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", net.JoinHostPort(address, fmt.Sprint(port)), config)
	if err != nil {
		return nil, err
	}
	c := &connection{conn: conn, decoder: json.NewDecoder(conn)}
	var databases []string
	if err := c.call("list_dbs", []any{}, &databases); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// connect does so until the server is there.
func connect(t *testing.T, address string, port int, config *tls.Config) *connection {
	t.Helper()
	var c *connection
	ovstest.Eventually(t, "the server answers", func() (err error) {
		c, err = dial(address, port, config)
		return err
	})
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

func (c *connection) call(method string, params []any, answer any) error {
	c.id++
	if err := c.conn.SetDeadline(time.Now().Add(ovstest.Patience)); err != nil {
		return err
	}
	if err := json.NewEncoder(c.conn).Encode(map[string]any{"method": method, "params": params, "id": c.id}); err != nil {
		return err
	}
	for {
		var m struct {
			Method string          `json:"method"`
			ID     any             `json:"id"`
			Params json.RawMessage `json:"params"`
			Result json.RawMessage `json:"result"`
			Error  any             `json:"error"`
		}
		if err := c.decoder.Decode(&m); err != nil {
			return err
		}
		switch {
		case m.Method == "echo":
			if err := json.NewEncoder(c.conn).Encode(map[string]any{"result": m.Params, "error": nil, "id": m.ID}); err != nil {
				return err
			}
		case m.ID == float64(c.id) && m.Error != nil:
			return fmt.Errorf("%v", m.Error)
		case m.ID == float64(c.id):
			return json.Unmarshal(m.Result, answer)
		}
	}
}

type op map[string]any

// transact returns the results, and the first error of an operation.
func (c *connection) transact(database string, operations ...op) ([]map[string]any, error) {
	params := []any{database}
	for _, o := range operations {
		params = append(params, o)
	}
	var results []map[string]any
	if err := c.call("transact", params, &results); err != nil {
		return nil, err
	}
	for _, r := range results {
		if r["error"] != nil {
			return results, fmt.Errorf("%v: %v", r["error"], r["details"])
		}
	}
	return results, nil
}

// rows returns the rows of a table of the store.
func (c *connection) rows(t *testing.T, table string) []map[string]any {
	t.Helper()
	return c.rowsOf(t, store.Database, table)
}

// rowsOf returns those of a table of a database.
func (c *connection) rowsOf(t *testing.T, database, table string) []map[string]any {
	t.Helper()
	results, err := c.transact(database, op{"op": "select", "table": table, "where": []any{}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	for _, r := range results[0]["rows"].([]any) {
		rows = append(rows, r.(map[string]any))
	}
	return rows
}

// tables returns the columns of each table of a schema, sorted, and their descriptions.
func tables(t *testing.T, schema []byte) (names []string, columns map[string]map[string]json.RawMessage) {
	t.Helper()
	var s struct {
		Tables map[string]struct {
			Columns map[string]json.RawMessage `json:"columns"`
		} `json:"tables"`
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		t.Fatal(err)
	}
	columns = map[string]map[string]json.RawMessage{}
	for name, table := range s.Tables {
		names, columns[name] = append(names, name), table.Columns
	}
	slices.Sort(names)
	return names, columns
}
