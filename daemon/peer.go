package daemon

import (
	"fmt"
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// peers is a listener on a unix socket whose connections have the user at the other end
// as their remote address.
type peers struct{ net.Listener }

// Accept waits for a connection.
func (p peers) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return peer{conn, peerOf(conn)}, nil
}

type peer struct {
	net.Conn
	name peerName
}

func (p peer) RemoteAddr() net.Addr { return p.name }

// peerName is "uid", the number of the user, and its name if it has one.
type peerName string

func (peerName) Network() string  { return "unix" }
func (n peerName) String() string { return string(n) }

// peerOf asks the kernel who has opened a connection (SO_PEERCRED, unix(7)).
func peerOf(conn net.Conn) peerName {
	socket, is := conn.(*net.UnixConn)
	if !is {
		return "unknown"
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return "unknown"
	}
	var credentials *unix.Ucred
	if raw.Control(func(fd uintptr) {
		credentials, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}) != nil || err != nil {
		return "unknown"
	}
	uid := strconv.Itoa(int(credentials.Uid))
	if u, err := user.LookupId(uid); err == nil {
		return peerName(fmt.Sprintf("uid %s (%s)", uid, u.Username))
	}
	return peerName("uid " + uid)
}
