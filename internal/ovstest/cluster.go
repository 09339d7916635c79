package ovstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Cluster is an OVSDB database on several servers, of which one leads (RAFT, ovsdb(7)).
// Each is a child process of its own.
type Cluster struct {
	t        testing.TB
	database string
	Members  []*Server
}

// StartCluster starts a cluster with an empty database of a schema. It ends with the
// test.
func StartCluster(t testing.TB, schema, database string, size int) *Cluster {
	t.Helper()
	c := &Cluster{t: t, database: database}
	for range size {
		dir, err := os.MkdirTemp("", "raft") // short enough for the path of a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		member := &Server{t: t, dir: dir, file: filepath.Join(dir, "db")}
		t.Cleanup(member.Stop)
		create := []string{"join-cluster", member.file, database, "unix:" + filepath.Join(dir, "raft")}
		if len(c.Members) == 0 {
			create = []string{"create-cluster", member.file, schema, "unix:" + filepath.Join(dir, "raft")}
		} else {
			create = append(create, "unix:"+filepath.Join(c.Members[0].dir, "raft"))
		}
		if out, err := member.command("ovsdb-tool", append([]string{"-vsyslog:off"}, create...)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(create, " "), err, out)
		}
		member.Start()
		c.Members = append(c.Members, member)
		Eventually(t, "the member has joined", func() error { _, err := member.role(database); return err })
	}
	return c
}

// Endpoints returns the OVSDB endpoints of all members, in their order.
func (c *Cluster) Endpoints() []string {
	var endpoints []string
	for _, m := range c.Members {
		endpoints = append(endpoints, m.Endpoint())
	}
	return endpoints
}

// Leader waits until a member that answers leads, and returns it.
func (c *Cluster) Leader() *Server {
	c.t.Helper()
	var leader *Server
	Eventually(c.t, "a member leads", func() error {
		for _, m := range c.Members {
			if role, err := m.role(c.database); err == nil && role == "leader" {
				leader = m
				return nil
			}
		}
		return fmt.Errorf("no member of %d leads", len(c.Members))
	})
	return leader
}

// role returns what a member is in its cluster: leader, follower or candidate. One
// that still joins has a role in its log and no vote: it is none.
func (s *Server) role(database string) (string, error) {
	out, err := s.command("ovs-appctl", "--timeout=1", "-t", filepath.Join(s.dir, "ovsdb.ctl"), "cluster/status", database).Output()
	if err != nil {
		return "", fmt.Errorf("cluster/status: %w", err)
	}
	if !strings.Contains(string(out), "Status: cluster member") {
		return "", fmt.Errorf("the server is no member of the cluster yet: %s", out)
	}
	for line := range strings.Lines(string(out)) {
		if role, is := strings.CutPrefix(strings.TrimSpace(line), "Role: "); is {
			return role, nil
		}
	}
	return "", fmt.Errorf("cluster/status tells no role: %s", out)
}
