package daemon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/daemon"
)

// users writes a users file in which every password is "secret".
func users(t *testing.T, names ...string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, name := range names {
		lines.WriteString(name + ":" + string(hash) + "\n")
	}
	return write(t, []byte(lines.String()))
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// selfSigned returns a certificate for 127.0.0.1 and its key, in PEM form.
func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// exchange sends a request and returns the status and the body.
func exchange(t *testing.T, client *http.Client, r *http.Request) (int, []byte) {
	t.Helper()
	reply, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close() //nolint:errcheck // it was read to its end
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, body
}

// TestLoginOverTLS is the whole way of a client that knows nothing but the
// address: it fetches the CA's certificate, logs in, works and logs out.
func TestLoginOverTLS(t *testing.T) {
	certificate, key := selfSigned(t)
	h := newHost(t, func(o *daemon.Options) {
		o.Listen, o.UsersFile, o.Readers, o.TokenTimeout = "127.0.0.1:0", users(t, "admin", "eve"), "eve", "45m"
		o.TLSCert, o.TLSKey, o.TLSCA = write(t, certificate), write(t, key), write(t, append([]byte("my CA\n"), certificate...))
	})
	d := h.start()
	at := "https://" + d.Addr("listen").String()
	client := func(c *tls.Config) *http.Client {
		transport := &http.Transport{TLSClientConfig: c}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	request := func(method, path, body, contentType, authorization string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, at+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", authorization)
		return r
	}

	stranger := client(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it does not know the certificate yet
	status, ca := exchange(t, stranger, request("GET", "/ca.crt", "", "", ""))
	pool := x509.NewCertPool()
	if status != http.StatusOK || !pool.AppendCertsFromPEM(ca) || string(ca) != string(certificate) {
		t.Fatalf("the CA's certificate: %d %s", status, ca)
	}
	trusting := client(&tls.Config{RootCAs: pool})

	login := func(user string) string {
		form := url.Values{"grant_type": {"password"}, "scope": {"ovirt-app-api"}, "username": {user + "@internal"}, "password": {"secret"}}
		before := time.Now().Truncate(time.Millisecond)
		status, body := exchange(t, trusting, request("POST", "/ovirt-engine/sso/oauth/token", form.Encode(), "application/x-www-form-urlencoded", ""))
		var reply struct {
			Token string `json:"access_token"`
			Exp   int64  `json:"exp,string"`
		}
		if err := json.Unmarshal(body, &reply); err != nil || status != http.StatusOK || reply.Token == "" {
			t.Fatalf("login of %s: %d %s: %v", user, status, body, err)
		}
		if end := time.UnixMilli(reply.Exp).Add(-45 * time.Minute); end.Before(before) || end.After(time.Now()) {
			t.Errorf("a token of 45 minutes from %v ends at %v", before, time.UnixMilli(reply.Exp))
		}
		return reply.Token
	}
	admin, eve := login("admin"), login("eve")
	for token, want := range map[string]int{admin: http.StatusCreated, eve: http.StatusForbidden, "x": http.StatusUnauthorized} {
		status, body := exchange(t, trusting, request("POST", "/ovirt-engine/api/networks", `{"name":"red"}`, "application/json", "Bearer "+token))
		if status != want {
			t.Errorf("%d, want %d: %s", status, want, body)
		}
	}
	if status, body := exchange(t, trusting, request("GET", "/ovirt-engine/api/networks", "", "", "Bearer "+eve)); status != http.StatusOK {
		t.Errorf("a reader's look: %d %s", status, body)
	}
	exchange(t, trusting, request("POST", "/ovirt-engine/services/sso-logout", "token="+eve, "application/x-www-form-urlencoded", ""))
	if status, _ := exchange(t, trusting, request("GET", "/ovirt-engine/api/networks", "", "", "Bearer "+eve)); status != http.StatusUnauthorized {
		t.Errorf("after the logout: %d", status)
	}
}

// TestTLSIsNotTalkedDown offers what the listener must not take.
func TestTLSIsNotTalkedDown(t *testing.T) {
	certificate, key := selfSigned(t)
	h := newHost(t, func(o *daemon.Options) {
		o.Listen, o.UsersFile, o.TLSCert, o.TLSKey = "127.0.0.1:0", users(t, "admin"), write(t, certificate), write(t, key)
	})
	address := h.start().Addr("listen").String()
	offer := func(c *tls.Config) (tls.ConnectionState, error) {
		c.InsecureSkipVerify = true // the certificate is its own authority
		conn, err := (&tls.Dialer{Config: c}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer conn.Close() //nolint:errcheck // nothing was sent
		return conn.(*tls.Conn).ConnectionState(), nil
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if _, err := offer(&tls.Config{MinVersion: version, MaxVersion: version}); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	// HTTP/2, with its many requests on a connection, is not spoken.
	state, err := offer(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	if err != nil || state.Version != tls.VersionTLS13 || state.NegotiatedProtocol == "h2" {
		t.Errorf("%s with %q, %v", tls.VersionName(state.Version), state.NegotiatedProtocol, err)
	}
}

func TestReadersMustBeUsers(t *testing.T) {
	h := newHost(t, func(o *daemon.Options) {
		o.Listen, o.UsersFile, o.Readers = "127.0.0.1:0", users(t, "admin", "eve"), " eve, mallory "
	})
	if _, err := daemon.New(h.cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "the reader 'mallory' is not in") {
		t.Errorf("error %v", err)
	}
}

// Everybody may fetch the file of tls-ca, so that a key must not get into it.
func TestTheCAFileHasOnlyCertificates(t *testing.T) {
	certificate, key := selfSigned(t)
	for want, content := range map[string][]byte{
		"has a PRIVATE KEY, and everybody may fetch": append(append([]byte{}, certificate...), key...),
		"is not in PEM form":                         []byte("certificate"),
		"has no certificate":                         nil,
		"cannot be read":                             pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
	} {
		options := daemon.DefaultOptions()
		options.TLSCA = write(t, content)
		if _, err := options.Parse(); err == nil || !strings.Contains(err.Error(), "tls-ca: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
	options := daemon.DefaultOptions()
	options.TLSCA = write(t, append(append([]byte("two of them\n"), certificate...), certificate...))
	cfg, err := options.Parse()
	if err != nil || string(cfg.CA) != string(certificate)+string(certificate) {
		t.Errorf("the certificates are %s, %v", cfg.CA, err)
	}
}
