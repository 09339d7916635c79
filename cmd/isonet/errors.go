package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
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
		return a.explainUnauthorized()
	case errors.Is(err, client.ErrWantsTLS):
		return fmt.Sprintf("%s speaks TLS: the URL is %s", a.at.URL, strings.Replace(a.at.URL, "http:", "https:", 1))
	case errors.Is(err, client.ErrOtherCertificate):
		return fmt.Sprintf("%v: compare it with that of %s; if it was renewed, log in again with 'isonet login'", err, a.at.URL)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("%s does not speak TLS: if it is to be so, the URL is %s", a.at.URL, strings.Replace(a.at.URL, "https:", "http:", 1))
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

func (a *app) explainUnauthorized() string {
	switch {
	case a.at.User == "" && a.at.context == "":
		return a.daemon() + " wants a user: give --user and --password-file, or log in with 'isonet login'"
	case a.at.context != "" && a.at.Password == "":
		return fmt.Sprintf("the login of the context '%s' has ended: log in again with 'isonet login'", a.at.context)
	}
	return a.daemon() + " refuses the user or the password: check --user and --password-file"
}

// daemon names the daemon's address.
func (a *app) daemon() string {
	if a.at.URL != "" {
		return a.at.URL
	}
	return a.at.Socket
}

func (a *app) explainDial(err error, dial *net.OpError) string {
	if a.at.URL != "" {
		return fmt.Sprintf("cannot connect to %s: %v; is isonetd running there with --listen?", a.at.URL, dial.Err)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no socket %s: is isonetd running?", a.at.Socket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nobody listens on %s: is isonetd running?", a.at.Socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("no permission for %s: run this as root or as a member of %s", a.at.Socket, owner(a.at.Socket))
	default:
		return fmt.Sprintf("cannot connect to %s: %v; is it the socket of isonetd?", a.at.Socket, dial.Err)
	}
}

func (a *app) explainTransport(err error) string {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return fmt.Sprintf("the certificate of %s is not trusted: %v; give its CA with --cacert, or see and trust it with 'isonet login'", a.at.URL, untrusted.Err)
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
