package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ErrNotIsonetd says that something answered that does not speak the API.
var ErrNotIsonetd = errors.New("the answer is not one of isonetd")

// Fault is a refusal by the daemon (the oVirt API's fault).
type Fault struct {
	// Status is the HTTP status code.
	Status int
	// Reason is the class of the refusal, as the oVirt engine names it.
	Reason string
	// Detail says what is wrong, in one line.
	Detail string
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

func newFault(status int, body []byte) error {
	var wire struct {
		Reason string `json:"reason"`
		Detail string `json:"detail"`
		Fault  *struct {
			Reason string `json:"reason"`
			Detail string `json:"detail"`
		} `json:"fault"`
	}
	if len(body) > 0 && json.Unmarshal(body, &wire) != nil && status != http.StatusUnauthorized {
		return fmt.Errorf("%w: status %d", ErrNotIsonetd, status)
	}
	f := &Fault{Status: status, Reason: wire.Reason, Detail: wire.Detail}
	if wire.Fault != nil { // a failed action carries its fault inside
		f.Reason, f.Detail = wire.Fault.Reason, wire.Fault.Detail
	}
	f.Reason, f.Detail = plain(f.Reason), plain(f.Detail)
	return f
}

// plain makes one line of a fault's text. The oVirt engine puts its texts in
// brackets and breaks some of them into a list.
func plain(text string) string {
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimSpace(line), "-")
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.TrimSpace(strings.Join(lines, " "))
}
