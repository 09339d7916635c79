package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Where the oVirt API logs in and out.
const (
	loginPath  = "/ovirt-engine/sso/oauth/token"
	logoutPath = "/ovirt-engine/services/sso-logout"
)

// Login asks the daemon for a token for a user, for Options.Token. It ends with
// Logout, with the daemon, and when nobody uses it for the time that the daemon's
// configuration says (token-timeout).
func (c *Client) Login(ctx context.Context, user, password string) (token string, err error) {
	if _, err := remoteBase(c.base, true); err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	form := url.Values{"grant_type": {"password"}, "scope": {"ovirt-app-api"}, "username": {user}, "password": {password}}
	if err := c.post(ctx, loginPath, form, &answer); err != nil {
		return "", err
	}
	if answer.Token == "" {
		return "", fmt.Errorf("%w: it has no token", ErrNotIsonetd)
	}
	return answer.Token, nil
}

// Logout ends a token, also one that has ended before.
func (c *Client) Logout(ctx context.Context, token string) error {
	return c.post(ctx, logoutPath, url.Values{"token": {token}}, &struct{}{})
}

// post sends a form of the single sign-on. Its refusals are Faults too.
func (c *Client) post(ctx context.Context, path string, form url.Values, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", c.userAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close() //nolint:errcheck // the answer has been read
	data, err := read(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(data, out); err != nil {
			return fmt.Errorf("%w: POST %s: %w", ErrNotIsonetd, path, err)
		}
		return nil
	}
	var refused struct {
		Code string `json:"error_code"`
		Text string `json:"error"`
	}
	if json.Unmarshal(data, &refused) != nil || refused.Code == "" {
		return newFault(resp.StatusCode, data)
	}
	if refused.Code == "access_denied" { // of status 400, as the oVirt engine has it
		resp.StatusCode = http.StatusUnauthorized
	}
	return &Fault{Status: resp.StatusCode, Reason: plain(refused.Code), Detail: plain(refused.Text)}
}

// Version returns the version of the daemon.
func (c *Client) Version(ctx context.Context) (string, error) {
	var answer struct {
		Product struct {
			Version struct {
				Full string `json:"full_version"`
			} `json:"version"`
		} `json:"product_info"`
	}
	if err := c.call(ctx, http.MethodGet, "", nil, nil, &answer); err != nil {
		return "", err
	}
	_, version, ours := strings.Cut(answer.Product.Version.Full, "-isonet")
	if !ours {
		return "", fmt.Errorf("%w: it is version %q of something else", ErrNotIsonetd, answer.Product.Version.Full)
	}
	return strings.TrimPrefix(version, "-"), nil
}

// Fingerprint returns the SHA-256 fingerprint of a certificate, as
// 'openssl x509 -fingerprint -sha256' writes it.
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return strings.Join(pairs, ":")
}

// SameFingerprint compares fingerprints, with colons or without, in any case.
func SameFingerprint(a, b string) bool {
	bare := strings.NewReplacer(":", "", " ", "").Replace
	return strings.EqualFold(bare(a), bare(b))
}

// pinned trusts one certificate. The check takes the place of that of the chain and
// of the name, as that of a host's key does in SSH.
func pinned(fingerprint string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies it
		VerifyConnection: func(state tls.ConnectionState) error {
			if got := Fingerprint(state.PeerCertificates[0]); !SameFingerprint(got, fingerprint) {
				return fmt.Errorf("%w: its SHA-256 fingerprint is %s", ErrOtherCertificate, got)
			}
			return nil
		},
	}
}
