package rest

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
)

// entry is what the history has of a request, whatever it did.
func (c *Call) entry() history.Entry {
	return history.Entry{User: c.user, Client: c.Client(), CorrelationID: c.correlation}
}

// Did takes down what the request changed, for the log and for the history.
func (c *Call) Did(changes ...history.Change) {
	if c.dry {
		return
	}
	c.changed = history.Text(changes...)
	c.history.Record(history.Writes(c.entry(), changes)...)
}

// didNot takes down a write that was made and did not last, or of which nobody knows
// whether it was made. One that was refused before is of no interest.
func (c *Call) didNot(err error) {
	refusal, is := errors.AsType[*model.Error](err)
	unrealised := is && refusal.Code == model.Unrealised
	if c.dry || !unrealised && !errors.Is(err, model.ErrUndecided) {
		return
	}
	e := c.entry()
	e.Kind, e.Code, e.Severity = history.KindWrite, history.CodeNotRealised, history.Error
	e.Text = fmt.Sprintf("%s %s: %v", c.r.Method, c.base+c.path, err)
	c.history.Record(e)
}

// loginFailed takes down that the password that was sent lets nobody in. Those of one
// address count as one after the first, so that who guesses does not fill the history.
func (c *Call) loginFailed(address netip.Addr, err error) {
	if !errors.Is(err, ErrUnauthorized) && !errors.Is(err, ErrTooMany) {
		return
	}
	e := c.entry()
	e.Kind, e.Code, e.Severity, e.ClaimedUser = history.KindLogin, history.CodeLoginFailed, history.Error, c.claimed
	e.Text = fmt.Sprintf("a login as %q from %s failed", history.Clip(c.claimed), c.Client())
	c.history.RecordAlike(history.KindLogin+" "+address.String(), e)
}
