package ovsdb

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/rpc2"
	"github.com/cenkalti/rpc2/jsonrpc"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// configured is the name of the monitor of the configured tables.
const configured = "isonet"

// connection is a connection to an OVSDB server with a copy of the tables that
// are followed. Transactions go by the same connection, because only for the one
// that has the lock (RFC 7047 section 4.1.8) an assert operation succeeds.
type connection struct {
	rpc      *rpc2.Client
	endpoint string
	database string
	lock     string
	// asserts says that transactions go with an assertion of the lock.
	asserts bool
	// alive ends with the connection, and when it is of no use any more.
	alive context.Context
	copy  *rowCopy
	// columns are all that the database has, by table.
	columns map[string][]string
	// held says that the server gave the lock to this connection. It only tells
	// what to expect: each transaction asserts it.
	held atomic.Bool
	mu   sync.Mutex
	// monitors are those that were asked for, by their names.
	monitors map[string]*monitored
}

// monitored is a monitor.
type monitored struct {
	apply func(updates []byte) error
	// begun is closed when the first dump was applied, or cannot be.
	begun chan struct{}
}

// connect opens a connection to an endpoint that serves, with the whole copy. It
// calls changed when the copy changes or the lock comes or goes later on, and lost
// when the connection ends or is of no use any more.
func connect(ctx context.Context, cfg Config, changed func(), lost func(error)) (*connection, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no OVSDB endpoint is given")
	}
	dialCtx, dialed := context.WithTimeout(ctx, dialTimeout)
	defer dialed()
	c, err := first(dialCtx, cfg.Endpoints, func(dialCtx context.Context, endpoint string) (*connection, error) {
		return open(dialCtx, ctx, cfg, endpoint, changed)
	})
	if err != nil {
		return nil, err
	}
	if err := c.begin(cfg); err != nil {
		c.close()
		return nil, err
	}
	context.AfterFunc(c.alive, func() { lost(context.Cause(c.alive)) })
	return c, nil
}

// open opens a connection to a server that serves the database and will do. Dialing
// ends with dialCtx, the connection with ctx.
func open(dialCtx, ctx context.Context, cfg Config, endpoint string, changed func()) (*connection, error) {
	conn, err := dial(dialCtx, endpoint, cfg)
	if err != nil {
		return nil, err
	}
	c := &connection{
		rpc: rpc2.NewClientWithCodec(jsonrpc.NewJSONCodec(conn)), endpoint: endpoint, database: cfg.Model.Name(), lock: cfg.Lock,
		monitors: map[string]*monitored{},
	}
	var end context.CancelCauseFunc
	c.alive, end = context.WithCancelCause(ctx)
	c.handle(changed, end)
	if err := c.greet(dialCtx, cfg.Member, end); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// dial opens a connection to an OVSDB endpoint.
func dial(ctx context.Context, endpoint string, cfg Config) (net.Conn, error) {
	var dialer net.Dialer
	if len(cfg.Endpoints) > 1 { // a machine that is gone has others beside it
		dialer.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 2}
	}
	switch kind, address, _ := strings.Cut(endpoint, ":"); kind {
	case "unix":
		return dialer.DialContext(ctx, "unix", address)
	case "ssl":
		return (&tls.Dialer{NetDialer: &dialer, Config: cfg.TLS}).DialContext(ctx, "tcp", address)
	default:
		return dialer.DialContext(ctx, "tcp", address)
	}
}

// handle answers what the server sends by itself, in the order in which it comes.
func (c *connection) handle(changed func(), end func(error)) {
	c.rpc.SetBlocking(true)
	c.rpc.Handle("echo", func(_ *rpc2.Client, args []any, reply *[]any) error {
		*reply = args
		return nil
	})
	locked := func(held bool) func(*rpc2.Client, []any, *[]any) error {
		return func(*rpc2.Client, []any, *[]any) error {
			c.held.Store(held)
			changed()
			return nil
		}
	}
	c.rpc.Handle("locked", locked(true))
	c.rpc.Handle("stolen", locked(false))
	for _, method := range []string{"update", "update2"} {
		c.rpc.Handle(method, func(_ *rpc2.Client, params []json.RawMessage, _ *[]any) error {
			if err := c.update(params); err != nil {
				end(fmt.Errorf("%w: what the server tells cannot be followed: %w", ErrLost, err))
				return nil
			}
			changed()
			return nil
		})
	}
	go func() {
		c.rpc.Run()
		end(ErrLost)
	}()
}

