package daemon_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/daemon"
)

// TestConnectionsAreBounded fills one listener after the other: who comes then
// waits for a place, and the listeners that are not full go on.
func TestConnectionsAreBounded(t *testing.T) {
	const bound = 256
	users := filepath.Join(t.TempDir(), "users")
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(users, append([]byte("admin:"), hash...), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, func(o *daemon.Options) { o.Listen, o.UsersFile = "127.0.0.1:0", users })
	d := h.start()
	h.client.CloseIdleConnections()

	listeners := []string{"listen", "metrics", "socket"}
	for i, name := range listeners {
		var conns []net.Conn
		for range bound {
			conn := ask(t, d.Addr(name))
			if !answered(t, conn, time.Minute) {
				t.Fatalf("%s does not answer connection %d", name, len(conns))
			}
			conns = append(conns, conn)
		}
		waiting := ask(t, d.Addr(name))
		for _, other := range listeners[i+1:] {
			conn := ask(t, d.Addr(other))
			if !answered(t, conn, time.Minute) {
				t.Errorf("%s does not answer while %s is full", other, name)
			}
			_ = conn.Close() // it has done its work
		}
		if answered(t, waiting, 100*time.Millisecond) {
			t.Errorf("%s takes more than %d connections", name, bound)
		}
		_ = conns[0].Close() // makes room
		if !answered(t, waiting, time.Minute) {
			t.Errorf("%s does not answer after a connection has ended", name)
		}
	}
}

// ask opens a connection and sends a request that any listener answers.
func ask(t *testing.T, address net.Addr) net.Conn {
	t.Helper()
	conn, err := net.Dial(address.Network(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET /ovirt-engine/api HTTP/1.1\r\nHost: isonet\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answered reports whether a reply comes within a time; the connection stays.
func answered(t *testing.T, conn net.Conn, within time.Duration) bool {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(within))
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, reply.Body)
	_ = reply.Body.Close() // it was read to its end
	if err != nil {
		t.Fatal(err)
	}
	return true
}
