// Package client speaks the REST API of isonetd: the JSON form of the oVirt
// API, and isonet's own status resources.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/isonet/isonet/wire"
)

// basePath is where isonetd serves the oVirt API.
const basePath = "/ovirt-engine/api"

// maxAnswer bounds an answer in bytes, so that a wrong server cannot fill the
// memory. Ten thousand networks with their statuses are below a tenth of it.
const maxAnswer = 256 << 20

// Options say where the daemon is.
type Options struct {
	// Socket is the path of the daemon's unix socket. It is used when URL is
	// empty.
	Socket string
	// URL is the address of a remote daemon, https://host:port.
	URL string
	// User and Password are sent by HTTP Basic authentication (RFC 7617) to a
	// remote daemon.
	User, Password string
	// CACert holds PEM certificates that sign the remote daemon's; nil means
	// those of the system.
	CACert []byte
	// UserAgent names this program to the daemon.
	UserAgent string
	// Warn is told what VMs will notice of a write, if it is set.
	Warn func(text string)
}

// Client talks to one daemon. It may be used by several goroutines.
type Client struct {
	http      *http.Client
	base      string
	user      string
	password  string
	userAgent string
	warn      func(text string)
}

// New returns a client. It sends nothing yet.
func New(o Options) (*Client, error) {
	transport := &http.Transport{}
	c := &Client{base: "http://isonetd", user: o.User, password: o.Password, userAgent: o.UserAgent, warn: o.Warn}
	if o.URL == "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", o.Socket)
		}
	} else {
		base, err := remoteBase(o.URL, o.User != "")
		if err != nil {
			return nil, err
		}
		c.base = base
		if o.CACert != nil {
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
// A refusal of the daemon is a *Fault.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	resp, err := c.send(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // the answer has been read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("the daemon's answer is larger than %d MiB", maxAnswer>>20)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return newFault(resp.StatusCode, data)
	}
	for _, text := range resp.Header.Values("Isonet-Warning") {
		if c.warn != nil {
			c.warn(text)
		}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%w: %s %s: %w", ErrNotIsonetd, method, path, err)
	}
	return nil
}

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
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	return c.http.Do(req)
}
