package daemon_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
)

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) has(text string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !strings.Contains(j.text.String(), text) {
		return fmt.Errorf("nothing is logged of %q in\n%s", text, j.text.String())
	}
	return nil
}

// writeUsers writes a users file: names and passwords in turn.
func writeUsers(t *testing.T, path string, users ...string) {
	t.Helper()
	var lines strings.Builder
	for i := 0; i < len(users); i += 2 {
		hash, err := bcrypt.GenerateFromPassword([]byte(users[i+1]), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s:%s\n", users[i], hash)
	}
	replace(t, path, []byte(lines.String()))
}

// replace writes a file as who renews one does: at once, and as another file.
func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// writeCertificate writes a self-signed certificate with a serial number, and its key.
func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "host"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	replace(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// reloading is a daemon on TCP that follows reloads.
type reloading struct {
	*host
	log     *journal
	address string
	signal  chan os.Signal
	// options are what the next reload reads.
	options daemon.Options
	cert    string
	key     string
}

func newReloading(t *testing.T) *reloading {
	t.Helper()
	dir := t.TempDir()
	r := &reloading{log: &journal{}, signal: make(chan os.Signal), cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	users := filepath.Join(dir, "users")
	writeUsers(t, users, "admin", "secret", "guest", "guest")
	writeCertificate(t, r.cert, r.key, 1)
	r.host = newHost(t, func(o *daemon.Options) {
		o.Listen, o.UsersFile, o.Readers, o.TLSCert, o.TLSKey, o.LogLevel = "127.0.0.1:0", users, "guest", r.cert, r.key, "warn"
		r.options = *o
	})
	d, err := daemon.New(r.cfg, daemon.NewLogger(r.cfg, r.log))
	if err != nil {
		t.Fatal(err)
	}
	r.address = d.Addr("listen").String()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- d.Run(ctx) }()
	go func() {
		d.Follow(ctx, r.signal, func() (daemon.Config, error) { return r.options.Parse() })
		ended <- nil
	}()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	ovstest.Eventually(t, "the daemon knows its host", r.known)
	return r
}

// reload has the daemon read the options, and waits for what it logs of that.
func (r *reloading) reload(logged string) {
	r.Helper()
	r.signal <- os.Interrupt // which signal it is does not matter here
	ovstest.Eventually(r, "the reload is logged", func() error { return r.log.has(logged) })
}

// send sends a request as a user. The caller closes the body of the reply.
func (r *reloading) send(method, path, body string, authorize func(*http.Request)) *http.Response {
	r.Helper()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // it looks at the certificate
	req, err := http.NewRequestWithContext(r.Context(), method, "https://"+r.address+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	authorize(req)
	res, err := client.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	return res
}

// ask sends a request as a user, and returns the status and the certificate's serial
// number.
func (r *reloading) ask(method, path, body string, authorize func(*http.Request)) (status int, reply string, serial int64) {
	r.Helper()
	res := r.send(method, path, body, authorize)
	defer res.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	return res.StatusCode, string(text), res.TLS.PeerCertificates[0].SerialNumber.Int64()
}

func as(user, password string) func(*http.Request) {
	return func(r *http.Request) {
		r.SetBasicAuth(user+"@internal", password)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json")
	}
}

const networksPath = "/ovirt-engine/api/networks"

// status checks what the API answers a user.
func (r *reloading) status(user, password, method string, want int) {
	r.Helper()
	body := ""
	if method == http.MethodPost {
		body = `{"name":"` + user + `"}`
	}
	if got, reply, _ := r.ask(method, networksPath, body, as(user, password)); got != want {
		r.Errorf("%s %s as %s with %q: %d, want %d: %s", method, networksPath, user, password, got, want, reply)
	}
}

// login logs admin in, and returns what sends the token.
func (r *reloading) login() func(*http.Request) {
	r.Helper()
	status, reply, _ := r.ask(http.MethodPost, "/ovirt-engine/sso/oauth/token", "grant_type=password&username=admin&password=secret&scope=ovirt-app-api",
		func(req *http.Request) { req.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
	_, token, _ := strings.Cut(reply, `"access_token":"`)
	token, _, found := strings.Cut(token, `"`)
	if status != http.StatusOK || !found {
		r.Fatalf("the login is answered by %d: %s", status, reply)
	}
	return func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+token) }
}

func TestReload(t *testing.T) {
	r := newReloading(t)
	r.status("admin", "secret", http.MethodGet, http.StatusOK)
	r.status("guest", "guest", http.MethodPost, http.StatusForbidden)
	bearer := r.login()
	if got, _, _ := r.ask(http.MethodGet, networksPath, "", bearer); got != http.StatusOK {
		t.Fatalf("the token is good for %d", got)
	}

	watch := r.send(http.MethodGet, "/ovirt-engine/api/isonet/watch", "", bearer)
	defer watch.Body.Close() //nolint:errcheck // it was read

	// A user with another password, one who is gone, one who is new, and one who may more.
	writeUsers(t, r.options.UsersFile, "admin", "changed", "guest", "guest", "new", "new")
	r.options.Readers, r.options.LogLevel, r.options.StrictDefault = "new", "info", "true"
	r.reload("reloaded the configuration")
	r.status("admin", "secret", http.MethodGet, http.StatusUnauthorized)
	r.status("admin", "changed", http.MethodGet, http.StatusOK)
	r.status("new", "new", http.MethodPost, http.StatusForbidden)
	if got, _, _ := r.ask(http.MethodGet, networksPath, "", bearer); got != http.StatusUnauthorized {
		t.Errorf("the token of who has another password is good for %d", got)
	}
	if _, err := io.Copy(io.Discard, watch.Body); err != nil { // which the reload ends
		t.Errorf("the watch of who has another password: %v", err)
	}
	if _, reply, _ := r.ask(http.MethodPost, networksPath, `{"name":"strict"}`, as("guest", "guest")); !strings.Contains(reply, `"strict" : "true"`) && !strings.Contains(reply, `"strict": "true"`) {
		t.Errorf("the default of strict is as before: %s", reply)
	}

	// What cannot change is said, and what is wrong changes nothing.
	r.options.StateDir, r.options.Readers = r.options.StateDir+"-elsewhere", ""
	r.reload("settings=state-dir")
	r.status("new", "new", http.MethodPost, http.StatusCreated)
	r.options.LogLevel = "loud"
	r.reload("cannot reload the configuration")
	writeUsers(t, r.options.UsersFile, "admin", "again")
	r.options.LogLevel, r.options.Readers = "info", "nobody"
	r.reload("the reader 'nobody' is not in the users file")
	r.status("admin", "changed", http.MethodGet, http.StatusOK)
}

// A renewed certificate is noticed without a reload, and a broken one does not end the
// service.
func TestARenewedCertificate(t *testing.T) {
	r := newReloading(t)
	serial := func(want int64) {
		t.Helper()
		if _, _, got := r.ask(http.MethodGet, "/ca.crt", "", func(*http.Request) {}); got != want {
			t.Errorf("the certificate has the serial number %d, want %d", got, want)
		}
	}
	serial(1)
	writeCertificate(t, r.cert, r.key, 2)
	serial(2)
	replace(t, r.cert, []byte("half a certifi"))
	serial(2)
	if err := r.log.has("cannot read the renewed certificate"); err != nil {
		t.Error(err)
	}
	writeCertificate(t, r.cert, r.key, 3)
	serial(3)
	other := filepath.Join(t.TempDir(), "other")
	writeCertificate(t, other, other+".key", 4)
	r.options.TLSCert, r.options.TLSKey, r.options.LogLevel = other, other+".key", "info"
	r.reload("reloaded the configuration")
	serial(4)
}

// Suites of CBC are not offered.
func TestNoCBC(t *testing.T) {
	r := newReloading(t)
	var cbc []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if strings.Contains(s.Name, "_CBC_") {
			cbc = append(cbc, s.ID)
		}
	}
	conn, err := tls.Dial("tcp", r.address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: cbc}) //nolint:gosec // it tries what must not be
	if err == nil {
		_ = conn.Close() // which must not be
		t.Errorf("the listener takes %s", tls.CipherSuiteName(conn.ConnectionState().CipherSuite))
	}
	conn, err = tls.Dial("tcp", r.address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}) //nolint:gosec // it looks at the suite
	if err != nil {
		t.Fatalf("TLS 1.2 without CBC: %v", err)
	}
	_ = conn.Close() // the handshake was enough
}

// The users file may begin with a mark of its encoding, and the configuration may not
// say anything behind isonetd's back.
func TestMarksAndDocuments(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(users, append([]byte("\ufeffadmin:"), hash...), 0o600); err != nil {
		t.Fatal(err)
	}
	o := daemon.DefaultOptions()
	o.Listen, o.UsersFile, o.Readers = "127.0.0.1:0", users, "admin"
	cfg, err := o.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Check(); err != nil {
		t.Errorf("a users file with a byte order mark: %v", err)
	}
	if err := o.ReadOptions("f", strings.NewReader("socket: /a\n---\nsocket: /b\n")); err == nil || !strings.Contains(err.Error(), "more than one document") {
		t.Errorf("two documents: %v", err)
	}
	if err := o.ReadOptions("f", strings.NewReader("metrics-listen:\nsocket: /a\n")); err != nil || o.MetricsListen != "" || o.Socket != "/a" {
		t.Errorf("an empty key: %+v, %v", o, err)
	}
}
