package cluster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/store"
)

// Status is how a member of the cluster is, as it sees it itself.
type Status struct {
	// Cluster and Server are ids. Address is the member's own, for other members.
	Cluster string `json:"cluster"`
	Server  string `json:"server"`
	Address string `json:"address"`
	// State is "cluster member" for one that takes part.
	State string `json:"state"`
	// Role is leader, follower or candidate.
	Role string `json:"role"`
	Term int64  `json:"term"`
	// Leader is the short id of the leader; "" is that the member knows of none.
	Leader string `json:"leader,omitempty"`
	// ElectionTimer is how long in milliseconds members wait for a leader that is silent.
	ElectionTimer int64 `json:"election_timer_ms"`
	// Uncommitted are entries that no majority has yet, Unapplied those that the member
	// has still to apply.
	Uncommitted int64  `json:"uncommitted"`
	Unapplied   int64  `json:"unapplied"`
	Servers     []Peer `json:"servers"`
}

// Peer is a member as another one sees it.
type Peer struct {
	// ID is the first digits of its server id.
	ID      string `json:"id"`
	Address string `json:"address"`
	Self    bool   `json:"self,omitempty"`
	// Heard is how long ago in milliseconds it was last heard of; nil is not known.
	Heard *int64 `json:"heard_ms,omitempty"`
	// Behind is how many entries it lacks, which only the leader knows; nil is not known.
	Behind *int64 `json:"behind,omitempty"`
}

// Healthy says that the member takes part in a cluster that has a leader.
func (s Status) Healthy() bool { return s.State == "cluster member" && s.Leader != "" }

// Silence is how long a member may be silent before it is told as unreachable.
const Silence = 10 * time.Second

// Unreachable returns the peers that were not heard of for too long. Followers hear of
// the leader only.
func (s Status) Unreachable() []Peer {
	var gone []Peer
	for _, p := range s.Servers {
		if !p.Self && s.Role == "leader" && (p.Heard == nil || *p.Heard > Silence.Milliseconds()) {
			gone = append(gone, p)
		}
	}
	return gone
}

// ErrNotRunning says that a server of the fleet does not run on this machine.
var ErrNotRunning = errors.New("it does not run")

// ErrLeft says that the member of this machine has left its cluster. Its server runs.
var ErrLeft = errors.New("the member of this machine has left its cluster: stop isonet-member.service and move its database away")

// Status asks the member of this machine how it is.
func (m Member) Status(ctx context.Context) (Status, error) {
	text, err := m.control(ctx, "cluster/status", store.Database)
	if err != nil {
		return Status{}, err
	}
	return parseStatus(text)
}

// control sends a command to the member of this machine (ovs-appctl(8)).
func (m Member) control(ctx context.Context, command ...string) (string, error) {
	text, err := run(ctx, "ovs-appctl", append([]string{"--timeout=10", "-t", m.Layout.control(member)}, command...)...)
	if err != nil && strings.Contains(err.Error(), "unknown cluster") {
		return "", ErrLeft
	}
	if err != nil {
		return "", fmt.Errorf("ask the member of this machine (isonet-member.service): %w: %w", ErrNotRunning, err)
	}
	return text, nil
}

var peerLine = regexp.MustCompile(`^([0-9a-f]+) \([0-9a-f]+ at (\S+)\)(.*)$`)

