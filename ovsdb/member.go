package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ovn-kubernetes/libovsdb/model"
)

// disconnectedPatience is how long a server may be without its cluster before its
// session ends. A member says that it is only when an election has failed, and a relay
// after 30 seconds. An election that fails once is repeated.
const disconnectedPatience = 3 * time.Second

// serverDatabase is the database in which a server tells of itself (ovsdb-server(5)),
// and the name of its monitor.
const serverDatabase = "_Server"

// databaseRow is a row of its table Database, with the columns that Open vSwitch 2.17
// has.
type databaseRow struct {
	UUID      string `ovsdb:"_uuid"`
	Name      string `ovsdb:"name"`
	Model     string `ovsdb:"model"`
	Connected bool   `ovsdb:"connected"`
	Leader    bool   `ovsdb:"leader"`
}

var (
	errNotLeader = errors.New("it is not the leader of its cluster")
	// A member that cannot write to its disk answers, says that it leads for ever, and
	// answers no transaction.
	errFailed   = errors.New("it leads its cluster no more, although it says so: look at its log and its disk, and start it again")
	errNotThere = errors.New("it does not serve the database any more")
)

// disconnected says what is wrong with a server that has lost its cluster.
func (d *databaseRow) disconnected() error {
	if d.Model == "relay" {
		return errors.New("it is a relay that does not reach the database's servers, so what it has may be old: look at these, and at the relay's log")
	}
	return errors.New(`it is not connected to the majority of its cluster, so what it has may be old: look at the other members ("ovs-appctl cluster/status")`)
}

// leads says that a server has to lead for a session. A relay never does: what is
// written there goes to the members that it knows.
func (d *databaseRow) leads(member Member) bool { return member == Leader && d.Model != "relay" }

// follow fails unless the server is the member that is wanted, and lets the connection
// end when it no longer is.
func (c *connection) follow(ctx context.Context, member Member, end func(error)) error {
	m, err := model.NewClientDBModel(serverDatabase, map[string]model.Model{"Database": &databaseRow{}})
	if err != nil {
		return fmt.Errorf("describe the database %s: %w", serverDatabase, err)
	}
	rows, _, err := c.schema(ctx, serverDatabase, m)
	if err != nil {
		return err
	}
	var alone *time.Timer // runs while the server has lost its cluster
	begun := false
	return c.monitor(ctx, "monitor", serverDatabase, serverDatabase, rows.requests(), func(updates []byte) error {
		if err := rows.apply(updates); err != nil {
			return err
		}
		d := rows.database(c.database)
		first := !begun
		begun = true
		switch {
		case d == nil:
			return errNotThere
		case d.leads(member) && !d.Leader:
			return errNotLeader
		case d.leads(member) && !d.Connected:
			return errFailed
		case d.Connected:
			if alone != nil {
				alone.Stop()
				alone = nil
			}
		case first:
			return d.disconnected()
		case alone == nil:
			alone = time.AfterFunc(disconnectedPatience, func() { end(fmt.Errorf("%w: %w", ErrLost, d.disconnected())) })
		}
		return nil
	})
}

// database returns what a server says of one of its databases, nil if nothing. Only
// the goroutine that changes the copy may call it.
func (c *rowCopy) database(name string) *databaseRow {
	for _, row := range c.rows["Database"] {
		if d, is := row.(*databaseRow); is && d.Name == name {
			return d
		}
	}
	return nil
}

// ordered returns the endpoints in the order in which to try them. Many clients must
// not all choose the first of several servers.
func ordered(cfg Config) []string {
	if cfg.Member != Connected {
		return cfg.Endpoints
	}
	endpoints := slices.Clone(cfg.Endpoints)
	rand.Shuffle(len(endpoints), func(i, j int) { endpoints[i], endpoints[j] = endpoints[j], endpoints[i] })
	if at := slices.Index(endpoints, cfg.last); at >= 0 {
		endpoints = append(slices.Delete(endpoints, at, at+1), cfg.last)
	}
	return endpoints
}
