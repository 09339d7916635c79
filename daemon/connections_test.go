package daemon_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
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
	if _, err := io.WriteString(conn, "GET /ovirt-engine/api HTTP/1.1\r\nHost: isonet\r\nAuthorization: Basic "+base64.StdEncoding.EncodeToString([]byte("admin:secret"))+"\r\n\r\n"); err != nil {
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

// TestStrangersCannotHoldTheListener has a thousand connections of strangers, who do
// nothing, half a handshake, half a request, or guess passwords, and come again when
// they are thrown out. An operator who has logged in is answered all the while, and
// another one can log in.
func TestStrangersCannotHoldTheListener(t *testing.T) {
	r := newReloading(t)
	token := r.login()
	ctx, stop := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	var visits atomic.Int64
	for i := range 1000 {
		strangers.Go(func() {
			for ctx.Err() == nil {
				r.molest(ctx, i, &visits)
			}
		})
	}
	ovstest.Eventually(t, "the strangers are there", func() error {
		if visits.Load() < 1200 {
			return fmt.Errorf("%d visits", visits.Load())
		}
		return nil
	})
	for range 20 {
		if status, reply, _ := r.ask(http.MethodGet, networksPath, "", token); status != http.StatusOK {
			t.Errorf("the operator gets %d: %s", status, reply)
		}
	}
	r.login()
	stop()
	strangers.Wait()
}

// molest is one visit of a stranger.
func (r *reloading) molest(ctx context.Context, i int, visits *atomic.Int64) {
	from := net.IPv4(127, 2, byte(i/250), byte(1+i%250))
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", r.address)
	if err != nil {
		return
	}
	visits.Add(1)
	defer conn.Close() //nolint:errcheck // it was a stranger's
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	switch i % 4 {
	case 0: // says nothing
	case 1:
		_, _ = conn.Write([]byte{0x16, 3, 1, 2, 0, 1}) // the beginning of a handshake
	default:
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a stranger does not care
		request := "GET /ovirt-engine/api HTTP/1.1\r\nHost: isonet\r\n"
		if i%4 == 3 {
			request += "Authorization: Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "admin:%d", i)) + "\r\n\r\n"
		}
		if _, err := io.WriteString(secure, request); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, conn) // until the daemon has had enough
}