// parseStatus reads what cluster/status prints (ovsdb-server(1)).
func parseStatus(text string) (Status, error) {
	s := Status{Servers: []Peer{}}
	var last int64
	matches := map[int]int64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if found := peerLine.FindStringSubmatch(line); found != nil {
			p, match := peer(found)
			if match >= 0 {
				matches[len(s.Servers)] = match
			}
			s.Servers = append(s.Servers, p)
			continue
		}
		key, value, _ := strings.Cut(line, ": ")
		number := func() int64 { n, _ := strconv.ParseInt(value, 10, 64); return n } // 0 if it is none
		switch key {
		case "Cluster ID":
			s.Cluster = inner(value)
		case "Server ID":
			s.Server = inner(value)
		case "Address":
			s.Address = value
		case "Status":
			s.State = value
		case "Role":
			s.Role = value
		case "Term":
			s.Term = number()
		case "Leader":
			s.Leader = value
		case "Election timer":
			s.ElectionTimer = number()
		case "Entries not yet committed":
			s.Uncommitted = number()
		case "Entries not yet applied":
			s.Unapplied = number()
		case "Log": // [first, next]
			_, next, _ := strings.Cut(strings.Trim(value, "[]"), ", ")
			last, _ = strconv.ParseInt(next, 10, 64) // likewise
			last--
		}
	}
	if s.State == "" || s.Server == "" {
		return Status{}, errors.New("ovsdb-server does not say how its cluster is: is it Open vSwitch's?")
	}
	switch s.Leader {
	case "self":
		s.Leader = short(s.Server)
	case "unknown":
		s.Leader = ""
	}
	for i, match := range matches {
		if behind := max(0, last-match); s.Role == "leader" {
			s.Servers[i].Behind = &behind
		}
	}
	slices.SortFunc(s.Servers, func(a, b Peer) int { return strings.Compare(a.Address, b.Address) })
	return s, nil
}

func short(id string) string { return id[:min(4, len(id))] }

// inner returns an id of "5d92 (5d92bedb-...)".
func inner(value string) string {
	if _, id, found := strings.Cut(value, "("); found {
		return strings.TrimSuffix(id, ")")
	}
	return value
}

var (
	matchIndex = regexp.MustCompile(`match_index=(\d+)`)
	lastHeard  = regexp.MustCompile(`last msg (\d+) ms ago`)
)

// peer reads a line of the servers. Match is -1 if it is not told.
func peer(found []string) (p Peer, match int64) {
	p = Peer{ID: short(found[1]), Address: found[2], Self: strings.Contains(found[3], "(self)")}
	match = -1
	if m := matchIndex.FindStringSubmatch(found[3]); m != nil {
		match, _ = strconv.ParseInt(m[1], 10, 64) // digits
	}
	if m := lastHeard.FindStringSubmatch(found[3]); m != nil {
		heard, _ := strconv.ParseInt(m[1], 10, 64) // likewise
		p.Heard = &heard
	}
	return p, match
}

// Find returns a peer by its address, with or without port, or by its id.
func (s Status) Find(reference string) (Peer, error) {
	var known []string
	for _, p := range s.Servers {
		ip := strings.TrimPrefix(p.Address[:strings.LastIndex(p.Address, ":")], "ssl:")
		if reference == p.ID || reference == p.Address || reference == strings.Trim(ip, "[]") {
			return p, nil
		}
		known = append(known, strings.Trim(ip, "[]"))
	}
	return Peer{}, fmt.Errorf("the cluster has no member %q: it has %s", reference, strings.Join(known, ", "))
}

// Leave lets the member of this machine leave its cluster. It returns when the others
// know. The database is of no use afterwards.
func (m Member) Leave(ctx context.Context) error {
	if _, err := m.control(ctx, "cluster/leave", store.Database); err != nil {
		return err
	}
	err := m.await(ctx, func(s Status) bool { return s.State == "left cluster" })
	if errors.Is(err, ErrLeft) {
		return nil
	}
	return err
}

// Kick removes another member that is gone for good, and returns when it is removed.
func (m Member) Kick(ctx context.Context, p Peer) error {
	if _, err := m.control(ctx, "cluster/kick", store.Database, p.ID); err != nil {
		return err
	}
	return m.await(ctx, func(s Status) bool {
		return !slices.ContainsFunc(s.Servers, func(q Peer) bool { return q.ID == p.ID })
	})
}

// await asks the member until its status is as wanted.
func (m Member) await(ctx context.Context, done func(Status) bool) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		s, err := m.Status(ctx)
		if err != nil || done(s) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the cluster has not done it yet, which takes a majority of its members: %w", ctx.Err())
		}
	}
}
