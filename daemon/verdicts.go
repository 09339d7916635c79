package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// The codes that the history has for verdicts, see docs/ovirt-api.md.
const (
	codeHostKnown   = 20030
	codeHostUnknown = 20031
	codeNetworkGood = 20032
	codeNetworkBad  = 20033
)

// settled is for how long a verdict must be the same before the history has it. What is
// repaired at once is told by the repair.
const settled = 2 * time.Second

// verdict is what the history tells of a network: nothing as long as it is good.
type verdict struct {
	bad   string
	since time.Time
}

// followVerdicts takes down when networks stop being as they must be, and when they are
// again, until ctx ends.
func (h *host) followVerdicts(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	told, seen := map[model.ID]string{}, map[model.ID]verdict{}
	host := "" // what was told of all of them
	for {
		s := h.loop.Status()
		if m := s.Lacks(); s.HostID != "" && m != nil && time.Since(m.Since) > report.Freshness {
			if host != m.Cause {
				host = m.Cause
				h.judged(model.ID(""), "", codeHostUnknown, history.Error, fmt.Sprintf("nothing is known of the networks: %s", m))
			}
		} else if m == nil {
			if host != "" {
				h.judged(model.ID(""), "", codeHostKnown, history.Normal, "the networks are known again")
			}
			host = ""
			h.compare(s, told, seen, time.Now())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// compare takes down what has been so for long enough and is another verdict than the one
// that was told.
func (h *host) compare(s report.Status, told map[model.ID]string, seen map[model.ID]verdict, now time.Time) {
	networks := h.own.Snapshot().Networks
	for id, n := range s.Networks {
		bad, detail := wrong(s, id, n)
		if v, known := seen[id]; !known || v.bad != bad {
			seen[id] = verdict{bad, now}
			continue
		}
		if told[id] == bad || now.Sub(seen[id].since) < settled {
			continue
		}
		name := networks[id].Name
		if told[id] = bad; bad == "" {
			h.judged(id, name, codeNetworkGood, history.Normal, fmt.Sprintf("the network %q is as it must be again", name))
		} else {
			h.judged(id, name, codeNetworkBad, history.Alert, strings.TrimSuffix(fmt.Sprintf("the network %q is not as it must be: %s: %s", name, bad, detail), ": "))
		}
	}
	for id := range seen {
		if _, here := s.Networks[id]; !here {
			delete(seen, id)
			delete(told, id)
		}
	}
}

// wrong says in what a network is not as it must be, and the detail, which may change
// with time; "" if it is, or is about to be.
func wrong(s report.Status, id model.ID, n report.NetworkStatus) (bad, detail string) {
	guard, judged := s.HostGuard(id)
	switch {
	case n.State == report.Pending:
		return "", ""
	case n.State != report.Active:
		return "it is in the state " + string(n.State), n.Reason
	case n.Isolation.Verdict == report.NotIsolated:
		return "it is not isolated", ""
	case n.Isolation.Verdict == report.IsolationUnknown && len(n.Isolation.Pending) == 0:
		return "it is not known whether it is isolated", n.Isolation.Reason
	case judged && guard.State == report.GuardUnavailable && guard.Reason != hostGuardIsOff:
		return "the host guard is lost", guard.Reason
	}
	return "", ""
}

func (h *host) judged(id model.ID, network string, code int, severity, text string) {
	h.history.RecordAlike(fmt.Sprint("verdict ", id, code), history.Entry{
		Kind: history.KindDeed, Code: code, Severity: severity, Network: network, NetworkID: string(id), Text: text,
	})
}
