package rest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"
)

// gated serves behind a gate. Who asks for /in has logged in.
func gated(t *testing.T) *Gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(l)
	g.patience, g.chance = time.Hour, 0
	server := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/in" {
			loggedIn(r.Context())
		}
		_, _ = io.WriteString(w, r.URL.Path) // the client looks at it
	}), slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- server.Serve(g) }()
	t.Cleanup(func() {
		_ = server.Close() // what Serve returns counts
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return g
}

// visitor is a connection from an address.
type visitor struct {
	net.Conn
	replies *bufio.Reader
}

func visit(t *testing.T, g *Gate, from string) *visitor {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &visitor{conn, bufio.NewReader(conn)}
}

// asks sends a request and reports whether it is answered.
func (v *visitor) asks(t *testing.T, path string) bool {
	t.Helper()
	if _, err := io.WriteString(v, "GET "+path+" HTTP/1.1\r\nHost: isonet\r\n\r\n"); err != nil {
		return false
	}
	_ = v.SetReadDeadline(time.Now().Add(time.Minute))
	reply, err := http.ReadResponse(v.replies, nil)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("neither a reply nor an end")
	}
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, reply.Body)
	_ = reply.Body.Close() // it was read
	return err == nil
}

// gone reports whether the connection ends.
func (v *visitor) gone(t *testing.T) bool {
	t.Helper()
	_ = v.SetReadDeadline(time.Now().Add(time.Minute))
	_, err := v.replies.ReadByte()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection does not end")
	}
	return err != nil
}

func TestStrangersMakeRoom(t *testing.T) {
	g := gated(t)
	operator := visit(t, g, "127.0.0.2")
	if !operator.asks(t, "/in") {
		t.Fatal("the operator is not let in")
	}
	strangers := make([]*visitor, 2*maxConnections)
	for i := range strangers {
		strangers[i] = visit(t, g, "127.1.0."+string(rune('0'+i%9+1)))
	}
	// Of each address only the newest stay, and of all together as many as fit.
	if !strangers[0].gone(t) || !strangers[1].gone(t) {
		t.Error("the oldest stranger holds its place")
	}
	if !operator.asks(t, "/again") {
		t.Error("who has logged in lost the connection to strangers")
	}
	if late := visit(t, g, "127.0.0.3"); !late.asks(t, "/in") {
		t.Error("who comes late is not let in")
	}
}

func TestStrangersOfOneAddressAreBounded(t *testing.T) {
	g := gated(t)
	other := visit(t, g, "127.0.0.2")
	first := visit(t, g, "127.0.0.9")
	for range maxStrangers {
		visit(t, g, "127.0.0.9")
	}
	if !first.gone(t) {
		t.Error("an address has more strangers than it may")
	}
	if !other.asks(t, "/out") {
		t.Error("the stranger of another address had to go")
	}
}

// Strangers who have just come have their chance, but for somebody who comes from where
// there was a login.
func TestAStrangerHasAChance(t *testing.T) {
	g := gated(t)
	if !visit(t, g, "127.0.0.2").asks(t, "/in") {
		t.Fatal("the operator is not let in")
	}
	g.mu.Lock()
	g.chance = time.Hour
	g.mu.Unlock()
	first := visit(t, g, "127.1.0.1")
	for i := range maxConnections - 3 {
		visit(t, g, "127.1.0."+strconv.Itoa(2+i%100))
	}
	second := visit(t, g, "127.1.1.1")
	if !visit(t, g, "127.1.2.1").gone(t) {
		t.Error("a stranger took the place of one who had just come")
	}
	if !visit(t, g, "127.0.0.2").asks(t, "/in") {
		t.Error("the operator found no place")
	}
	if !first.gone(t) || !second.asks(t, "/out") {
		t.Error("another stranger than the oldest had to go")
	}
}

func TestAStrangerHasLittleTime(t *testing.T) {
	g := gated(t)
	operator := visit(t, g, "127.0.0.2")
	if !operator.asks(t, "/in") {
		t.Fatal("the operator is not let in")
	}
	g.mu.Lock()
	g.patience = time.Millisecond
	g.mu.Unlock()
	if !visit(t, g, "127.0.0.9").gone(t) {
		t.Error("a stranger stays")
	}
	if !operator.asks(t, "/again") {
		t.Error("who has logged in does not stay")
	}
}

// While all places belong to logins, who comes waits for one of them.
func TestFullOfLogins(t *testing.T) {
	g := gated(t)
	var inside []*visitor
	for range maxConnections {
		v := visit(t, g, "127.0.0.2")
		if !v.asks(t, "/in") {
			t.Fatalf("login %d is not let in", len(inside))
		}
		inside = append(inside, v)
	}
	waiting := visit(t, g, "127.0.0.3")
	answered := make(chan bool)
	go func() { answered <- waiting.asks(t, "/in") }()
	_ = inside[0].Close() // makes room
	if !<-answered {
		t.Error("who waited is not let in when there is room")
	}
	for _, v := range inside[1:] {
		if !v.asks(t, "/again") {
			t.Fatal("a login lost its connection")
		}
	}
}

// What makes room is counted as gone at once, however long its end takes.
func TestStrangersAtOnceDoNotOverfill(t *testing.T) {
	g := NewGate(nil)
	g.chance = 0
	for i := range 2 * maxConnections {
		address := net.IPv4(127, 1, byte(i/maxStrangers), 1)
		if g.admit(slowToClose{from: &net.TCPAddr{IP: address}, end: t.Context()}) == nil {
			t.Fatalf("stranger %d is not let in", i)
		}
		g.mu.Lock()
		guests := g.guests
		g.mu.Unlock()
		if guests > maxConnections {
			t.Fatalf("%d connections are there, at most %d may be", guests, maxConnections)
		}
	}
}

// slowToClose is a connection whose Close takes until the test ends.
type slowToClose struct {
	net.Conn
	from net.Addr
	end  context.Context
}

func (c slowToClose) RemoteAddr() net.Addr { return c.from }
func (c slowToClose) Close() error         { <-c.end.Done(); return nil }

// The listener ends while somebody waits for a place.
func TestCloseWhileFullOfLogins(t *testing.T) {
	g := NewGate(nil)
	g.guests, g.closed = maxConnections, true
	if g.admit(slowToClose{from: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}, end: t.Context()}) != nil {
		t.Error("who waited is let in after the end")
	}
}
