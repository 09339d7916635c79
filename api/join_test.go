package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/issuer"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

const (
	tokensPath = base + "/isonet/tokens"
	joinPath   = "/isonet/join"
	renewPath  = "/isonet/renew"
	newID      = "33333333-3333-4333-8333-333333333333"
)

// drawer is a store that keeps tokens too.
type drawer struct {
	*memory
	mu     sync.Mutex
	tokens []model.JoinToken
}

func (d *drawer) Tokens(context.Context) ([]model.JoinToken, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]model.JoinToken(nil), d.tokens...), nil
}

func (d *drawer) AddToken(_ context.Context, t model.JoinToken) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.ID = model.NewID()
	d.tokens = append(d.tokens, t)
	return nil
}

func (d *drawer) RevokeToken(_ context.Context, id model.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, t := range d.tokens {
		if t.ID == id {
			d.tokens = append(d.tokens[:i], d.tokens[i+1:]...)
			return nil
		}
	}
	return model.Unknown(id)
}

func (d *drawer) FindToken(_ context.Context, digest string) (model.JoinToken, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tokens {
		if t.Digest == digest {
			return t, true, nil
		}
	}
	return model.JoinToken{}, false, nil
}

func (d *drawer) RedeemToken(_ context.Context, digest, fingerprint, by string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, t := range d.tokens {
		if t.Digest == digest {
			if t.UsedBy == "" {
				d.tokens[i].UsedBy, d.tokens[i].By = fingerprint, by
			}
			return d.tokens[i].UsedBy == fingerprint, nil
		}
	}
	return false, nil
}

// neighbours tells how the other hosts are.
type neighbours map[model.ID]report.Liveness

func (n neighbours) Status(host model.ID) (report.Status, bool) {
	l, known := n[host]
	return report.Status{Member: &report.Member{Liveness: l}}, known
}

func (neighbours) Changed() <-chan struct{} { return nil }

// entrance is a world whose isonetd lets machines join.
type entrance struct {
	*world
	now         time.Time
	authorities *trust.Authorities
}

