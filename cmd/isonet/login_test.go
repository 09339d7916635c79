package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/client"
	isonetdaemon "github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
)

// remoteDaemon is a real isonetd with TLS, and the user ann with the password secret.
type remoteDaemon struct {
	url, cert, fingerprint string
	stop                   func()
}

// startRemote starts isonetd at an address, with what an earlier one has left in dir.
// Its certificate has another name than the address.
func startRemote(t *testing.T, endpoint, dir, address string, more ...func(*isonetdaemon.Options)) remoteDaemon {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(dir, "users")
	write(t, users, append([]byte("ann:"), hash...))
	d := remoteDaemon{url: "https://" + address, cert: filepath.Join(dir, "cert.pem")}
	key := filepath.Join(dir, "key.pem")
	d.fingerprint = certify(t, d.cert, key)
	options := isonetdaemon.DefaultOptions()
	options.OVSDB, options.StateDir, options.Socket = endpoint, filepath.Join(dir, "state"), filepath.Join(dir, "d.sock")
	options.MetricsListen, options.DatapathType, options.HostGuard = "", "netdev", "off"
	options.Listen, options.UsersFile, options.TLSCert, options.TLSKey, options.TLSCA = address, users, d.cert, key, d.cert
	for _, change := range more {
		change(&options)
	}
	cfg, err := options.Parse()
	if err != nil {
		t.Fatal(err)
	}
	running, err := isonetdaemon.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	d.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("isonetd: %v", err)
		}
	}
	ovstest.Eventually(t, "isonetd is connected", func() error {
		got := command{args: words("status"), socket: options.Socket}.run(t.Context())
		if got.code != exitOK {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	return d
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// certify makes a self-signed certificate of no known name, and returns its fingerprint.
func certify(t *testing.T, cert, key string) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "rack1"}, DNSNames: []string{"rack1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	made, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(made)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	return client.Fingerprint(parsed)
}

// TestLogin goes through the life of a login at a real isonetd.
func TestLogin(t *testing.T) {
	dir, config := shortDir(t), shortDir(t)
	endpoint, address := ovstest.Start(t).Endpoint(), freePort(t)
	d := startRemote(t, endpoint, dir, address)
	running := true
	t.Cleanup(func() {
		if running {
			d.stop()
		}
	})
	file := filepath.Join(config, "isonet", "config.yaml")
	isonet := func(line string, answers ...string) outcome {
		return command{args: words(line), config: config, answers: answers, stdin: "secret\n", socket: "/nonexistent/d.sock"}.run(t.Context())
	}
	expect := func(what string, got outcome, code int, stdout, stderr string) {
		t.Helper()
		if got.code != code || !strings.Contains(got.stdout, stdout) || !strings.Contains(got.stderr, stderr) {
			t.Errorf("%s: %+v, want the code %d, %q and %q", what, got, code, stdout, stderr)
		}
	}
	lab := "login " + d.url + " --name lab"

	expect("without a terminal", isonet(lab+" --user ann --password-file -"), exitError, "",
		"its SHA-256 fingerprint is "+d.fingerprint+": give --fingerprint with it if that is right, or its CA with --cacert")
	expect("not trusted", isonet(lab, "no"), exitError, "", "the certificate is not trusted: nothing was sent")
	expect("another fingerprint", isonet(lab+" --user ann --fingerprint "+strings.Repeat("00", 32)), exitError, "", "its SHA-256 fingerprint is "+d.fingerprint)
	expect("wrong password", isonet(lab, "yes", "ann", "wrong"), exitError, "", "refuses the user or the password")
	if _, err := os.Stat(file); err == nil {
		t.Error("a login that failed left a file")
	}

	got := isonet(lab, "yes", "ann", "secret")
	expect("on a terminal", got, exitOK, "logged in to "+d.url+" as 'ann': the context 'lab' is used from now on", "SHA-256:      "+d.fingerprint)
	if strings.Contains(got.stdout+got.stderr, "secret") {
		t.Errorf("the password is shown: %+v", got)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has the mode %v", file, info.Mode())
	}
	if saved := read(t, file); strings.Contains(saved, "secret") || !strings.Contains(saved, "token: ") {
		t.Errorf("it has the password or no token:\n%s", saved)
	}
	expect("status", isonet("status"), exitOK, "host:", "")
	expect("version", isonet("version"), exitOK, "\nisonetd ", "")
	expect("prove", isonet("prove red"), exitUsage, "", "the probes are on this host, and isonetd is "+d.url)
	expect("the local context", isonet("status --context local"), exitError, "", "there is no socket /nonexistent/d.sock")
	expect("list", isonet("context list"), exitOK, "   ann   token  -", "")
	if shown := isonet("context show lab -o json"); strings.Contains(shown.stdout, tokenIn(t, file)) {
		t.Errorf("the token is shown: %+v", shown)
	}

	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	expect("a file that others may read", isonet("status"), exitUsage, "", "chmod 600 "+file)
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}

	old := tokenIn(t, file)
	expect("again, from standard input", isonet("login --password-file -"), exitOK, "logged in", "")
	if tokenIn(t, file) == old {
		t.Error("the token is the old one")
	}
	c, err := client.New(client.Options{URL: d.url, Token: old, Fingerprint: d.fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Version(t.Context()); err == nil {
		t.Error("the old token is good for another request")
	}
	c.Close()

	before := d.fingerprint
	d.stop() // tokens end with isonetd, and the certificate is renewed
	d = startRemote(t, endpoint, dir, address)
	expect("another certificate", isonet("status"), exitError, "", "the certificate is not the one that was trusted: its SHA-256 fingerprint is "+d.fingerprint)
	expect("trust that", isonet("login", "yes", "secret"), exitOK, "logged in", "is another one than at the last login")
	if before == d.fingerprint || !strings.Contains(read(t, file), d.fingerprint) {
		t.Error("the new certificate is not kept")
	}

	expect("logout", isonet("logout"), exitOK, "logged out of the context 'lab'", "")
	expect("after the logout", isonet("status"), exitError, "", "the login of the context 'lab' has ended: log in again with 'isonet login'")

	secret := filepath.Join(dir, "secret")
	write(t, secret, []byte("secret\n"))
	expect("by a file", isonet("login --password-file "+secret), exitOK, "logged in", "")
	if saved := read(t, file); !strings.Contains(saved, "password_file: "+secret) || strings.Contains(saved, "token: ") {
		t.Errorf("it has a token, or no password file:\n%s", saved)
	}
	expect("status by a file", isonet("status"), exitOK, "host:", "")
	expect("by a CA, of another name", isonet("login "+d.url+" --name byca --user ann --password-file - --cacert "+d.cert), exitError, "", "is not trusted: x509: ")

	d.stop()
	running = false
	expect("delete", isonet("context delete lab"), exitOK, "deleted context 'lab'", "")
	expect("the socket again", isonet("status"), exitError, "", "there is no socket /nonexistent/d.sock")
	expect("nothing to log in to", isonet("login"), exitUsage, "", "missing argument: URL")
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func tokenIn(t *testing.T, file string) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, file), "token: ")
	if !found {
		t.Fatal("there is no token")
	}
	token, _, _ := strings.Cut(rest, "\n")
	return token
}

// TestLoginOnATerminal checks that a password is not shown, and that an interrupt at the
// question leaves the terminal as it was.
func TestLoginOnATerminal(t *testing.T) {
	config := shortDir(t)
	t.Setenv("XDG_CONFIG_HOME", config)
	d := startRemote(t, ovstest.Start(t).Endpoint(), shortDir(t), freePort(t))
	t.Cleanup(d.stop)
	s := onTerminal(t, "", "login", d.url, "--name", "lab")
	s.sees("is not trusted: x509: ", "CN=rack1", "Trust it from now on? [y/N]")
	s.types("y" + keyEnter)
	s.sees("User:")
	s.types("ann" + keyEnter)
	s.sees("Password of 'ann' at " + d.url + ":")
	file := filepath.Join(config, "isonet", "config.yaml")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, file, []byte("contexts:\n  - {name: meanwhile, url: 'https://a:1'}\n"))
	s.types("secret" + keyEnter)
	if text := s.sees("logged in to " + d.url); strings.Contains(text, "secret") {
		t.Errorf("the password is on the screen:\n%s", text)
	}
	s.ends()
	if saved := read(t, file); !strings.Contains(saved, "name: meanwhile") || !strings.Contains(saved, "name: lab") {
		t.Errorf("a login that was made while the password was asked for is lost:\n%s", saved)
	}

	s = onTerminal(t, "", "login")
	s.sees("Password of 'ann' at " + d.url + ":")
	s.types(keyCtrlC)
	s.sees("isonet: interrupted")
	s.endsWith(exitError)
}

