package change

import (
	"context"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// Outcome is what became of a change on a host.
type Outcome struct {
	State OutcomeState
	// Reason says why it is not realised.
	Reason string
}

// OutcomeState is the kind of an Outcome.
type OutcomeState string

// The outcomes.
const (
	Realised OutcomeState = "realised"
	Pending  OutcomeState = "pending"
	Failed   OutcomeState = "failed"
	// Away: nobody hears of the host, and it gets the change when it is back.
	Away OutcomeState = "unreachable"
)

// OutcomeOf returns what became of networks on a host since a revision.
func (h Hosts) OutcomeOf(host model.ID, revision int64, networks ...model.ID) Outcome {
	status, known := h.Status(host)
	if !known || !status.Reports() {
		return Outcome{Away, errAway.Error()}
	}
	open, err := status.Unsettled(revision, networks)
	switch {
	case err != nil:
		return Outcome{Failed, err.Error()}
	case open == "":
		return Outcome{State: Realised}
	case status.CannotRealise() != nil:
		return Outcome{Failed, status.CannotRealise().Error()}
	}
	return Outcome{Pending, open}
}

// Await waits until the change of no host is pending, or until ctx ends, and returns what
// became of it. Touched are the networks of each host that count.
func (h Hosts) Await(ctx context.Context, revision int64, touched map[model.ID][]model.ID) map[model.ID]Outcome {
	outcomes := map[model.ID]Outcome{}
	for host := range touched {
		outcomes[host] = Outcome{State: Pending}
	}
	for {
		own, others := h.Own.Changed(), h.Changed("")
		open := 0
		for host, o := range outcomes {
			if o.State == Pending {
				o = h.OutcomeOf(host, revision, touched[host]...)
				outcomes[host] = o
			}
			if o.State == Pending {
				open++
			}
		}
		if open == 0 {
			return outcomes
		}
		select {
		case <-ctx.Done():
			return outcomes
		case <-own:
		case <-others:
		}
	}
}

// The states of a host, in the oVirt engine's words.
const (
	hostUp            = "up"
	hostMaintenance   = "maintenance"
	hostConnecting    = "connecting"
	hostNonResponsive = "non_responsive"
)

// StateOf says how a host is: up while nothing is missing on which verdicts rest. One of
// which nothing is known is not.
func StateOf(h model.Host, s report.Status, known bool) string {
	switch {
	case h.Maintenance:
		return hostMaintenance
	case known && s.Present():
		return hostUp
	case known && s.Member != nil && s.Member.Liveness == report.Connecting:
		return hostConnecting
	}
	return hostNonResponsive
}
