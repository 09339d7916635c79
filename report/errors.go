package report

import (
	"fmt"
	"strings"

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

// Error has the reasons, as Join has them.
func (e *RealiseError) Error() string {
	reasons := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		reasons[i] = p.Reason
	}
	return Join(reasons...)
}

// Join has each of the reasons once, with how often there is one that many networks
// share: what is wrong with a host is wrong with hundreds of networks.
func Join(reasons ...string) string {
	times := map[string]int{}
	var texts []string
	for _, reason := range reasons {
		if times[reason]++; times[reason] == 1 {
			texts = append(texts, reason)
		}
	}
	for i, reason := range texts {
		if n := times[reason]; n > 1 {
			texts[i] = fmt.Sprintf("%s (%d times)", reason, n)
		}
	}
	return strings.Join(texts, "; ")
}

// Is makes it a model.ErrConflict if it is one.
func (e *RealiseError) Is(target error) bool { return e.Conflict && target == model.ErrConflict }

// ErrStandby says that another isonetd manages this host's Open vSwitch.
var ErrStandby = model.Refuse(model.ErrUnavailable, model.Standby,
	"another isonetd manages the Open vSwitch of this host, and this one stands by until the other one ends: send the request to the other one, or stop it")

// ErrUnreachable says that there is no session to Open vSwitch.
var ErrUnreachable = model.Refuse(model.ErrUnavailable, model.OVSUnreachable, "Open vSwitch is not reachable")
