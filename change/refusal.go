package change

import (
	"fmt"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/reconcile"
)

// Realisable refuses to begin what Open vSwitch will not do.
func Realisable(status reconcile.Status) error {
	if !status.Connected || status.Actual == nil {
		return Unreachable(status)
	}
	if err := status.CannotRealise(); err != nil {
		return unavailable("Nothing was changed. %s.", err)
	}
	return nil
}

// Unreachable refuses what needs Open vSwitch while nobody sees it.
func Unreachable(status reconcile.Status) error {
	if err := status.CannotRealise(); err != nil {
		return unavailable("Open vSwitch is not reachable, so nothing was changed. %s.", err)
	}
	advice := "check that ovsdb-server runs and that isonetd may use its socket"
	if status.LastError != "" {
		advice += " (" + status.LastError + ")"
	}
	return unavailable("Open vSwitch is not reachable, so nothing was changed: %s.", advice)
}

func unavailable(format string, args ...any) error {
	return &model.Error{Kind: model.ErrUnavailable, Text: fmt.Sprintf(format, args...)}
}

// unrealised says why Open vSwitch does not have a change, and what became of
// the change.
type unrealised struct {
	// kinds are those of the refusal; the last one is the cause.
	kinds   []error
	outcome string
}

func (e *unrealised) Error() string {
	return "Cannot setup Networks. Open vSwitch did not realise the change, " + e.outcome + ": " + oneLine(e.kinds[len(e.kinds)-1])
}

func (e *unrealised) Unwrap() []error { return e.kinds }

// outOfSync says why networks that nobody changed are not as they must be.
type outOfSync struct {
	action string
	cause  error
}

func (e *outOfSync) Error() string {
	return "Cannot " + e.action + " Networks. Open vSwitch does not have them as they must be: " + oneLine(e.cause)
}

func (e *outOfSync) Unwrap() error { return e.cause }

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
