package ovsdb

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/cenkalti/rpc2"
	"github.com/cenkalti/rpc2/jsonrpc"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// writer is a connection of its own that asks for a lock of the server's (RFC
// 7047 section 4.1.8) and makes a session's transactions. They must come from
// the connection that has the lock, because only for that one an assert
// operation succeeds; and the client library cannot ask for a lock.
type writer struct {
	rpc  *rpc2.Client
	lock string
	// held says that the server gave the lock to this connection. It only tells
	// what to expect: each transaction asserts it.
	held atomic.Bool
}

// openWriter connects to an endpoint and asks for the lock. It does not wait
// for it. It calls changed when the lock comes or goes later on, and lost when
// the connection ends.
func openWriter(ctx context.Context, endpoint, lock string, config *tls.Config, changed, lost func()) (*writer, error) {
	conn, err := dial(ctx, endpoint, config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	w := &writer{rpc: rpc2.NewClientWithCodec(jsonrpc.NewJSONCodec(conn)), lock: lock}
	w.rpc.SetBlocking(true)
	w.rpc.Handle("echo", func(_ *rpc2.Client, args []any, reply *[]any) error {
		*reply = args
		return nil
	})
	w.rpc.Handle("locked", func(*rpc2.Client, []any, *[]any) error {
		w.held.Store(true)
		changed()
		return nil
	})
	w.rpc.Handle("stolen", func(*rpc2.Client, []any, *[]any) error {
		w.held.Store(false)
		changed()
		return nil
	})
	go func() {
		w.rpc.Run()
		lost()
	}()
	if err := await(ctx, func() error { return w.ask(ctx) }); err != nil {
		w.close()
		return nil, fmt.Errorf("ask %s for the lock %q: %w", endpoint, lock, err)
	}
	return w, nil
}

// dial opens a connection to an OVSDB endpoint.
func dial(ctx context.Context, endpoint string, config *tls.Config) (net.Conn, error) {
	var dialer net.Dialer
	switch kind, address, _ := strings.Cut(endpoint, ":"); kind {
	case "unix":
		return dialer.DialContext(ctx, "unix", address)
	case "ssl":
		return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	default:
		return dialer.DialContext(ctx, "tcp", address)
	}
}

func (w *writer) ask(ctx context.Context) error {
	var reply struct {
		Locked bool `json:"locked"`
	}
	if err := w.rpc.CallWithContext(ctx, "lock", ovsdb.NewLockArgs(w.lock), &reply); err != nil {
		return err
	}
	if reply.Locked { // else a notification may have come already
		w.held.Store(true)
	}
	return nil
}

// transact makes one transaction that the server refuses without the lock.
func (w *writer) transact(ctx context.Context, database string, operations []ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	asserted := append([]ovsdb.Operation{{Op: ovsdb.OperationAssert, Lock: &w.lock}}, operations...)
	var results []ovsdb.OperationResult
	if err := w.rpc.CallWithContext(ctx, "transact", ovsdb.NewTransactArgs(database, asserted...), &results); err != nil {
		return nil, err
	}
	if len(results) > 0 && results[0].Error == "" {
		results = results[1:] // so that there is one for each operation
	}
	return results, nil
}

// close ends the connection, and with it the lock.
func (w *writer) close() {
	_ = w.rpc.Close() // it is closed already, or is now
	<-w.rpc.DisconnectNotify()
}
