package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	passphrase = "a passphrase of a test"
	pin        = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

var now = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)

// made makes authorities whose passphrase costs little to try.
func made(t *testing.T) (string, *Authorities) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	a, err := create(dir, []byte(passphrase), now, 2)
	if err != nil {
		t.Fatal(err)
	}
	return dir, a
}

func request(t *testing.T, name string) (*ecdsa.PrivateKey, []byte, *Request) {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := NewRequest(name, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	return key, text, r
}

func TestAuthoritiesAreReadWithTheirPassphrase(t *testing.T) {
	dir, a := made(t)
	again, err := Open(dir, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	if !again.Hosts.key.Equal(a.Hosts.key) || !again.Servers.key.Equal(a.Servers.key) || again.Hosts.key.Equal(a.Servers.key) {
		t.Error("the keys that are read are not those that were made")
	}
	for _, wrong := range []string{"", "a passphrase of another"} {
		if _, err := Open(dir, []byte(wrong)); !errors.Is(err, ErrPassphrase) {
			t.Errorf("with %q: %v", wrong, err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || strings.Contains(string(text), "PRIVATE") {
			t.Errorf("%s has a key that is not encrypted (%v)", f.Name(), err)
		}
	}
}

func TestAuthoritiesAreNotMadeTwice(t *testing.T) {
	dir, _ := made(t)
	if _, err := Create(dir, []byte(passphrase), now); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second time: %v", err)
	}
	if _, err := Create(filepath.Join(t.TempDir(), "ca"), []byte("short"), now); err == nil {
		t.Error("a short passphrase is taken")
	}
}

// TestDamagedAuthorities changes each file in turn.
func TestDamagedAuthorities(t *testing.T) {
	for _, name := range []string{"keys.age", "hosts.crt", "servers.crt"} {
		dir, _ := made(t)
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{nil, text[:len(text)/2], append(text[:len(text)-8:len(text)-8], "AAAAAAAA"...)} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, []byte(passphrase)); err == nil {
				t.Errorf("%s with %d of %d bytes is taken", name, len(bad), len(text))
			}
		}
	}
	dir, _ := made(t)
	if err := os.Rename(filepath.Join(dir, "servers.crt"), filepath.Join(dir, "hosts.crt")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, []byte(passphrase)); err == nil {
		t.Error("certificates of other keys are taken")
	}
}

// usable returns nil for a certificate that a peer takes for a use.
func usable(a *Authority, text []byte, use x509.ExtKeyUsage, name string, at time.Time) error {
	c, err := ParseCertificate(text)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	_, err = c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, DNSName: name, KeyUsages: []x509.ExtKeyUsage{use}})
	return err
}

