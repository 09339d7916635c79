package trust

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Kind says what a join token lets in.
type Kind string

// The kinds of join tokens.
const (
	// HostKind is a host: its certificate may tell how the host is, and nothing else.
	HostKind Kind = "host"
	// ServerKind is a server of the fleet: its certificate may change everything.
	ServerKind Kind = "server"
)

const (
	// tokenPrefix begins all tokens, so that tools which look for leaked secrets find
	// them. The number is the version of their form.
	tokenPrefix = "isonet1_"
	// maxToken bounds a token in bytes.
	maxToken = 2048
	// secretLength is that of a token's secret in bytes: nobody guesses it, so that its
	// digest may be read by everybody.
	secretLength = 32
)

// Token lets one machine join a fleet, once. It has all that the machine needs to ask.
type Token struct {
	Kind Kind
	// URL is where to ask: https://HOST:PORT.
	URL string
	// Pin is the fingerprint of a certificate in the chain of that URL.
	Pin    string
	secret []byte
}

// written is a token as JSON.
type written struct {
	Kind   Kind   `json:"k"`
	URL    string `json:"u"`
	Pin    string `json:"p"`
	Secret []byte `json:"s"`
}

// NewToken makes a token with a new secret.
func NewToken(kind Kind, where, pin string) (Token, error) {
	secret := make([]byte, secretLength)
	if _, err := rand.Read(secret); err != nil {
		return Token{}, fmt.Errorf("make a secret: %w", err)
	}
	t := Token{Kind: kind, URL: where, Pin: pin, secret: secret}
	return t, t.check()
}

var pins = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (t Token) check() error {
	u, err := url.Parse(t.URL)
	switch {
	case t.Kind != HostKind && t.Kind != ServerKind:
		return fmt.Errorf("the token is of the unknown kind %q", t.Kind)
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("the URL %q of the token is not of the form https://HOST:PORT", t.URL)
	case !pins.MatchString(t.Pin):
		return errors.New("the token has no fingerprint of a certificate")
	case len(t.secret) != secretLength:
		return errors.New("the token has no secret")
	}
	return nil
}

// Reveal returns the text of the token, which is a secret.
func (t Token) Reveal() (string, error) {
	text, err := json.Marshal(written{t.Kind, t.URL, t.Pin, t.secret})
	if err != nil {
		return "", fmt.Errorf("write the token: %w", err)
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(text), nil
}

// String returns the token without its secret, for logs.
func (t Token) String() string { return fmt.Sprintf("token for a %s at %s", t.Kind, t.URL) }

// GoString is String: %#v of a token must not show its secret either.
func (t Token) GoString() string { return t.String() }

// ParseToken reads a token. Its error does not repeat it.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	encoded, ours := strings.CutPrefix(text, tokenPrefix)
	if !ours || len(text) > maxToken {
		return Token{}, fmt.Errorf("this is no join token, which begins with %s: copy the whole of it", tokenPrefix)
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return Token{}, errors.New("the join token is damaged: copy the whole of it")
	}
	var w written
	if err := json.Unmarshal(decoded, &w); err != nil {
		return Token{}, errors.New("the join token is damaged: copy the whole of it")
	}
	t := Token{Kind: w.Kind, URL: w.URL, Pin: w.Pin, secret: w.Secret}
	return t, t.check()
}

// Secret returns what the one who asked to join proves it with, in base64.
func (t Token) Secret() string { return base64.RawURLEncoding.EncodeToString(t.secret) }

// Digest returns what is kept of the token: the SHA-256 of its secret in hexadecimal
// digits.
func (t Token) Digest() string { return DigestOf(t.Secret()) }

// DigestOf returns the digest of a Secret.
func DigestOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// SameDigest compares digests in a time that does not tell where they differ.
func SameDigest(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
