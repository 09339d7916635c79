package enroll

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

const (
	// askTimeout bounds one request, which waits for the store.
	askTimeout = 45 * time.Second
	// maxReply bounds in bytes what is read of a reply.
	maxReply = 1 << 20
)

// ErrRefused says that the fleet's API refuses: asking again changes nothing.
var ErrRefused = errors.New("refused")

// pinned returns the TLS of a client that trusts a server which shows a certificate of a
// fingerprint: its own, or that of the authority that signed its own. It calls found
// with that certificate.
func pinned(pin string, found func(*x509.Certificate)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// VerifyConnection does it, also for sessions that are resumed.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			for n, c := range s.PeerCertificates {
				if !trust.SameDigest(trust.Fingerprint(c), pin) {
					continue
				}
				found(c)
				if n == 0 {
					return nil // it has the key, as it has just shown
				}
				roots := x509.NewCertPool()
				roots.AddCert(c)
				_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: s.ServerName})
				return err
			}
			return errors.New("the server is not the one that made the token: it shows other certificates")
		},
	}
}

// post sends a request to the fleet's API.
func post(ctx context.Context, config *tls.Config, where string, body, reply any) error {
	ctx, done := context.WithTimeoutCause(ctx, askTimeout, fmt.Errorf("no answer within %v", askTimeout))
	defer done()
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	transport := &http.Transport{TLSClientConfig: config, DialContext: (&net.Dialer{}).DialContext, DisableKeepAlives: true}
	answer, err := (&http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxReply))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return refusal(answer.StatusCode, data)
	}
	if err := json.Unmarshal(data, reply); err != nil {
		return fmt.Errorf("read the answer of %s: %w", where, err)
	}
	return nil
}

// refusal is what the API says in place of a reply.
func refusal(status int, data []byte) error {
	var fault struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(data, &fault) != nil || fault.Detail == "" {
		fault.Detail = http.StatusText(status)
	}
	text := strings.TrimPrefix(strings.TrimSuffix(fault.Detail, "]"), "[")
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		return fmt.Errorf("the fleet's API answers %d: %s", status, text)
	}
	return fmt.Errorf("%w by the fleet's API: %s", ErrRefused, text)
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// joinAt asks to join, and returns the certificate by which the API is to be trusted.
func joinAt(ctx context.Context, token trust.Token, request []byte) (joined wire.Joined, api []byte, err error) {
	config := pinned(token.Pin, func(c *x509.Certificate) { api = encode(c) })
	err = post(ctx, config, strings.TrimSuffix(token.URL, "/")+"/isonet/join", wire.JoinRequest{Secret: token.Secret(), Request: string(request)}, &joined)
	return joined, api, err
}
