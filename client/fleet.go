package client

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/wire"
)

const hostsPath = "/isonet/hosts"

// Overview returns how all hosts are, sorted by name. Of other hosts than its own the
// daemon knows that only where they report to the servers of fleet-status.
func (c *Client) Overview(ctx context.Context) (wire.Hosts, error) {
	var answer wire.Hosts
	err := c.call(ctx, http.MethodGet, hostsPath, nil, nil, &answer)
	return answer, err
}

// Outcomes is Overview with what became on each host of the change that made a revision:
// Written has it. The change is that of the networks with these ids; without any, of all.
// The daemon waits at most this long until it is pending nowhere, in whole seconds up to
// an hour.
func (c *Client) Outcomes(ctx context.Context, revision int64, wait time.Duration, networks ...string) (wire.Hosts, error) {
	query := url.Values{"revision": {strconv.FormatInt(revision, 10)}, "wait": {inSeconds(wait)}}
	if len(networks) > 0 {
		query.Set("networks", strings.Join(networks, ","))
	}
	var answer wire.Hosts
	err := c.call(ctx, http.MethodGet, hostsPath, query, nil, &answer)
	return answer, err
}

// StatusOf returns how the networks of a host stand, by its id or its name. That of
// another host than the daemon's own is what it last reported, without traffic and
// events; one that never reported is a Fault with the status 409.
func (c *Client) StatusOf(ctx context.Context, host string) (wire.Status, error) {
	var s wire.Status
	err := c.call(ctx, http.MethodGet, "/isonet/status", url.Values{"host": {host}}, nil, &s)
	return s, cmp.Or(err, known(s))
}

// Written says what became of a write.
type Written struct {
	// Revision of the desired state that the write made; 0 if it made none.
	Revision int64
	// The hosts that the write touches, counted by what became of it there.
	Realised, Pending, Failed, Unreachable int
}

// WaitingForHosts returns a client whose writes wait until all hosts that they touch
// have them, at most this long, in whole seconds up to an hour. The write stays, whatever
// becomes of it there. Told gets the outcome of each write.
func (c *Client) WaitingForHosts(wait time.Duration, told func(Written)) *Client {
	waiting := *c
	waiting.wait, waiting.told = wait, told
	return &waiting
}

// awaited adds to the query of a write that it waits for hosts.
func (c *Client) awaited(method string, query url.Values) url.Values {
	if c.told == nil || method == http.MethodGet {
		return query
	}
	with := url.Values{"wait": {"hosts"}, "timeout": {inSeconds(c.wait)}}
	for name, values := range query {
		with[name] = values
	}
	return with
}

// tell passes on what the reply to a write says of hosts. A reply without it is one of a
// request that wrote nothing.
func (c *Client) tell(header http.Header) error {
	counts := header.Get(wire.HostsHeader)
	if c.told == nil || counts == "" {
		return nil
	}
	var w Written
	if _, err := fmt.Sscanf(counts, "realised=%d; pending=%d; failed=%d; unreachable=%d", &w.Realised, &w.Pending, &w.Failed, &w.Unreachable); err != nil {
		return fmt.Errorf("%w: the header %s is %q", ErrNotIsonetd, wire.HostsHeader, counts)
	}
	w.Revision, _ = strconv.ParseInt(header.Get(wire.RevisionHeader), 10, 64) // absent: it made none
	c.told(w)
	return nil
}

// inSeconds writes a time in whole seconds, one at least unless it is 0.
func inSeconds(d time.Duration) string {
	if d > 0 {
		d = max(d, time.Second)
	}
	return strconv.Itoa(int(min(d, time.Hour).Seconds()))
}
