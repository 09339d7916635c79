package client_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/isonet/isonet/client"
)

// remote plays a daemon with the user ann and the password secret.
func remote(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ovirt-engine/sso/oauth/token":
		if r.FormValue("username") != "ann" || r.FormValue("password") != "secret" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error_code":"access_denied","error":"Cannot authenticate"}`) // the test sees it
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"t"}`)
	case "/ovirt-engine/services/sso-logout":
		_, _ = io.WriteString(w, `{}`)
	default:
		if r.Header.Get("Authorization") != "Bearer t" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"product_info":{"version":{"full_version":"4.5.0-isonet-1.2.3"}}}`)
	}
}

func newClient(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestLogin(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(remote))
	defer server.Close()
	c := newClient(t, client.Options{URL: server.URL})
	if _, err := c.Version(t.Context()); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("without a login: %v", err)
	}
	if _, err := c.Login(t.Context(), "ann", "wrong"); !errors.Is(err, client.ErrUnauthorized) || err.Error() != "Cannot authenticate" {
		t.Errorf("with a wrong password: %v", err)
	}
	token, err := c.Login(t.Context(), "ann", "secret")
	if err != nil || token != "t" {
		t.Fatalf("%q, %v", token, err)
	}
	own := newClient(t, client.Options{URL: server.URL, Token: token})
	if version, err := own.Version(t.Context()); err != nil || version != "1.2.3" {
		t.Errorf("version %q, %v", version, err)
	}
	if err := c.Logout(t.Context(), token); err != nil {
		t.Error(err)
	}
	if _, err := client.New(client.Options{URL: "http://192.0.2.1:1", Token: token}); err == nil {
		t.Error("a token goes over plain http to another machine")
	}
	elsewhere := newClient(t, client.Options{URL: "http://192.0.2.1:1"})
	if _, err := elsewhere.Login(t.Context(), "ann", "secret"); err == nil || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("a password goes over plain http to another machine: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	asked := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = true
		remote(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	right := client.Fingerprint(server.Certificate())
	wrong := strings.Replace(right, right[:2], "zz", 1)
	c := newClient(t, client.Options{URL: server.URL, Token: "t", Fingerprint: wrong})
	if _, err := c.Version(t.Context()); !errors.Is(err, client.ErrOtherCertificate) || asked {
		t.Errorf("another certificate: %v, asked: %v", err, asked)
	}
	for _, fingerprint := range []string{right, strings.ToLower(strings.ReplaceAll(right, ":", ""))} {
		c := newClient(t, client.Options{URL: server.URL, Token: "t", Fingerprint: fingerprint})
		if _, err := c.Version(t.Context()); err != nil {
			t.Errorf("%s: %v", fingerprint, err)
		}
	}
	plain := newClient(t, client.Options{URL: strings.Replace(server.URL, "https:", "http:", 1)})
	if _, err := plain.Version(t.Context()); !errors.Is(err, client.ErrWantsTLS) {
		t.Errorf("http to a port of https: %v", err)
	}
}