// TestContextsAtTheSameTime checks that nothing is lost when many isonets change the
// contexts.
func TestContextsAtTheSameTime(t *testing.T) {
	config := shortDir(t)
	file := filepath.Join(config, "isonet", "config.yaml")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	const many = 30
	text := "contexts:\n  - {name: stays, url: 'https://a:1'}\n"
	for i := range many {
		text += fmt.Sprintf("  - {name: c%d, url: 'https://a:1'}\n", i)
	}
	write(t, file, []byte(text))
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			if got := (command{args: words(fmt.Sprintf("context delete c%d", i)), config: config}).run(t.Context()); got.code != exitOK {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
	if saved := read(t, file); saved != "contexts:\n- name: stays\n  url: https://a:1\n" {
		t.Errorf("what is left:\n%s", saved)
	}
}

// TestPrecedence checks which daemon is asked, and as whom: a flag goes before a
// variable, and that before the context.
func TestPrecedence(t *testing.T) {
	dir, config := shortDir(t), shortDir(t)
	answers := map[string]answer{"GET /networks?follow=network_labels": ok(`{}`)}
	daemons := map[string]*daemon{}
	var contexts strings.Builder
	contexts.WriteString("current: one\ncontexts:\n")
	urls := map[string]string{}
	for _, name := range []string{"one", "two", "three"} {
		d := &daemon{answers: answers}
		server := httptest.NewServer(d)
		t.Cleanup(server.Close)
		daemons[name], urls[name] = d, server.URL
		fmt.Fprintf(&contexts, "  - {name: %s, url: '%s', user: %s-user, password_file: %s}\n", name, server.URL, name, filepath.Join(dir, "of-"+name))
		write(t, filepath.Join(dir, "of-"+name), []byte(name+"-word\n"))
	}
	local := &daemon{answers: answers}
	daemons["local"] = local
	socket := local.start(t)
	write(t, filepath.Join(dir, "flag"), []byte("flag-word"))
	if err := os.Mkdir(filepath.Join(config, "isonet"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(config, "isonet", "config.yaml")
	type env = map[string]string
	tests := []struct {
		name, args string
		env        env
		contexts   string // "" is all of them
		want, as   string
	}{
		{name: "nothing", contexts: "contexts: []", want: "local"},
		{name: "the current context", want: "one", as: "one-user:one-word"},
		{name: "a variable for the context", env: env{"ISONET_CONTEXT": "two"}, want: "two", as: "two-user:two-word"},
		{name: "a variable for the URL", env: env{"ISONET_URL": urls["three"]}, want: "three"},
		{name: "a variable for the socket", env: env{"ISONET_SOCKET": socket}, want: "local"},
		{name: "a variable for the local context", env: env{"ISONET_CONTEXT": "local"}, want: "local"},
		{name: "an empty variable", env: env{"ISONET_CONTEXT": "", "ISONET_URL": ""}, want: "one", as: "one-user:one-word"},
		{name: "--context", args: " --context two", env: env{"ISONET_URL": urls["three"]}, want: "two", as: "two-user:two-word"},
		{name: "--url", args: " --url " + urls["three"], env: env{"ISONET_CONTEXT": "two"}, want: "three"},
		{name: "--socket", args: " --socket " + socket, env: env{"ISONET_URL": urls["three"]}, want: "local"},
		{name: "a context's user does not go to another URL", args: " --url " + urls["two"], want: "two"},
		{
			name: "variables for the user", env: env{"ISONET_USER": "env", "ISONET_PASSWORD_FILE": filepath.Join(dir, "of-three")},
			want: "one", as: "env:three-word",
		},
		{
			name: "flags for the user", args: " --user flag --password-file " + filepath.Join(dir, "flag"),
			env: env{"ISONET_USER": "env", "ISONET_PASSWORD_FILE": filepath.Join(dir, "of-three")}, want: "one", as: "flag:flag-word",
		},
		{name: "the password of a context's user", args: " --password-file " + filepath.Join(dir, "flag"), want: "one", as: "one-user:flag-word"},
		{name: "variables for a URL and its user", env: env{"ISONET_URL": urls["two"], "ISONET_USER": "env", "ISONET_PASSWORD_FILE": filepath.Join(dir, "flag")}, want: "two", as: "env:flag-word"},
		{name: "a variable for the user says nothing of the socket", args: " --socket " + socket, env: env{"ISONET_USER": "env"}, want: "local"},
		{name: "standard input", args: " --password-file -", want: "one", as: "one-user:typed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write(t, file, []byte(tt.contexts))
			if tt.contexts == "" {
				write(t, file, []byte(contexts.String()))
			}
			got := command{args: words("network list -o json" + tt.args), socket: socket, env: tt.env, config: config, stdin: "typed\n"}.run(t.Context())
			if want := (outcome{stdout: "[]\n"}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			for name, d := range daemons {
				if asked := d.requests() != ""; asked != (name == tt.want) {
					t.Errorf("%s was asked: %v", name, asked)
				}
				if name == tt.want {
					if diff := cmp.Diff(tt.as, strings.Join(d.users(), " ")); diff != "" {
						t.Errorf("as whom (-want +got):\n%s", diff)
					}
				}
				d.forget()
			}
		})
	}
}

// TestContextMistakes checks what is refused before anything is sent.
func TestContextMistakes(t *testing.T) {
	config := shortDir(t)
	if err := os.Mkdir(filepath.Join(config, "isonet"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(config, "isonet", "config.yaml"), []byte("current: lab\ncontexts: [{name: lab, url: 'https://192.0.2.1:1', user: ann}]\n"))
	type env = map[string]string
	tests := []struct {
		args string
		env  env
		code int
		want string
	}{
		{"status", env{"ISONET_URL": "https://h:1", "ISONET_SOCKET": "/x"}, exitUsage, "ISONET_SOCKET and ISONET_URL exclude each other; see 'isonet status --help'"},
		{"status --url https://h:1 --context lab", nil, exitUsage, "--url and --context exclude each other; see 'isonet status --help'"},
		{"status --context lba", nil, exitError, "there is no context 'lba' (did you mean 'lab'?); see 'isonet context list'"},
		{"status", env{"ISONET_URL": "foo"}, exitUsage, "ISONET_URL: the URL of the daemon must have the form https://host:port; see 'isonet status --help'"},
		{"status", env{"ISONET_PASSWORD_FILE": "/nonexistent"}, exitUsage, "read the password: open /nonexistent: no such file or directory; see 'isonet status --help'"},
		{"status", env{"ISONET_URL": "https://h:1", "ISONET_USER": "ann"}, exitUsage, "ISONET_USER and ISONET_PASSWORD_FILE need each other; see 'isonet status --help'"},
		{"status", env{"ISONET_CA": "/nonexistent"}, exitUsage, "read the CA certificates: open /nonexistent: no such file or directory; see 'isonet status --help'"},
		{"context use lba", nil, exitError, "there is no context 'lba' (did you mean 'lab'?); see 'isonet context list'"},
		{"status --user bob", nil, exitUsage, "--user and --password-file need each other; see 'isonet status --help'"},
		{"setup -f - --password-file -", nil, exitUsage, "read the setup file: standard input has the password ('--password-file -'): name a file for one of them"},
		{"restore - --password-file -", nil, exitUsage, "read the backup: standard input has the password ('--password-file -'): name a file for one of them"},
		{"login https://h:1 --socket /x", nil, exitUsage, "--url and --socket are not for a login: give the URL as its argument; see 'isonet login --help'"},
		{"login h:1", nil, exitUsage, "the URL 'h:1' must have the form https://host:port; see 'isonet login --help'"},
		{"login https://h:1 --name a/b", nil, exitUsage, "'a/b' cannot name a context: use English letters, digits, dots, hyphens and underscores; see 'isonet login --help'"},
		{"login https://local:1", nil, exitUsage, "the host 'local' cannot name a context: choose a name with --name; see 'isonet login --help'"},
		{"login http://192.0.2.1:1 --user u", nil, exitUsage, "a password is not sent over plain http to another machine: use https://; see 'isonet login --help'"},
		{"context delete local", nil, exitUsage, "the context 'local' is the isonetd of this host, and always there; see 'isonet context delete --help'"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got := command{args: words(tt.args), env: tt.env, config: config, stdin: "word\n"}.run(t.Context())
			if want := (outcome{code: tt.code, stderr: "isonet: " + tt.want + "\n"}); got != want {
				t.Errorf("\ngot  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestOtherScheme checks that https to a port of http is told, and the other way.
func TestOtherScheme(t *testing.T) {
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(handler)
	secure.Config.ErrorLog = discardLog()
	secure.StartTLS()
	defer secure.Close()
	asHTTPS, asHTTP := strings.Replace(plain.URL, "http:", "https:", 1), strings.Replace(secure.URL, "https:", "http:", 1)
	for _, line := range []string{"status --url %s", "login %s --user u --password-file -"} {
		got := command{args: words(fmt.Sprintf(line, asHTTPS)), config: shortDir(t), stdin: "x"}.run(t.Context())
		want := outcome{code: exitError, stderr: fmt.Sprintf("isonet: %s does not speak TLS: if it is to be so, the URL is %s\n", asHTTPS, plain.URL)}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", line, got, want)
		}
		got = command{args: words(fmt.Sprintf(line, asHTTP)), config: shortDir(t), stdin: "x"}.run(t.Context())
		want.stderr = fmt.Sprintf("isonet: %s speaks TLS: the URL is %s\n", asHTTP, secure.URL)
		if got != want {
			t.Errorf("%s: got %+v, want %+v", line, got, want)
		}
	}
}
