package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/isonet/isonet/client"
)

// explain says what went wrong and what to do next.
func (a *app) explain(err error) string {
	var fault *client.Fault
	var dial *net.OpError
	var transport *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s: isonetd may still be at work; look with 'isonet status' or give a longer --timeout", a.timeout)
	case errors.Is(err, context.Canceled):
		return "interrupted; look with 'isonet status' how far it went"
	case errors.Is(err, client.ErrNotIsonetd):
		return fmt.Sprintf("%v: does isonetd listen at %s?", err, a.daemon())
	case errors.Is(err, client.ErrUnauthorized):
		return a.daemon() + " refuses the user or the password: check --user and --password-file"
	case errors.As(err, &fault):
		return reworded(err, fault)
	case errors.As(err, &dial) && dial.Op == "dial":
		return a.explainDial(err, dial)
	case errors.As(err, &transport):
		return a.explainTransport(transport.Err)
	default:
		return err.Error()
	}
}

// daemon names the daemon's address.
func (a *app) daemon() string {
	if a.remote.url != "" {
		return a.remote.url
	}
	return a.remote.socket
}

func (a *app) explainDial(err error, dial *net.OpError) string {
	if a.remote.url != "" {
		return fmt.Sprintf("cannot connect to %s: %v; is isonetd running there with --listen?", a.remote.url, dial.Err)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no socket %s: is isonetd running?", a.remote.socket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nobody listens on %s: is isonetd running?", a.remote.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("no permission for %s: run this as root or as a member of %s", a.remote.socket, owner(a.remote.socket))
	default:
		return fmt.Sprintf("cannot connect to %s: %v; is it the socket of isonetd?", a.remote.socket, dial.Err)
	}
}

func (a *app) explainTransport(err error) string {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return fmt.Sprintf("the certificate of %s is not trusted: %v; give its CA with --cacert", a.remote.url, untrusted.Err)
	}
	return fmt.Sprintf("the connection to %s failed: %v; is isonetd running?", a.daemon(), err)
}

// owner names the group that may use the socket. The socket itself cannot be
// seen in a directory that is closed to others; then the directory tells.
func owner(socket string) string {
	for _, path := range []string{socket, filepath.Dir(socket)} {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		id := strconv.FormatUint(uint64(stat.Gid), 10)
		if group, err := user.LookupGroupId(id); err == nil {
			return fmt.Sprintf("the group '%s'", group.Name)
		}
		return "the group " + id
	}
	return "the socket's group"
}
