package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/isonet/isonet/wire"
)

var (
	// ErrUnauthorized says that the daemon does not know the user, or that the
	// password is wrong. The error is a *Fault as well.
	ErrUnauthorized = errors.New("the daemon refuses the user or the password")
	// ErrUnreachable says that there was no connection to the daemon, so that it
	// has seen nothing of the request. It wraps what package net says.
	ErrUnreachable = errors.New("the daemon is unreachable")
	// ErrUnknown says that a request was sent and that its answer did not come, or
	// not whole. Whether it was done is not known.
	ErrUnknown = errors.New("the daemon's answer did not come")
	// ErrWantsTLS says that the daemon speaks TLS, and the URL begins with http.
	ErrWantsTLS = errors.New("the daemon speaks TLS: its URL begins with https://")
	// ErrOtherCertificate says that the certificate is not that of Options.Fingerprint.
	ErrOtherCertificate = errors.New("the certificate is not the one that was trusted")
	// ErrNoHost says that the daemon runs on no host (api-only), and that the request is
	// of one. The error is a *Fault as well.
	ErrNoHost = errors.New("the daemon runs on no host")
	// ErrNotIsonetd says that what answers does not speak the API, or a later form
	// of it.
	ErrNotIsonetd = errors.New("the answer is not one of isonetd")
)

// Fault is a refusal by the daemon: the fault of the oVirt API. Nothing was
// changed.
type Fault struct {
	// Status is the HTTP status code: 401 for a user that the daemon does not
	// know, 403 for one that may not write, 404 for what does not exist, 409 for
	// what a rule or the state of the host forbids, 503 while the daemon cannot
	// reach Open vSwitch or the store.
	Status int
	// Reason is the class of the refusal, as the oVirt engine names it.
	Reason string
	// Detail says in one line what is wrong, in the oVirt engine's words.
	Detail string
	// Refusals are what the request is refused for, one by one. The codes are
	// those of package model. It is empty for a fault of the request's form.
	Refusals []wire.Refusal
}

// Error returns the detail or, without one, what else is known.
func (f *Fault) Error() string {
	if f.Detail != "" {
		return f.Detail
	}
	text := fmt.Sprintf("the daemon answered %d %s", f.Status, http.StatusText(f.Status))
	if f.Reason != "" {
		text += " (" + f.Reason + ")"
	}
	return text + "; its log may say why"
}

// Is makes a fault of status 401 one of ErrUnauthorized, and one with the code no-host one
// of ErrNoHost.
func (f *Fault) Is(target error) bool {
	switch target {
	case ErrUnauthorized:
		return f.Status == http.StatusUnauthorized
	case ErrNoHost:
		return slices.ContainsFunc(f.Refusals, func(r wire.Refusal) bool { return r.Code == "no-host" })
	}
	return false
}

func newFault(status int, body []byte) error {
	// What net/http's server says to a request in the clear on a TLS connection.
	if status == http.StatusBadRequest && bytes.HasPrefix(body, []byte("Client sent an HTTP request to an HTTPS server")) {
		return ErrWantsTLS
	}
	type fault struct {
		Reason   string         `json:"reason"`
		Detail   string         `json:"detail"`
		Refusals []wire.Refusal `json:"refusals"`
	}
	var answer struct {
		fault
		Fault *fault `json:"fault"`
	}
	if len(body) > 0 && json.Unmarshal(body, &answer) != nil && status != http.StatusUnauthorized {
		return fmt.Errorf("%w: status %d", ErrNotIsonetd, status)
	}
	told := answer.fault
	if answer.Fault != nil { // a failed action carries its fault inside
		told = *answer.Fault
	}
	for i, r := range told.Refusals {
		told.Refusals[i].Text = plain(r.Text)
	}
	return &Fault{Status: status, Reason: plain(told.Reason), Detail: plain(told.Detail), Refusals: told.Refusals}
}

// plain makes one line of a fault's text. The oVirt engine puts its texts in
// brackets and breaks some of them into a list.
func plain(text string) string {
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "-"))
	}
	return strings.TrimSpace(strings.Join(lines, " "))
}
