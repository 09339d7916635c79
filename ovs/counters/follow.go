package counters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/ovsdb"
)

const (
	// openTimeout bounds connecting and the first dump.
	openTimeout = 10 * time.Second
	// defaultProbe is Config.Probe unless it is set.
	defaultProbe = 5 * time.Second
	// maxMessage bounds a message of the server in bytes. The dump has less
	// than 500 for each interface.
	maxMessage = 64 << 20
	// nothing is the id of the transaction before the first.
	nothing = "00000000-0000-0000-0000-000000000000"
)

// Config says what to follow.
type Config struct {
	// Endpoints are OVSDB connection methods (ovsdb(7)), unix:PATH or
	// tcp:HOST:PORT, of the Open_vSwitch database. The first that answers is
	// used.
	Endpoints []string
	// Probe is after how much silence the server is asked for a sign of life,
	// and how long it may take to give one. Zero means 5 seconds.
	Probe  time.Duration
	Logger *slog.Logger
}

// Update is what one message of the server tells.
type Update struct {
	// Whole says that Rows is the whole Interface table, at the start of a
	// session, and not what changed since the last Update.
	Whole bool
	// Rows are the rows that are new or changed, by UUID. A row that lost a key
	// of its statistics has it with the last value.
	Rows map[string]traffic.Statistics
	// Gone are the UUIDs of the rows that were deleted.
	Gone []string
	// Interval is the time between two publications of vswitchd:
	// Open_vSwitch other_config:stats-update-interval.
	Interval time.Duration
}

// Follow tells every update until ctx ends. When the server goes away or stops
// answering, it connects again until it is back.
func Follow(ctx context.Context, cfg Config, tell func(Update)) {
	if cfg.Probe == 0 {
		cfg.Probe = defaultProbe
	}
	f := &follower{cfg: cfg, tell: tell, last: nothing}
	ovsdb.Repeat(ctx, cfg.Logger, f.session, func(error) {})
}

// follower is what outlasts a session.
type follower struct {
	cfg  Config
	tell func(Update)
	// last is the id of the newest transaction that was told. A server that
	// keeps the transactions since then (a cluster's does) tells only those.
	last string
	// interval is the text of other_config:stats-update-interval.
	interval string
}

// session has one session with the first endpoint that answers.
func (f *follower) session(ctx context.Context, opened func()) error {
	var errs []error
	for _, endpoint := range f.cfg.Endpoints {
		began := false
		err := f.converse(ctx, endpoint, func() { began = true; opened() })
		if began || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// converse tells what a server says until the connection ends.
func (f *follower) converse(ctx context.Context, endpoint string, opened func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(openTimeout, func() {
		cancel(fmt.Errorf("%s did not answer within %v", endpoint, openTimeout))
	})
	defer late.Stop()
	network, address, _ := strings.Cut(endpoint, ":")
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("connect to %s for the counters: %w", endpoint, err)
	}
	defer conn.Close() //nolint:errcheck // nothing is written that matters
	detach := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer detach()

	w := &wire{conn: conn, probe: f.cfg.Probe}
	err = f.listen(w, func() { late.Stop(); opened() })
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("counters of %s: %w", endpoint, err)
}

// listen asks for the counters and handles every message. It always ends with
// an error.
func (f *follower) listen(w *wire, opened func()) error {
	const request = `{"method":"monitor_cond_since","id":1,"params":["Open_vSwitch",null,` +
		`{"Interface":[{"columns":["statistics","ifindex"]}],"Open_vSwitch":[{"columns":["other_config"]}]},"%s"]}`
	if err := w.write(fmt.Appendf(nil, request, f.last)); err != nil {
		return err
	}
	messages := jsontext.NewDecoder(w, jsontext.AllowDuplicateNames(true))
	for {
		w.left = maxMessage
		raw, err := messages.ReadValue()
		if err != nil {
			return err
		}
		m, err := parse(raw)
		if err != nil {
			return err
		}
		switch {
		case m.method == "echo":
			err = w.write(fmt.Appendf(nil, `{"result":%s,"error":null,"id":%s}`, m.params, m.id))
		case m.method == "update3":
			err = f.update(m.params, false)
		case m.method == "" && string(m.id) == "1":
			if len(m.result) == 0 || m.result.Kind() == 'n' {
				return fmt.Errorf("the server refuses to tell them, and says %s: Open vSwitch 2.17 or newer is needed", m.err)
			}
			err = f.update(m.result, true)
			opened()
		}
		if err != nil {
			return err
		}
	}
}

// wire is a connection whose silence has an end.
type wire struct {
	conn  net.Conn
	probe time.Duration
	left  int // bytes that the message may still have
}

// Read implements io.Reader. A server that says nothing is asked for an echo,
// because the connection itself says nothing while a server hangs.
func (w *wire) Read(p []byte) (int, error) {
	if w.left < 0 {
		return 0, fmt.Errorf("a message has more than %d MiB", maxMessage>>20)
	}
	n, err := w.read(p)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		if err := w.write([]byte(`{"method":"echo","params":[],"id":"echo"}`)); err != nil {
			return 0, err
		}
		n, err = w.read(p)
	}
	w.left -= n
	if err != nil {
		return n, fmt.Errorf("%w: %w", ovsdb.ErrLost, err)
	}
	return n, nil
}

func (w *wire) read(p []byte) (int, error) {
	if err := w.conn.SetReadDeadline(time.Now().Add(w.probe)); err != nil {
		return 0, err
	}
	return w.conn.Read(p)
}

func (w *wire) write(message []byte) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.probe)); err != nil {
		return err
	}
	if _, err := w.conn.Write(message); err != nil {
		return fmt.Errorf("%w: %w", ovsdb.ErrLost, err)
	}
	return nil
}
