package ovsdb_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/ovsdb"
)

// freePort returns a TCP port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// awaitPort waits until somebody listens on a TCP port.
func awaitPort(t *testing.T, port string) {
	t.Helper()
	ovstest.Eventually(t, "the server listens on "+port, func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// copied opens a session, inserts a row and returns what the copy then has.
func copied(t *testing.T, cfg ovsdb.Config) (map[string]int, error) {
	t.Helper()
	var got map[string]int
	err := ovsdb.Run(t.Context(), cfg, func(ctx context.Context, session *ovsdb.Session) error {
		if _, err := session.Transact(ctx, insert("A", "x", 5)); err != nil {
			return err
		}
		return until(ctx, session, func() bool {
			got = counts(rows(session, "A"))
			return len(got) > 0
		})
	})
	return got, err
}

func TestEndpoints(t *testing.T) {
	port := freePort(t)
	for _, c := range []struct {
		name      string
		endpoints func(s *server) []string
	}{
		{"unix", func(s *server) []string { return []string{s.endpoint()} }},
		{"tcp", func(*server) []string { return []string{"tcp:127.0.0.1:" + port} }},
		{"the second of two", func(s *server) []string { return []string{"unix:/nonexistent/sock", s.endpoint()} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startServer(t)
			s.kill()
			s.start("--remote=ptcp:" + port + ":127.0.0.1")
			awaitPort(t, port)
			got, err := copied(t, config(t, c.endpoints(s)...))
			if diff := cmp.Diff(map[string]int{"x": 5}, got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestTLS lets server and client prove to each other who they are.
func TestTLS(t *testing.T) {
	s := startServer(t)
	s.kill()
	authority, pair := certificates(t, s)
	port := freePort(t)
	s.start("--remote=pssl:"+port+":127.0.0.1", "--private-key="+s.path("key.pem"), "--certificate="+s.path("cert.pem"), "--ca-cert="+s.path("ca.pem"))
	awaitPort(t, port)
	for _, c := range []struct {
		name string
		tls  *tls.Config
		says string // "": it works
	}{
		{"both known", &tls.Config{RootCAs: authority, Certificates: []tls.Certificate{pair}}, ""},
		{"server unknown", &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}}, "certificate signed by unknown authority"},
		{"client unknown", &tls.Config{RootCAs: authority}, "ssl:127.0.0.1:" + port},
	} {
		cfg := config(t, "ssl:127.0.0.1:"+port)
		cfg.TLS = c.tls
		got, err := copied(t, cfg)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: error %v; want one that says %q", c.name, err, c.says)
			}
			continue
		}
		if diff := cmp.Diff(map[string]int{"x": 5}, got); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got):\n%s", c.name, err, diff)
		}
	}
}

// certificates makes a certificate for both ends and writes what the server
// needs into its directory. The certificate is its own authority.
func certificates(t *testing.T, s *server) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for name, content := range map[string][]byte{"cert.pem": certPEM, "ca.pem": certPEM, "key.pem": keyPEM} {
		if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority := x509.NewCertPool()
	authority.AppendCertsFromPEM(certPEM)
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return authority, pair
}

func TestParseEndpoints(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // nil: refused
	}{
		{"unix:/run/openvswitch/db.sock", []string{"unix:/run/openvswitch/db.sock"}},
		{"tcp:127.0.0.1:6640", []string{"tcp:127.0.0.1:6640"}},
		{"tcp:[::1]:6640", []string{"tcp:[::1]:6640"}},
		{"ssl:a.example:1,ssl:b.example:2,ssl:c.example:3", []string{"ssl:a.example:1", "ssl:b.example:2", "ssl:c.example:3"}},
		{"unix:/a,tcp:b:1", []string{"unix:/a", "tcp:b:1"}},
		{"", nil},
		{"tcp:a:1,", nil},
		{"tcp:a:1, tcp:b:1", nil},
		{"unix:", nil},
		{"unix:db.sock", nil},
		{"/run/openvswitch/db.sock", nil},
		{"tcp:127.0.0.1", nil},
		{"tcp:::1:6640", nil},
		{"ssl:", nil},
		{"ptcp:6640", nil},
		{"http://127.0.0.1:6640", nil},
	} {
		got, err := ovsdb.ParseEndpoints(c.text)
		if (err == nil) != (c.want != nil) {
			t.Errorf("%q: error %v", c.text, err)
		} else if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
}

// TestRights lets a client write that has a role (role-based access control,
// ovsdb-server(7)).
func TestRights(t *testing.T) {
	t.Parallel()
	s := startServerWith(t, `{"name": "Test", "version": "1.0.0", "tables": {
  "A": {"isRoot": true, "columns": {"name": {"type": "string"}, "count": {"type": "integer"}}},
  "B": {"isRoot": true, "columns": {"name": {"type": "string"}, "count": {"type": "integer"}}},
  "Connection": {"isRoot": true, "columns": {"target": {"type": "string"}, "role": {"type": "string"}}},
  "Access": {"isRoot": true, "columns": {"connections": {"type": {"key": {"type": "uuid", "refTable": "Connection"}, "min": 0, "max": "unlimited"}}}},
  "RBAC_Role": {"isRoot": true, "columns": {"name": {"type": "string"},
    "permissions": {"type": {"key": "string", "value": {"type": "uuid", "refTable": "RBAC_Permission", "refType": "weak"}, "min": 0, "max": "unlimited"}}}},
  "RBAC_Permission": {"isRoot": true, "columns": {"table": {"type": "string"}, "authorization": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
    "insert_delete": {"type": "boolean"}, "update": {"type": {"key": "string", "min": 0, "max": "unlimited"}}}}}}`)
	s.kill()
	authority, pair := certificates(t, s)
	port := freePort(t)
	s.start("--remote=db:Test,Access,connections", "--private-key="+s.path("key.pem"), "--certificate="+s.path("cert.pem"), "--ca-cert="+s.path("ca.pem"))
	s.transact(`{"op":"insert","table":"RBAC_Permission","uuid-name":"b","row":{"table":"B","authorization":"name","insert_delete":false,"update":"count"}},
  {"op":"insert","table":"RBAC_Role","row":{"name":"limited","permissions":["map",[["B",["named-uuid","b"]]]]}},
  {"op":"insert","table":"Connection","uuid-name":"c","row":{"target":"pssl:` + port + `:127.0.0.1","role":"limited"}},
  {"op":"insert","table":"Access","row":{"connections":["named-uuid","c"]}},
  {"op":"insert","table":"B","row":{"name":"client"}},{"op":"insert","table":"B","row":{"name":"another"}}`)
	awaitPort(t, port)
	cfg := config(t, "ssl:127.0.0.1:"+port)
	cfg.TLS = &tls.Config{RootCAs: authority, Certificates: []tls.Certificate{pair}}
	err := ovsdb.Run(t.Context(), cfg, func(ctx context.Context, session *ovsdb.Session) error {
		if _, err := session.Transact(ctx, add("B", "client", 1)); err != nil {
			t.Errorf("a write that the role allows: %v", err)
		}
		for _, operation := range []rfc.Operation{insert("A", "x", 1), add("B", "another", 1), insert("B", "x", 1)} {
			_, err := session.Transact(ctx, operation)
			var refused *ovsdb.Error
			if !errors.Is(err, ovsdb.ErrForbidden) || !errors.As(err, &refused) || !strings.Contains(err.Error(), `client "client" role "limited"`) {
				t.Errorf("%v: error %v; want an ErrForbidden that says who lacks what", operation, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
