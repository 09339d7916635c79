package rest

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxConnections bounds the connections of a listener: all of them leave file
	// descriptors for Open vSwitch and the store under a limit of 1024, and who fills
	// one listener does not close the others.
	maxConnections = 256
	// maxStrangers bounds the connections of one address that nobody has logged in by.
	maxStrangers = 32
	// maxTrusted bounds the addresses that are remembered.
	maxTrusted = 1024
	// strangerTimeout and strangerChance are how long a connection lives that nobody has
	// logged in by, at the most and at the least.
	strangerTimeout = 10 * time.Second
	strangerChance  = time.Second
)

// Gate is a listener that strangers cannot hold. When it is full, the connection goes
// first that nobody has logged in by for the longest time, from where nobody ever has. Below TLS, which net/http
// must see.
type Gate struct {
	net.Listener
	// patience is how long a stranger's connection lives, and chance how long it does at
	// least, unless somebody comes from where there was a login. That bounds how fast
	// strangers come and go.
	patience, chance time.Duration

	mu     sync.Mutex
	room   *sync.Cond
	closed bool
	// guests are all connections, and strangers those without a login, the oldest first.
	guests    int
	strangers *list.List
	from      map[netip.Addr]int // of the strangers
	// trusted are addresses from which somebody has logged in.
	trusted map[netip.Addr]bool
}

// NewGate returns a gate before a listener.
func NewGate(l net.Listener) *Gate {
	g := &Gate{Listener: l, patience: strangerTimeout, chance: strangerChance, strangers: list.New(), from: map[netip.Addr]int{}, trusted: map[netip.Addr]bool{}}
	g.room = sync.NewCond(&g.mu)
	return g
}

// guest is a connection through the gate.
type guest struct {
	net.Conn
	gate    *Gate
	address netip.Addr
	came    time.Time
	timer   *time.Timer
	// element is that of the strangers; nil after the login. gone says that the
	// connection was closed.
	element *list.Element
	gone    bool
}

// Accept waits for a connection. While all connections have a login, a new one waits
// until one of them ends.
func (g *Gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if n := g.admit(conn); n != nil {
			return n, nil
		}
		_ = conn.Close() // nothing was read of it
	}
}

// admit makes room for a connection. It returns nil for one that there is none for.
func (g *Gate) admit(conn net.Conn) *guest {
	n := &guest{Conn: conn, gate: g, address: addressOf(conn.RemoteAddr().String()), came: time.Now()}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.guests >= maxConnections && g.strangers.Len() == 0 && !g.closed {
		g.room.Wait()
	}
	if g.closed {
		return nil
	}
	leaves, room := g.leaving(n)
	if !room {
		return nil
	}
	if leaves != nil {
		leaves.leave()         // now: who comes next must not count on the same place
		go leaves.Conn.Close() //nolint:errcheck // it is a stranger's
	}
	g.guests++
	g.from[n.address]++
	n.element = g.strangers.PushBack(n)
	n.timer = time.AfterFunc(g.patience, n.expire)
	return n
}

// leaving returns the stranger who has to go for a new one, nil if nobody has to, and
// whether there is room for the new one at all. Who comes from where somebody has
// logged in before is likely to do it again: the others go first, and of those each has
// had its chance.
func (g *Gate) leaving(n *guest) (leaves *guest, room bool) {
	switch {
	case g.from[n.address] >= maxStrangers:
		leaves = g.oldest(func(s *guest) bool { return s.address == n.address })
	case g.guests >= maxConnections:
		if leaves = g.oldest(func(s *guest) bool { return !g.trusted[s.address] }); leaves == nil {
			leaves = g.oldest(func(*guest) bool { return true })
		}
	default:
		return nil, true
	}
	return leaves, g.trusted[n.address] || n.came.Sub(leaves.came) >= g.chance
}

// oldest returns the oldest stranger of a kind; nil if there is none.
func (g *Gate) oldest(kind func(*guest) bool) *guest {
	for e := g.strangers.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*guest); kind(s) {
			return s
		}
	}
	return nil
}

// Close ends the listener, not its connections.
func (g *Gate) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.room.Broadcast()
	return g.Listener.Close()
}

// known says that somebody has logged in by the connection.
func (n *guest) known() {
	n.gate.mu.Lock()
	defer n.gate.mu.Unlock()
	n.leaveStrangers()
	for address := range n.gate.trusted {
		if len(n.gate.trusted) < maxTrusted {
			break
		}
		delete(n.gate.trusted, address) // whichever it is
	}
	n.gate.trusted[n.address] = true
}

func (n *guest) leaveStrangers() {
	if n.element == nil {
		return
	}
	n.timer.Stop()
	n.gate.strangers.Remove(n.element)
	n.element = nil
	if n.gate.from[n.address]--; n.gate.from[n.address] == 0 {
		delete(n.gate.from, n.address)
	}
}

func (n *guest) expire() {
	n.gate.mu.Lock()
	stranger := n.element != nil
	n.gate.mu.Unlock()
	if stranger {
		_ = n.Close() // nobody has logged in by it
	}
}

// Close ends the connection.
func (n *guest) Close() error {
	n.gate.mu.Lock()
	n.leave()
	n.gate.mu.Unlock()
	return n.Conn.Close()
}

// leave gives the place back, once.
func (n *guest) leave() {
	if !n.gone {
		n.gone = true
		n.leaveStrangers()
		n.gate.guests--
		n.gate.room.Signal()
	}
}

// addressOf returns the address of a client. That of IPv6 is its network, all of which
// is one client's as a rule. It is the zero one where there is none.
func addressOf(remote string) netip.Addr {
	endpoint, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	address := endpoint.Addr().Unmap().WithZone("")
	if address.Is6() {
		prefix, _ := address.Prefix(64) // 64 fits
		return prefix.Addr()
	}
	return address
}

type guestKey struct{}

// withGuest is the ConnContext of an http.Server behind a gate.
func withGuest(ctx context.Context, conn net.Conn) context.Context {
	if secure, is := conn.(*tls.Conn); is {
		conn = secure.NetConn()
	}
	if n, is := conn.(*guest); is {
		return context.WithValue(ctx, guestKey{}, n)
	}
	return ctx
}

// loggedIn says that somebody has logged in by the request's connection.
func loggedIn(ctx context.Context) {
	if n, is := ctx.Value(guestKey{}).(*guest); is {
		n.known()
	}
}
