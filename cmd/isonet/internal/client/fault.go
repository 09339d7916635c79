package client

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
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
	return &Fault{Status: status, Reason: plain(told.Reason), Detail: cmp.Or(reword(told.Refusals), plain(told.Detail))}
}

const inUse = "The network '%[1]s' is used by %[3]s: stop them, or unplug the port(s) '%[2]s', or force it with --force."

// ownWords are this command's for what a flag of it overrides.
var ownWords = map[model.Code]string{
	model.InUse:              inUse,
	model.RemovedInUse:       inUse,
	model.RemovedInUseByMany: inUse,
	model.InQuarantine:       "The port(s) '%[2]s' of the network '%[1]s' are in quarantine and would be let out: unplug them, or force it with --force.",
	model.HostNotEmpty: "The host '%[1]s' still has %[2]s networks and %[3]s labels, and isonetd does not see whether it is alive: " +
		"detach them first, or use --force if the host is gone for good.",
}

// reword says refusals, some of them in this command's words; "" if it has none of
// its own.
func reword(refusals []wire.Refusal) string {
	own := false
	texts := make([]string, len(refusals))
	for i, r := range refusals {
		texts[i] = plain(r.Text)
		if format, has := ownWords[model.Code(r.Code)]; has {
			own = true
			texts[i] = fmt.Sprintf(format, anys(r.Args)...)
		}
	}
	if !own {
		return ""
	}
	return strings.Join(texts, " ")
}

func anys(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
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
