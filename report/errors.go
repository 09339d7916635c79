package report

import (
	"errors"

	"github.com/isonet/isonet/model"
)

// RealiseError says which networks could not be realised, and why.
type RealiseError struct {
	Problems []Problem
	// Conflict says that a name is taken on the host or that ports keep a bridge.
	Conflict bool
}

// Problem is why a network could not be realised.
type Problem struct {
	NetworkID model.ID
	Reason    string
}

// Error joins the reasons.
func (e *RealiseError) Error() string {
	reasons := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		reasons[i] = errors.New(p.Reason)
	}
	return errors.Join(reasons...).Error()
}

// Is makes it a model.ErrConflict if it is one.
func (e *RealiseError) Is(target error) bool { return e.Conflict && target == model.ErrConflict }

// ErrStandby says that another isonetd manages this host's Open vSwitch.
var ErrStandby = model.Refuse(model.ErrUnavailable, model.Standby,
	"another isonetd manages the Open vSwitch of this host, and this one stands by until the other one ends: send the request to the other one, or stop it")

// ErrUnreachable says that there is no session to Open vSwitch.
var ErrUnreachable = model.Refuse(model.ErrUnavailable, model.OVSUnreachable, "Open vSwitch is not reachable")
