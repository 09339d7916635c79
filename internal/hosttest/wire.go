package hosttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// Message is one message of OVSDB (RFC 7047) on a wire.
type Message struct {
	// ToServer says that isonetd sent it, else it is for isonetd.
	ToServer bool
	// Method is what it asks for or tells. A reply has that of its request.
	Method string
	// Reply says that it answers a request.
	Reply bool
	// Raw is the message as it was sent.
	Raw json.RawMessage
}

// Has says whether a text is in the message.
func (m Message) Has(text string) bool { return bytes.Contains(m.Raw, []byte(text)) }

// changes says whether a transaction has an operation that writes.
func (m Message) changes() bool {
	return slices.ContainsFunc([]string{"insert", "update", "mutate", "delete"}, func(op string) bool { return m.Has(`"op":"` + op + `"`) })
}

// Wire passes on what isonetd and one of its databases say to each other, and
// lets a test interfere with that.
type Wire struct {
	server string
	listen net.Listener

	mu      sync.Mutex
	spoil   func(Message) [][]byte
	counts  map[string]int
	conns   map[net.Conn]bool
	running sync.WaitGroup
}

// NewWire listens on a unix socket for isonetd, and connects it with the server
// that listens on another one. It ends with the test.
func NewWire(t testing.TB, path, server string) *Wire {
	t.Helper()
	listen, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{server: server, listen: listen, counts: map[string]int{}, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		_ = listen.Close() // ends the loop below
		w.Cut()
		w.running.Wait()
	})
	w.running.Go(func() {
		for {
			client, err := listen.Accept()
			if err != nil {
				return
			}
			w.running.Go(func() { w.serve(client) })
		}
	})
	return w
}

// Endpoint returns where isonetd finds the database.
func (w *Wire) Endpoint() string { return "unix:" + w.listen.Addr().String() }

// Spoil makes f decide what is passed on in the place of each message from now
// on: as many pieces as it returns, in one write each. Messages of one
// connection and direction wait while f does. A nil f passes everything on.
func (w *Wire) Spoil(f func(Message) [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spoil = f
}

// Sent returns how many requests of a method isonetd has sent. Of transactions only those
// count that can change something: a look at the newest state is none.
func (w *Wire) Sent(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[method]
}

// Cut breaks the connections that there are.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		_ = conn.Close() // it may be closed
	}
}

// open remembers a connection.
func (w *Wire) open(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[conn] = true
}

func (w *Wire) close(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, conn)
	_ = conn.Close() // it may be closed
}

// serve connects isonetd with the server. What isonetd sent reaches the server
// although isonetd has died since, as in a socket's buffer.
func (w *Wire) serve(client net.Conn) {
	w.open(client)
	defer w.close(client)
	server, err := net.Dial("unix", w.server)
	if err != nil {
		return // as if nobody listened
	}
	w.open(server)
	pending := &requests{methods: map[string]string{}}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		w.pass(server, client, false, pending)
		w.close(client) // the server has gone
	}()
	w.pass(client, server, true, pending)
	w.close(server)
	<-answered
}

// pass passes messages on until the sender ends. Those that the receiver does
// not take are lost.
func (w *Wire) pass(from, to net.Conn, toServer bool, pending *requests) {
	messages := json.NewDecoder(from)
	for {
		var raw json.RawMessage
		if messages.Decode(&raw) != nil {
			return
		}
		for _, piece := range w.handle(pending.read(raw, toServer)) {
			if _, err := to.Write(piece); err != nil {
				break
			}
		}
	}
}

func (w *Wire) handle(m Message) [][]byte {
	w.mu.Lock()
	spoil := w.spoil
	if m.ToServer && !m.Reply {
		if m.Method != "transact" || m.changes() {
			w.counts[m.Method]++
		}
	}
	w.mu.Unlock()
	if spoil == nil {
		return [][]byte{m.Raw}
	}
	return spoil(m)
}

// requests are those of a connection that wait for their replies, of both sides.
type requests struct {
	mu      sync.Mutex
	methods map[string]string
}

func (r *requests) read(raw json.RawMessage, toServer bool) Message {
	var header struct {
		Method string
		ID     json.RawMessage
	}
	_ = json.Unmarshal(raw, &header) // what is no object has neither
	m := Message{ToServer: toServer, Method: header.Method, Raw: raw}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := func(byServer bool) string {
		if byServer {
			return "server " + string(header.ID)
		}
		return "isonetd " + string(header.ID)
	}
	if m.Method == "" {
		m.Reply, m.Method = true, r.methods[key(toServer)]
		delete(r.methods, key(toServer))
	} else if string(header.ID) != "null" {
		r.methods[key(!toServer)] = m.Method
	}
	return m
}

// Gate holds one message on a wire.
type Gate struct {
	t       testing.TB
	what    string
	reached chan struct{}
	verdict chan bool
}

// Hold makes the wire stop at the first message that match chooses, until Pass
// or Drop. It passes on all the others, except those that lose chooses; that may
// be nil. It asks one at a time, match first, and match until there is a first.
func (w *Wire) Hold(t testing.TB, what string, match, lose func(Message) bool) *Gate {
	g := &Gate{t: t, what: what, reached: make(chan struct{}), verdict: make(chan bool, 1)}
	t.Cleanup(g.Drop) // a test that failed before
	var mu sync.Mutex
	held := false
	w.Spoil(func(m Message) [][]byte {
		mu.Lock()
		first := !held && match(m)
		held = held || first
		lost := !first && lose != nil && lose(m)
		mu.Unlock()
		if first {
			close(g.reached)
			// Others of the same wire pass on meanwhile.
			if !<-g.verdict {
				return nil
			}
			return [][]byte{m.Raw}
		}
		if lost {
			return nil
		}
		return [][]byte{m.Raw}
	})
	return g
}

// Await waits until the message is there.
func (g *Gate) Await() {
	g.t.Helper()
	ovstest.Eventually(g.t, "the message is there: "+g.what, func() error {
		select {
		case <-g.reached:
			return nil
		default:
			return errors.New("it has not come")
		}
	})
}

// Pass lets the message go where it was going.
func (g *Gate) Pass() { g.decide(true) }

// Drop loses the message.
func (g *Gate) Drop() { g.decide(false) }

func (g *Gate) decide(pass bool) {
	select {
	case g.verdict <- pass:
	default: // it is decided
	}
}

// Writes says of messages whether they are transactions about a table.
func Writes(table string) func(Message) bool {
	return func(m Message) bool {
		return m.ToServer && m.Method == "transact" && m.Has(`"table":"`+table+`"`)
	}
}

// Answers says whether a message is the reply to a transaction.
func Answers(m Message) bool { return !m.ToServer && m.Reply && m.Method == "transact" }

// Updates says whether a message tells of changes of the database.
func Updates(m Message) bool { return !m.ToServer && strings.HasPrefix(m.Method, "update") }