func newEntrance(t *testing.T) *entrance {
	t.Helper()
	a, err := trust.Create(filepath.Join(t.TempDir(), "ca"), []byte("a passphrase of a test"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e := &entrance{now: time.Now(), authorities: a}
	e.world = newWorld(t, func(c *api.Config) {
		c.Issuer = issuer.New(issuer.Config{
			Authorities: a, Store: &drawer{memory: c.Store.(*memory)}, Others: neighbours{host1: report.Up, host2: report.NonResponsive},
			Fleet: wire.Fleet{Members: []string{"192.0.2.1"}, Relays: []string{"192.0.2.1"}, Reports: []string{"192.0.2.1"}, Port: 6651, URL: "https://192.0.2.1:8443"},
			Pin:   func() (string, error) { return strings.Repeat("0", 64), nil }, Now: func() time.Time { return e.now },
		})
	})
	return e
}

// token makes a token and returns it.
func (e *entrance) token(body string) trust.Token {
	e.t.Helper()
	var made wire.JoinToken
	e.into(&made, e.must(http.StatusCreated, "POST", tokensPath, body, jsonBody))
	token, err := trust.ParseToken(made.Token)
	if err != nil {
		e.t.Fatal(err)
	}
	return token
}

func (e *entrance) into(value any, reply *httptest.ResponseRecorder) {
	e.t.Helper()
	if err := json.Unmarshal(reply.Body.Bytes(), value); err != nil {
		e.t.Fatal(err)
	}
}

// asks returns the body of a join with a token, for a new key.
func asks(t *testing.T, token trust.Token, name string) string {
	t.Helper()
	key, err := trust.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := trust.NewRequest(name, key)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(wire.JoinRequest{Secret: token.Secret(), Request: string(request)})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAHostJoins(t *testing.T) {
	e := newEntrance(t)
	token := e.token(`{"kind": "host", "name": "host3"}`)
	body := asks(t, token, newID)
	for range 2 { // the reply to the first may have been lost
		var joined wire.Joined
		e.into(&joined, e.must(http.StatusOK, "POST", joinPath, body, jsonBody))
		if joined.Kind != "host" || joined.Name != "host3" || joined.Fleet.Port != 6651 || joined.Hosts != "" {
			t.Errorf("joined as %+v", joined)
		}
		c, err := trust.ParseCertificate([]byte(joined.Certificate))
		if err != nil || c.Subject.CommonName != newID || e.authorities.Hosts.Verify(c, e.now) != nil {
			t.Errorf("the certificate is of %+v, %v", c, err)
		}
	}
	if h, there := e.store.Snapshot().HostOf(newID); !there || h.Name != "host3" || !h.Named {
		t.Errorf("the host is %+v", h)
	}
	e.must(http.StatusUnauthorized, "POST", joinPath, asks(t, token, newID), jsonBody) // another key
	var all wire.JoinTokens
	e.into(&all, e.must(http.StatusOK, "GET", tokensPath, ""))
	if len(all.Tokens) != 1 || all.Tokens[0].State != "used" || all.Tokens[0].UsedBy != newID || all.Tokens[0].Token != "" {
		t.Errorf("the tokens are %+v", all)
	}
}

func TestWhoMayNotJoin(t *testing.T) {
	e := newEntrance(t)
	revoked := e.token(`{"kind": "host", "name": "host3"}`)
	var all wire.JoinTokens
	e.into(&all, e.must(http.StatusOK, "GET", tokensPath, ""))
	e.must(http.StatusOK, "DELETE", tokensPath+"/"+all.Tokens[0].ID, "")
	e.must(http.StatusNotFound, "DELETE", tokensPath+"/"+all.Tokens[0].ID, "")
	e.must(http.StatusNotFound, "DELETE", tokensPath+"/x", "")
	strange, err := trust.NewToken(trust.HostKind, "https://h:1", strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	again, server := e.token(`{"kind": "host", "name": "host2"}`), e.token(`{"kind": "server", "name": "192.0.2.2"}`)
	replace := e.token(`{"kind": "host", "name": "host2", "replace": true}`)
	for _, c := range []struct {
		what string
		body string
		want int
	}{
		{"a token that was revoked", asks(t, revoked, newID), http.StatusUnauthorized},
		{"a token of nobody", asks(t, strange, newID), http.StatusUnauthorized},
		{"no request", `{"secret": "` + again.Secret() + `", "request": "x"}`, http.StatusBadRequest},
		{"a host that is up", asks(t, replace, string(host1)), http.StatusConflict},
		{"a host that the fleet has", asks(t, again, string(host2)), http.StatusConflict},
		{"a name that another host has", asks(t, again, newID), http.StatusConflict},
		{"a server of another address", asks(t, server, "192.0.2.3"), http.StatusBadRequest},
		{"a host in the place of one that is away", asks(t, replace, string(host2)), http.StatusOK},
		{"the server", asks(t, server, "192.0.2.2"), http.StatusOK},
	} {
		if got := e.do("POST", joinPath, c.body, jsonBody).Code; got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	late := e.token(`{"kind": "host", "name": "host4", "lifetime": 60}`)
	e.now = e.now.Add(time.Minute)
	e.must(http.StatusUnauthorized, "POST", joinPath, asks(t, late, newID), jsonBody)
	for _, body := range []string{`{"kind": "host", "name": "a b"}`, `{"kind": "x", "name": "a"}`, `{"kind": "server", "name": "m1"}`, `{"kind": "host", "name": "a", "lifetime": -1}`} {
		e.must(http.StatusBadRequest, "POST", tokensPath, body, jsonBody)
	}
	newWorld(t).must(http.StatusNotFound, "POST", joinPath, asks(t, late, newID), jsonBody) // where nobody joins
}

// TestOneTokenLetsOneIn has many machines join with one token at once.
func TestOneTokenLetsOneIn(t *testing.T) {
	e := newEntrance(t)
	token := e.token(`{"kind": "host", "name": "host3"}`)
	codes := make(chan int, 8)
	var group sync.WaitGroup
	for i := range cap(codes) {
		body := asks(t, token, fmt.Sprintf("33333333-3333-4333-8333-%012d", i))
		group.Go(func() { codes <- e.do("POST", joinPath, body, jsonBody).Code })
	}
	group.Wait()
	close(codes)
	won := 0
	for code := range codes {
		switch code {
		case http.StatusOK:
			won++
		case http.StatusUnauthorized, http.StatusConflict: // too late, or the name is taken
		default:
			t.Errorf("a machine was answered %d", code)
		}
	}
	if won != 1 || len(e.store.Snapshot().Hosts) != 3 {
		t.Errorf("%d machines joined, and there are %d hosts", won, len(e.store.Snapshot().Hosts))
	}
}

func TestCertificatesAreRenewed(t *testing.T) {
	e := newEntrance(t)
	key, err := trust.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := trust.NewRequest(newID, key)
	if err != nil {
		t.Fatal(err)
	}
	join, err := json.Marshal(wire.JoinRequest{Secret: e.token(`{"kind": "host", "name": "host3"}`).Secret(), Request: string(request)})
	if err != nil {
		t.Fatal(err)
	}
	var joined wire.Joined
	e.into(&joined, e.must(http.StatusOK, "POST", joinPath, string(join), jsonBody))
	other, err := trust.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	renewal := func(name string, signed bool) string {
		t.Helper()
		fresh, err := trust.NewRequest(name, other)
		if err != nil {
			t.Fatal(err)
		}
		by := key
		if !signed {
			by = other
		}
		signature, err := trust.SignRenewal(fresh, by)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(wire.RenewRequest{Certificate: joined.Certificate, Request: string(fresh), Signature: signature})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	e.now = e.now.Add(trust.Life / 2)
	var renewed wire.Joined
	e.into(&renewed, e.must(http.StatusOK, "POST", renewPath, renewal(newID, true), jsonBody))
	c, err := trust.ParseCertificate([]byte(renewed.Certificate))
	if err != nil || c.Subject.CommonName != newID || e.authorities.Hosts.Verify(c, e.now.Add(trust.Life-time.Hour)) != nil {
		t.Errorf("renewed as %+v, %v", c, err)
	}
	e.must(http.StatusUnauthorized, "POST", renewPath, renewal(newID, false), jsonBody)
	e.must(http.StatusUnauthorized, "POST", renewPath, renewal(string(host1), true), jsonBody)
	e.must(http.StatusBadRequest, "POST", renewPath, `{"certificate": "x", "request": "y", "signature": ""}`, jsonBody)
	removed := renewal(newID, true)
	if _, err := e.store.Update(t.Context(), func(d *model.Desired) error { return d.RemoveHost(model.HostID(newID)) }); err != nil {
		t.Fatal(err)
	}
	e.must(http.StatusUnauthorized, "POST", renewPath, removed, jsonBody)
	e.now = e.now.Add(trust.Life)
	e.must(http.StatusUnauthorized, "POST", renewPath, removed, jsonBody)
}