// update applies an update notification: the name of a monitor and what changed.
func (c *connection) update(params []json.RawMessage) error {
	if len(params) != 2 {
		return fmt.Errorf("an update has %d parameters", len(params))
	}
	var name string
	if err := json.Unmarshal(params[0], &name); err != nil {
		return fmt.Errorf("the name of a monitor: %w", err)
	}
	c.mu.Lock()
	m, known := c.monitors[name]
	c.mu.Unlock()
	if !known {
		return fmt.Errorf("there is no monitor %q", name)
	}
	<-m.begun // the first dump, whose answer came before, goes first, and needs no other answer
	return m.apply(params[1])
}

// greet fails unless the server has the database and will do. It lets the connection
// end when it no longer does.
func (c *connection) greet(ctx context.Context, member Member, end func(error)) error {
	var databases []string
	if err := c.call(ctx, "list_dbs", []any{}, &databases); err != nil {
		return fmt.Errorf("ask for the databases: %w", err)
	}
	if !slices.Contains(databases, c.database) {
		return fmt.Errorf("%w: %s; make it with \"ovsdb-tool create FILE SCHEMA\" and \"ovs-appctl -t ovsdb-server ovsdb-server/add-db FILE\" there", ErrNoDatabase, c.database)
	}
	if member == Any {
		return nil
	}
	return c.follow(ctx, member, end)
}

// begin asks for all that a session needs. The first dump may take longer than
// dialing.
func (c *connection) begin(cfg Config) error {
	schemaCtx, told := context.WithTimeout(c.alive, dialTimeout)
	defer told()
	var err error
	if c.copy, c.columns, err = c.schema(schemaCtx, c.database, cfg.Model); err != nil {
		return err
	}
	dumpCtx, dumped := context.WithTimeout(c.alive, dumpTimeout)
	defer dumped()
	if err := c.monitorConfigured(dumpCtx, cfg.Conditions); err != nil {
		return err
	}
	if c.lock == "" {
		return nil
	}
	return c.ask(dumpCtx)
}

// schema returns an empty copy of a database whose schema is new enough, and all
// columns that it has, by table.
func (c *connection) schema(ctx context.Context, database string, m model.ClientDBModel) (*rowCopy, map[string][]string, error) {
	var schema ovsdb.DatabaseSchema
	if err := c.call(ctx, "get_schema", []any{database}, &schema); err != nil {
		return nil, nil, fmt.Errorf("ask for the schema of the database %s: %w", database, err)
	}
	rows, err := newCopy(m, schema)
	if err != nil {
		return nil, nil, fmt.Errorf("the schema of the database %s is older than isonet needs: %w; convert it with \"ovsdb-client convert SERVER SCHEMA\", "+
			"where the schema of Open_vSwitch comes with a newer Open vSwitch", database, err)
	}
	columns := map[string][]string{}
	for table, description := range schema.Tables {
		columns[table] = slices.Sorted(maps.Keys(description.Columns))
	}
	return rows, columns, nil
}

// monitorConfigured begins to follow the configured tables.
func (c *connection) monitorConfigured(ctx context.Context, conditions Conditions) error {
	if conditions == nil {
		return c.monitor(ctx, "monitor", c.database, configured, c.copy.requests(), c.copy.apply)
	}
	requests, err := c.copy.conditional(conditions)
	if err != nil {
		return err
	}
	return c.monitor(ctx, "monitor_cond", c.database, configured, requests, c.copy.applyDiffs)
}

