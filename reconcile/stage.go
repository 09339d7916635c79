package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// stage is one part of what a host must have. A pass asks all stages what must be,
// then lets each make it so, then each tell how it stands: each time in the order of
// Loop.stages. What a stage reads of another one is a field of it, so that it comes
// after that one. Run's goroutine calls all methods.
type stage interface {
	// want finds out what must be of the open networks: of p.want.Networks, and of
	// p.want.Leaving, whose bridges are held. It reads what the pass begins with and
	// the stages before it, and adds to p.want what is to be changed in Open vSwitch.
	// It changes nothing on the host, and waits for nothing. Calm networks are not
	// open: where nothing changed, it has nothing to go through.
	want(p *pass)
	// apply makes it so. It waits for nobody: what takes time goes on beside the loop
	// and wakes it at its end. If all is so already, it returns at once. On standby
	// (p.actual.Standby) it may look and changes nothing. What fails is in p.fail in
	// each pass until it succeeds, and apply says with p.after when it tries again: the
	// stages after it do their work meanwhile. One that changed what the pass looks at
	// sets p.void, and the next pass begins at once.
	apply(ctx context.Context, p *pass)
	// verdicts tells with p.lower in what the open networks are not as they must be. A
	// network about which something is left to do or to find out stays open by p.at or
	// p.keepOpen, in any of the methods, or no pass looks at it before something changes.
	// Of a network that is as it must be nothing is told.
	verdicts(p *pass)
	// cease ends what the stage does on this host, because another machine is the host.
	// It is called instead of the others, and more than once.
	cease()
}

// silent is a stage that does nothing. Stages embed it for what they have no use for.
type silent struct{}

func (silent) want(*pass)                   {}
func (silent) apply(context.Context, *pass) {}
func (silent) verdicts(*pass)               {}
func (silent) cease()                       {}

// pass is one look at the host, and what is done about it.
type pass struct {
	// What it begins with. No stage changes it.
	start   time.Time
	desired *model.Desired
	actual  *plan.Actual
	flows   map[string]plan.Flows // by the names of their bridges
	calm    *calm
	// forged are the bridges of others that bear the marks of networks, by network.
	forged map[model.ID][]string

	// want is what the plan is made of. It begins with what the desired state says.
	want plan.Want
	// networks are the verdicts on the open networks of this host.
	networks map[model.ID]report.NetworkStatus
	// open are those that are not to become calm.
	open map[model.ID]bool
	// again is when the next pass is at the latest; zero is never.
	again time.Time
	// busy says that something is left to do or under way.
	busy bool
	// void says that the host is not what the pass looked at any more.
	void bool
	errs []error
}

func newPass(desired *model.Desired, actual *plan.Actual, flows map[string]plan.Flows, calm *calm) *pass {
	return &pass{start: time.Now(), desired: desired, actual: actual, flows: flows, calm: calm, open: map[model.ID]bool{}}
}

// wants begins with what a desired state says of these networks. The others are calm.
func (p *pass) wants(w wishes, open []model.Network) {
	p.want = w.want(open, p.calm.bridges, p.actual)
	p.networks = make(map[model.ID]report.NetworkStatus, len(open))
	for _, n := range open {
		p.networks[n.ID] = report.NetworkStatus{State: report.Active}
	}
}

// at says that something about a network is to be done or found out at a time.
func (p *pass) at(network model.ID, t time.Time) {
	p.keepOpen(network)
	p.next(t)
}

// keepOpen says that the next pass is to look at a network again.
func (p *pass) keepOpen(network model.ID) { p.open[network] = true }

// after says how long the next pass may wait; less than nothing is for ever.
func (p *pass) after(wait time.Duration) {
	if wait >= 0 {
		p.next(time.Now().Add(wait))
	}
}

func (p *pass) next(t time.Time) {
	if p.again.IsZero() || t.Before(p.again) {
		p.again = t
	}
}

// until returns how long the next pass may wait.
func (p *pass) until() time.Duration {
	if p.again.IsZero() {
		return never
	}
	return max(0, time.Until(p.again))
}

// fail says that something cannot be done now; nil is no failure.
func (p *pass) fail(err error) {
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

func (p *pass) err() error { return errors.Join(p.errs...) }

// lower makes a network's state a worse one, and says why. Of two reasons for the
// same state the first is told.
func (p *pass) lower(network model.ID, state report.State, reason string) {
	v := p.networks[network]
	if worse := v.State == report.Active || v.State == report.Pending && state == report.Failed; worse {
		v.State, v.Reason = state, reason
		p.networks[network] = v
	}
}
