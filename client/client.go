package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/wire"
)

// DefaultSocket is where isonetd listens unless its configuration says
// otherwise.
const DefaultSocket = "/run/isonet/isonetd.sock"

// basePath is where isonetd serves the oVirt API.
const basePath = "/ovirt-engine/api"

// maxAnswer bounds an answer in bytes, so that a wrong server cannot fill the
// memory. Ten thousand networks with their statuses are below a tenth of it.
const maxAnswer = 256 << 20

// Options say where the daemon is.
type Options struct {
	// Socket is the path of the daemon's unix socket; "" is DefaultSocket. It is
	// used when URL is empty.
	Socket string
	// URL is the address of a remote daemon, https://host:port.
	URL string
	// User and Password are sent by HTTP Basic authentication (RFC 7617), over
	// plain HTTP only to this machine itself.
	User, Password string
	// Token is one of Login, and is sent in their place (RFC 6750).
	Token string
	// CACert holds PEM certificates that sign the remote daemon's; nil means
	// those of the system.
	CACert []byte
	// Fingerprint is the one certificate of the remote daemon that is trusted, as
	// Fingerprint writes it, whoever signed it and whatever name it has. It goes before
	// CACert.
	Fingerprint string
	// UserAgent names the program to the daemon, such as "backup/1.2".
	UserAgent string
	// Warn is told what VMs will notice of a write, in a sentence for each thing;
	// nil is told nothing.
	Warn func(text string)
}

// Client talks to one daemon. It may be used by several goroutines.
type Client struct {
	http      *http.Client
	base      string
	user      string
	password  string
	token     string
	userAgent string
	warn      func(text string)
	// wait is how long writes wait for hosts, and told gets what became of them; nil
	// does not wait.
	wait time.Duration
	told func(Written)
}

// New returns a client. It sends nothing yet, and refuses options that cannot
// work.
func New(o Options) (*Client, error) {
	transport := &http.Transport{}
	c := &Client{base: "http://isonetd", user: o.User, password: o.Password, token: o.Token, userAgent: o.UserAgent, warn: o.Warn}
	if o.URL == "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", cmp.Or(o.Socket, DefaultSocket))
		}
	} else {
		base, err := remoteBase(o.URL, o.User != "" || o.Token != "")
		if err != nil {
			return nil, err
		}
		c.base = base
		if o.Fingerprint != "" {
			transport.TLSClientConfig = pinned(o.Fingerprint)
		} else if o.CACert != nil {
			roots := x509.NewCertPool()
			if !roots.AppendCertsFromPEM(o.CACert) {
				return nil, errors.New("the CA file holds no PEM certificate")
			}
			transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		}
	}
	c.http = &http.Client{
		Transport: transport,
		// The daemon never redirects; following one could send the password
		// elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// remoteBase checks the address of a remote daemon. A password goes over plain
// HTTP only to this machine itself.
func remoteBase(address string, password bool) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("the URL %q is not valid: give https://host:port", address)
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("the URL of the daemon must have the form https://host:port")
	}
	if u.Scheme == "http" && password && !loopback(u.Hostname()) {
		return "", errors.New("a password is not sent over plain http to another machine: use https://")
	}
	return u.Scheme + "://" + u.Host, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call sends one request and decodes the answer into out, unless out is nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	resp, err := c.send(ctx, method, path, c.awaited(method, query), in)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // the answer has been read
	if err := c.tell(resp.Header); err != nil {
		return err
	}
	for _, text := range resp.Header.Values(wire.WarningHeader) {
		if c.warn != nil {
			c.warn(text)
		}
	}
	data, err := read(resp.Body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%w: %s %s: %w", ErrNotIsonetd, method, path, err)
	}
	return nil
}

func read(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	case len(data) > maxAnswer:
		return nil, fmt.Errorf("%w: it is larger than %d MiB", ErrNotIsonetd, maxAnswer>>20)
	}
	return data, nil
}

// send sends one request. The answer is one of success; its body is to be closed.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	address := c.base + basePath + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	failure := ErrUnreachable
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { failure = ErrUnknown }})
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Version", "4")
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set(wire.RefusalsHeader, "true")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	switch {
	case c.token != "":
		req.Header.Set("Authorization", "Bearer "+c.token)
	case c.user != "":
		req.SetBasicAuth(c.user, c.password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", failure, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close() //nolint:errcheck // the answer has been read
		data, err := read(resp.Body)
		if err != nil {
			return nil, err
		}
		return nil, newFault(resp.StatusCode, data)
	}
	return resp, nil
}

// onlyIf is the query that sets a flag.
func onlyIf(flag string, set bool) url.Values {
	if !set {
		return nil
	}
	return url.Values{flag: {"true"}}
}

// patience is how many seconds the daemon shall wait for Open vSwitch: three
// quarters of the time that is left, so that its answer comes in time. The wait for
// other hosts comes after that.
func (c *Client) patience(ctx context.Context) string {
	left := time.Hour // the daemon refuses more
	if deadline, limited := ctx.Deadline(); limited {
		left = min(max((time.Until(deadline)-c.wait)*3/4, time.Second), left)
	}
	return strconv.Itoa(int(left.Seconds()))
}