// monitor begins to follow a database.
func (c *connection) monitor(ctx context.Context, method, database, name string, requests map[string]any, apply func([]byte) error) error {
	m := &monitored{apply: apply, begun: make(chan struct{})}
	defer close(m.begun)
	c.mu.Lock()
	c.monitors[name] = m
	c.mu.Unlock()
	var dump json.RawMessage
	if err := c.call(ctx, method, []any{database, name, requests}, &dump); err != nil {
		return fmt.Errorf("monitor the database %s: %w", database, err)
	}
	if err := apply(dump); err != nil {
		return fmt.Errorf("monitor the database %s: %w", database, err)
	}
	return nil
}

// ask asks for the lock. It does not wait for it.
func (c *connection) ask(ctx context.Context) error {
	var reply struct {
		Locked bool `json:"locked"`
	}
	if err := c.call(ctx, "lock", ovsdb.NewLockArgs(c.lock), &reply); err != nil {
		return fmt.Errorf("ask for the lock %q: %w", c.lock, err)
	}
	if reply.Locked { // else a notification may have come already
		c.held.Store(true)
	}
	return c.askWhere(ctx)
}

// askWhere finds out whether the lock is a relay's. A relay has locks of its own, and
// what it passes on can assert none of them: there the lock tells who else is at this
// relay, and transactions go without it.
func (c *connection) askWhere(ctx context.Context) error {
	var results []struct {
		Rows []struct {
			Model string `json:"model"`
		} `json:"rows"`
	}
	named := []any{[]any{"name", "==", c.database}}
	query := map[string]any{"op": "select", "table": "Database", "where": named, "columns": []string{"model"}}
	if err := c.call(ctx, "transact", []any{serverDatabase, query}, &results); err != nil {
		return fmt.Errorf("ask what kind of server has the lock %q: %w", c.lock, err)
	}
	c.asserts = len(results) == 0 || len(results[0].Rows) == 0 || results[0].Rows[0].Model != "relay"
	return nil
}

// steal takes the lock that was asked for, for which the server wants the wish
// withdrawn first.
func (c *connection) steal(ctx context.Context) error {
	for _, method := range []string{"unlock", "steal"} {
		var reply json.RawMessage
		if err := c.call(ctx, method, ovsdb.NewLockArgs(c.lock), &reply); err != nil {
			return fmt.Errorf("%s %q: %w", method, c.lock, err)
		}
	}
	c.held.Store(true)
	return nil
}

// transact makes one transaction, which the server refuses without the lock if
// there is one, unless it is a relay.
func (c *connection) transact(ctx context.Context, operations []ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	if c.asserts {
		operations = append([]ovsdb.Operation{{Op: ovsdb.OperationAssert, Lock: &c.lock}}, operations...)
	}
	// Written before it is sent: no other call waits for the text of a large one.
	text, err := json.Marshal(transactArgs(c.database, operations))
	if err != nil {
		return nil, fmt.Errorf("write the operations as JSON: %w", err)
	}
	var params []json.RawMessage
	if err := json.Unmarshal(text, &params); err != nil {
		return nil, fmt.Errorf("write the operations as JSON: %w", err)
	}
	var results []ovsdb.OperationResult
	if err := c.call(ctx, "transact", params, &results); err != nil {
		return nil, err
	}
	if c.asserts && len(results) > 0 && results[0].Error == "" {
		results = results[1:] // so that there is one for each operation
	}
	return results, nil
}

// echo asks the server for a sign of life.
func (c *connection) echo(ctx context.Context, timeout time.Duration) error {
	ctx, done := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer to an echo within %v", timeout))
	defer done()
	var reply []any
	return c.call(ctx, "echo", []any{"isonet"}, &reply)
}

// call calls a method of the server. The answer is not looked at after ctx has
// ended.
func (c *connection) call(ctx context.Context, method string, params, answer any) error {
	return await(ctx, func() error { return c.rpc.CallWithContext(ctx, method, params, answer) })
}

// close ends the connection, and with it the lock.
func (c *connection) close() {
	_ = c.rpc.Close() // it is closed already, or is now
	<-c.rpc.DisconnectNotify()
}
