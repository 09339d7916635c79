package enroll_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/enroll"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

const systemID = "11111111-0000-4000-8000-000000000001"

// gate is the API of a fleet, whose answers to joins may get lost.
type gate struct {
	t           *testing.T
	authorities *trust.Authorities
	lose        bool
	// name is that of the certificates; "" is the one that was asked for.
	name string
	keys []string
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked wire.JoinRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		g.t.Error(err)
	}
	request, err := trust.ParseRequest([]byte(asked.Request))
	if err != nil {
		g.t.Error(err)
		return
	}
	g.keys = append(g.keys, request.Fingerprint)
	if g.lose {
		panic(http.ErrAbortHandler)
	}
	if g.name != "" {
		request.Name = g.name
	}
	signed, err := g.authorities.Hosts.Host(request, time.Now())
	if err != nil {
		g.t.Error(err)
	}
	_ = json.NewEncoder(w).Encode(wire.Joined{ // the client tells if it did not arrive
		Kind: "host", Name: "rack1-a", Certificate: string(signed), Servers: string(g.authorities.Servers.PEM()), Fleet: wire.Fleet{Port: 6651},
	})
}

func newGate(t *testing.T) (*gate, trust.Token, string) {
	t.Helper()
	a, err := trust.Create(filepath.Join(t.TempDir(), "ca"), []byte("a passphrase of a test"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, authorities: a}
	server := httptest.NewTLSServer(g)
	t.Cleanup(server.Close)
	token, err := trust.NewToken(trust.HostKind, server.URL, trust.Fingerprint(server.Certificate()))
	if err != nil {
		t.Fatal(err)
	}
	return g, token, filepath.Join(t.TempDir(), "fleet")
}

// TestAnInterruptedJoinGoesOn loses an answer: the next try has the same key, for which
// the token still counts, and nothing is half there meanwhile.
func TestAnInterruptedJoinGoesOn(t *testing.T) {
	g, token, dir := newGate(t)
	g.lose = true
	if _, err := enroll.Join(t.Context(), dir, token, systemID); err == nil {
		t.Fatal("joined without an answer")
	}
	if _, _, err := enroll.Identity(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is an identity: %v", err)
	}
	g.lose = false
	joined, err := enroll.Join(t.Context(), dir, token, systemID)
	if err != nil || joined.Name != "rack1-a" {
		t.Fatalf("%+v, %v", joined, err)
	}
	if len(g.keys) != 2 || g.keys[0] != g.keys[1] {
		t.Errorf("it asked for the keys %q", g.keys)
	}
	_, certificate, err := enroll.Identity(dir)
	if err != nil || certificate.Subject.CommonName != systemID {
		t.Errorf("%+v, %v", certificate, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 || f.Name() == "pending.key" {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if _, err := enroll.Join(t.Context(), dir, token, systemID); !errors.Is(err, enroll.ErrJoined) {
		t.Errorf("joined twice: %v", err)
	}
}

func TestWhomAMachineDoesNotTrust(t *testing.T) {
	g, token, dir := newGate(t)
	other, err := trust.NewToken(trust.HostKind, token.URL, strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enroll.Join(t.Context(), dir, other, systemID); err == nil || !strings.Contains(err.Error(), "not the one that made the token") || len(g.keys) > 0 {
		t.Errorf("a server with another certificate: %v, asked %q", err, g.keys)
	}
	g.name = "somebody"
	if _, err := enroll.Join(t.Context(), dir, token, systemID); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("a certificate of somebody else: %v", err)
	}
}
