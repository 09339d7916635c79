package change

import (
	"errors"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// Here refuses what is of the host that isonetd runs on, where it runs on none.
func Here(status report.Status) error {
	if !status.Nowhere {
		return nil
	}
	return model.Refuse(model.ErrConflict, model.NoHost, "This isonetd has no host: ask the isonetd of the host, or name a host if the request can.")
}

// Realisable refuses to begin what Open vSwitch will not do.
func Realisable(status report.Status) error {
	if !status.Connected || status.Host == nil {
		return Unreachable(status)
	}
	if err := status.CannotRealise(); err != nil {
		return unable("Nothing was changed. %s.", err)
	}
	return nil
}

// Unreachable refuses what needs Open vSwitch while nobody sees it.
func Unreachable(status report.Status) error {
	if err := Here(status); err != nil {
		return err
	}
	if err := status.CannotRealise(); err != nil {
		return unable("Open vSwitch is not reachable, so nothing was changed. %s.", err)
	}
	advice := "check that ovsdb-server runs and that isonetd may use its socket"
	if status.LastError != "" {
		advice += " (" + status.LastError + ")"
	}
	return model.Refuse(model.ErrUnavailable, model.OVSUnreachable, "Open vSwitch is not reachable, so nothing was changed: %s.", advice)
}

// unable says that nothing was changed, and why, with the code of the reason.
func unable(format string, why error) error {
	code := model.OVSUnable
	if reason, ok := errors.AsType[*model.Error](why); ok {
		code = reason.Code
	}
	return model.Refuse(model.ErrUnavailable, code, format, why)
}

// unrealised says why Open vSwitch does not have a change, and what became of
// the change.
func unrealised(kind, cause error, outcome string) error {
	return model.Refuse(kind, model.Unrealised, "Open vSwitch did not realise the change, %s: %s", outcome, oneLine(cause))
}

// outOfSync says why networks that nobody changed are not as they must be.
func outOfSync(action string, cause error) error {
	return model.Refuse(cause, model.OutOfSync, "Open vSwitch does not have the networks as they must be: %[2]s", action, oneLine(cause))
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
