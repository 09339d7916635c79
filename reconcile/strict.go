package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
)

const notSecureYet = "Open vSwitch has not made the bridge forward by the network's own flows yet"

// enforce puts the flows of the strict networks on their bridges. It comes
// before any change of ports: a new member is served by the pass that first
// sees its number, and a former one is cut off before anything else.
//
// A bridge waits as long as vswitchd may still have a change of its fail_mode
// ahead, because that makes it forget all flows.
func (l *Loop) enforce(ctx context.Context, want plan.Want, actual *plan.Actual, j *judgement) error {
	if l.since < 0 || l.since > actual.NextCfg { // the first pass, or another database
		l.since = actual.NextCfg
	}
	networks := map[string]model.Network{}
	var pipelines []plan.Pipeline
	for _, n := range slices.Concat(want.Networks, want.Leaving) {
		b, there := actual.Bridge(n)
		if !n.Strict || !there {
			continue
		}
		if b.FailMode != plan.SecureFailMode || b.DatapathType == plan.ResetDatapath || actual.CurCfg < max(l.since, l.touched[n.ID]) {
			j.late[n.ID] = notSecureYet
			continue
		}
		networks[b.Name] = n
		j.strict[n.ID] = true
		pipelines = append(pipelines, plan.PipelineOf(n, j.accepted[n.ID]))
	}
	var foreign []string
	err := l.elsewhere(func() (err error) {
		foreign, err = l.sw.Enforce(ctx, pipelines...)
		return err
	})
	l.foundFlows(foreign, networks)
	if err == nil {
		l.flowsRetry.Reset()
		return nil
	}
	for _, failed := range bridgeErrors(err) {
		id := networks[failed.Bridge].ID
		j.strict[id], j.late[id] = false, failed.Error()
	}
	if ctx.Err() == nil {
		wait := l.flowsRetry.NextBackOff()
		j.wakeAt(time.Now().Add(wait))
		l.log.Warn("the flows of a strict network are not in place; trying again", "error", err, "in", wait)
	}
	return err
}

// foundFlows records that somebody else's flows were replaced.
func (l *Loop) foundFlows(bridges []string, networks map[string]model.Network) {
	var j judgement
	for _, name := range bridges {
		n := networks[name]
		e := newEvent(n, isolation.Finding{
			Reason: isolation.ForeignFlows, Column: "flows", Detail: "the bridge had flows that isonet did not make",
		}, Restored, time.Now())
		j.repairs = append(j.repairs, repair{e, plan.Subject{Network: n.ID, Column: e.Column}})
	}
	l.repaired(j)
}

// bridgeErrors takes the error of Switch.Enforce apart.
func bridgeErrors(err error) []*plan.BridgeError {
	var failed []*plan.BridgeError
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		var b *plan.BridgeError
		if errors.As(err, &b) {
			failed = append(failed, b)
		}
	}
	return failed
}
