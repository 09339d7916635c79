package report

import (
	"fmt"
	"strings"

	"github.com/isonet/isonet/model"
)

// Unsettled says what is still open until the host has looked at the desired revision,
// and each of the networks is active, or is not on the host and has no bridge left; ""
// when nothing is. It returns a *RealiseError when Open vSwitch cannot realise one of
// them or ports keep its bridge, and ErrStandby when another isonetd has to do it.
func (s Status) Unsettled(revision int64, networks []model.ID) (string, error) {
	switch {
	case !s.Connected || s.Host == nil:
		return ErrUnreachable.Error(), nil
	case s.Standby:
		return "", ErrStandby
	case s.Revision < revision:
		return "the change has not been looked at", nil
	}
	held := map[model.ID]Held{}
	for _, h := range s.Held {
		held[h.NetworkID] = h
	}
	var open []string
	left := false
	failure := &RealiseError{}
	for _, id := range networks {
		verdict, wanted := s.Networks[id]
		keeps, kept := held[id]
		switch {
		case wanted && verdict.State == Failed:
			failure.Problems = append(failure.Problems, Problem{NetworkID: id, Reason: verdict.Reason})
			failure.Conflict = failure.Conflict || verdict.Conflict
		case wanted && (verdict.State == Pending || verdict.State == Unknown):
			open = append(open, verdict.Reason)
		case wanted:
		case kept:
			failure.Problems = append(failure.Problems, Problem{NetworkID: id, Reason: fmt.Sprintf(
				"the bridge '%s' is in use by the ports %s: unplug them, or remove it by force", keeps.Bridge, strings.Join(keeps.Ports, ", "))})
			failure.Conflict = true
		case !left: // one is enough: a host that loses a thousand is not searched for each
			var b Bridge
			if b, left = s.Host.BridgeOf(id); left {
				open = append(open, fmt.Sprintf("the bridge '%s' is still there", b.Name))
			}
		}
	}
	if len(failure.Problems) > 0 {
		return "", failure
	}
	if len(open) > 0 && s.LastError != "" {
		open = append(open, s.LastError)
	}
	return Join(open...), nil
}