func TestCertificates(t *testing.T) {
	_, a := made(t)
	_, _, r := request(t, "e6f0b3f4-0000-4000-8000-000000000001")
	host, err := a.Hosts.Host(r, now)
	if err != nil {
		t.Fatal(err)
	}
	server, err := a.Servers.Server(r, now, "192.0.2.1", "m1.example")
	if err != nil {
		t.Fatal(err)
	}
	const client, serverUse = x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	for _, c := range []struct {
		what      string
		text      []byte
		authority *Authority
		use       x509.ExtKeyUsage
		name      string
		at        time.Time
		good      bool
	}{
		{"a host as client", host, a.Hosts, client, "", now, true},
		{"a host as server", host, a.Hosts, serverUse, "", now, false},
		{"a host at the servers' authority", host, a.Servers, client, "", now, false},
		{"a server as client", server, a.Servers, client, "", now, true},
		{"a server by its address", server, a.Servers, serverUse, "192.0.2.1", now, true},
		{"a server by its name", server, a.Servers, serverUse, "m1.example", now, true},
		{"a server by another name", server, a.Servers, serverUse, "m2.example", now, false},
		{"a server at the hosts' authority", server, a.Hosts, client, "", now, false},
		{"on a clock that is late", host, a.Hosts, client, "", now.Add(-skew), true},
		{"too early", host, a.Hosts, client, "", now.Add(-skew - time.Second), false},
		{"on its last day", host, a.Hosts, client, "", now.Add(Life), true},
		{"expired", host, a.Hosts, client, "", now.Add(Life + time.Second), false},
	} {
		if err := usable(c.authority, c.text, c.use, c.name, c.at); (err == nil) != c.good {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// made by another tool, with more than isonet asks for.
func foreign(t *testing.T, template *x509.CertificateRequest, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestRequestsThatAreRefused(t *testing.T) {
	_, good, _ := request(t, "host")
	name := pkix.Name{CommonName: "host"}
	for what, text := range map[string][]byte{
		"nothing":          nil,
		"no PEM":           []byte("host"),
		"two":              append(good[:len(good):len(good)], good...),
		"something behind": append(good[:len(good):len(good)], "x"...),
		"too long":         []byte(strings.Repeat("\n", maxFile) + string(good)),
		"another curve":    foreign(t, &x509.CertificateRequest{Subject: name}, elliptic.P384()),
		"other names":      foreign(t, &x509.CertificateRequest{Subject: name, DNSNames: []string{"m1.example"}}, elliptic.P256()),
		"an organisation":  foreign(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "host", Organization: []string{"x"}}}, elliptic.P256()),
		"no name":          foreign(t, &x509.CertificateRequest{}, elliptic.P256()),
		"a strange name":   foreign(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a\nb"}}, elliptic.P256()),
		"a long name":      foreign(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("a", 65)}}, elliptic.P256()),
	} {
		if r, err := ParseRequest(text); err == nil {
			t.Errorf("%s: taken as %+v", what, r)
		}
	}
	b, _ := pem.Decode(good)
	b.Bytes[len(b.Bytes)-1] ^= 1 // of the signature
	if _, err := ParseRequest(pem.EncodeToMemory(b)); err == nil {
		t.Error("a request is taken that its key did not sign")
	}
}

func TestRenewalsAreSigned(t *testing.T) {
	_, a := made(t)
	key, text, r := request(t, "host")
	signed, err := a.Hosts.Host(r, now)
	if err != nil {
		t.Fatal(err)
	}
	old, err := ParseCertificate(signed)
	if err != nil {
		t.Fatal(err)
	}
	other, otherText, _ := request(t, "host")
	signature, err := SignRenewal(text, key)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := SignRenewal(text, other)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		text      []byte
		signature []byte
		good      bool
	}{
		{"its own", text, signature, true},
		{"by a stranger", text, stranger, false},
		{"of another request", otherText, signature, false},
		{"none", text, nil, false},
	} {
		if err := CheckRenewal(c.text, c.signature, old); (err == nil) != c.good {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestTokens(t *testing.T) {
	token, err := NewToken(HostKind, "https://192.0.2.1:8443", pin)
	if err != nil {
		t.Fatal(err)
	}
	text, err := token.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseToken(" " + text + "\n")
	if err != nil || again.Digest() != token.Digest() || again.URL != token.URL || again.Pin != pin || again.Kind != HostKind {
		t.Errorf("read %+v, %v", again, err)
	}
	if !SameDigest(again.Digest(), DigestOf(token.Secret())) || SameDigest(again.Digest(), pin) {
		t.Error("digests are not compared")
	}
	other, err := NewToken(HostKind, "https://192.0.2.1:8443", pin)
	if err != nil || other.Digest() == token.Digest() {
		t.Errorf("two tokens have one secret (%v)", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if shown := fmt.Sprintf(format, token); strings.Contains(shown, token.Secret()) || strings.Contains(shown, fmt.Sprint(token.secret[0], " ", token.secret[1])) {
			t.Errorf("%s shows the secret: %s", format, shown)
		}
	}
	for _, bad := range []string{"", "x", text[:len(text)-1], text + "A", "isonet2_" + text[8:], strings.Repeat(text, 20), strings.ToLower(text), "isonet1_e30"} {
		if _, err := ParseToken(bad); err == nil {
			t.Errorf("the token %q is taken", bad)
		} else if len(bad) > 20 && strings.Contains(err.Error(), bad[10:]) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
	for _, where := range []string{"http://h:1", "https://", "https://u:p@h:1", "https://h:1/x", "https://h:1?x", "::"} {
		if _, err := NewToken(HostKind, where, pin); err == nil {
			t.Errorf("a token for %q is made", where)
		}
	}
}

func FuzzToken(f *testing.F) {
	token, err := NewToken(ServerKind, "https://h:1", pin)
	if err != nil {
		f.Fatal(err)
	}
	text, err := token.Reveal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("isonet1_e30")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			return
		}
		again, err := token.Reveal()
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := ParseToken(again); err != nil || twice.Digest() != token.Digest() {
			t.Errorf("%q is read and not read again: %v", text, err)
		}
	})
}

func FuzzRequest(f *testing.F) {
	key, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	text, err := NewRequest("host", key)
	if err != nil {
		f.Fatal(err)
	}
	b, _ := pem.Decode(text)
	f.Add(b.Bytes)
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ParseRequest(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
		if err == nil && (CheckName(r.Name) != nil || r.Key == nil || len(r.Fingerprint) != 64) {
			t.Errorf("a request is taken as %+v", r)
		}
	})
}
