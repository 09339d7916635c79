package change_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

// others are hosts of a fleet, by what they report.
type others struct {
	mu       sync.Mutex
	statuses map[model.ID]report.Status
	changed  chan struct{}
}

func (o *others) Status(host model.ID) (report.Status, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, known := o.statuses[host]
	return s, known
}

func (o *others) Changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

// report makes the other host report something else.
func (o *others) report(edit func(*report.Status)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.statuses[there]
	edit(&s)
	o.statuses[there] = s
	close(o.changed)
	o.changed = make(chan struct{})
}

// fleet is a host, and another one whose network green has the port vnet7 of the VM db.
// The other one has a foreign bridge blue.
type fleet struct {
	*host
	others *others
	// reports is called after each commit, with the desired state that it made.
	reports func(*model.Desired)
}

const green = model.ID("aaaaaaaa-0000-4000-8000-000000000003") // attached to there

func newFleet() *fleet {
	f := &fleet{host: newHost(), others: &others{changed: make(chan struct{})}}
	f.desired.Networks[green] = model.Network{ID: green, Name: "green", VdsmName: "green", Revision: 1}
	if _, err := f.desired.Attach(there, green, nil); err != nil {
		panic(err)
	}
	f.others.statuses = map[model.ID]report.Status{there: {
		HostID: there, Connected: true, Member: &report.Member{Liveness: report.Up},
		Host: reconcile.Seen(&plan.Actual{Links: plan.NewLinks(), Bridges: map[string]plan.Bridge{
			"blue":  {UUID: "b", Name: "blue"},
			"green": {Name: "green", Network: green, Ports: []plan.Port{plugged("vnet7", "db")}},
		}}),
	}}
	f.reports = func(d *model.Desired) { f.realise(d) }
	return f
}

func plugged(name, vm string) plan.Port {
	return plan.Port{Name: name, ExternalIDs: map[string]string{"vm-name": vm}, Interfaces: []plan.Interface{{
		Name: name, MTU: 1500, OFPort: 3, LinkUp: true, ExternalIDs: map[string]string{"vm-id": vm},
	}}}
}

// realise lets the other host report that it has what it must have.
func (f *fleet) realise(d *model.Desired) {
	bridges, verdicts := map[string]plan.Bridge{}, map[model.ID]report.NetworkStatus{}
	for _, n := range d.HostNetworks(there) {
		bridges[n.VdsmName] = plan.Bridge{Name: n.VdsmName, Network: n.ID}
		verdicts[n.ID] = report.NetworkStatus{State: report.Active}
	}
	f.others.report(func(s *report.Status) {
		s.Revision, s.Networks, s.Held = d.Revision, verdicts, nil
		s.Host = reconcile.Seen(&plan.Actual{Links: plan.NewLinks(), Bridges: bridges})
	})
}

func (f *fleet) Update(ctx context.Context, edit func(*model.Desired) error) (int64, error) {
	revision, err := f.host.Update(ctx, edit)
	if err == nil {
		f.reports(f.desired)
	}
	return revision, err
}

func (f *fleet) writer() *change.Writer {
	return change.New(f, f.host, f.others, slog.New(slog.DiscardHandler))
}

func detachGreen(d *model.Desired) error { return d.Detach(there, green) }

func removeGreen(d *model.Desired) error { return d.RemoveNetwork(green) }

// TestRefusedByAnotherHost checks that a write meets the refusals of each host that it
// touches.
func TestRefusedByAnotherHost(t *testing.T) {
	for name, c := range map[string]struct {
		host model.ID // that the write is about
		edit func(*model.Desired) error
		want string
	}{
		"in use":                   {there, detachGreen, "The network 'green' is used by db: stop them, or unplug the port(s) 'vnet7'"},
		"in use, of many":          {"", removeGreen, "On the host 'there': The network 'green' is used by db"},
		"a foreign bridge":         {there, attachBlue(there), "The host cannot have the network 'blue': "},
		"a foreign bridge, of all": {"", attachBlue(there), "On the host 'there': The host cannot have the network 'blue': "},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet()
			before := f.desired
			_, err := f.writer().Write(t.Context(), change.Options{Host: c.host}, c.edit)
			if !errors.Is(err, model.ErrConflict) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error is %v, want %s", err, c.want)
			}
			f.unchanged(t, before)
		})
	}
}

// TestAHostThatMayBeAway removes a network that a host used when it last reported, while it
// is not known whether it still reports. Force does not wait for an answer.
func TestAHostThatMayBeAway(t *testing.T) {
	f := newFleet()
	before := f.desired
	f.others.report(func(s *report.Status) { s.Member = &report.Member{Liveness: report.Connecting} })
	for _, edit := range []func(*model.Desired) error{detachGreen, removeGreen} {
		_, err := f.writer().Write(t.Context(), change.Options{}, edit)
		if !errors.Is(err, model.ErrConflict) || !strings.Contains(err.Error(), "On the host 'there': The network 'green' is used by db") {
			t.Errorf("error is %v", err)
		}
	}
	f.unchanged(t, before)
	if _, err := f.writer().Write(t.Context(), change.Options{Force: true}, removeGreen); err != nil {
		t.Error(err)
	}
}

// TestForceReachesAnotherHost checks that the evictions are there while the host takes
// the bridge away, and that only a write that waits for the host ends them.
func TestForceReachesAnotherHost(t *testing.T) {
	for host, stay := range map[model.ID]int{there: 0, "": 1} {
		f := newFleet()
		var evicted []int
		f.reports = func(d *model.Desired) { evicted = append(evicted, len(d.Hosts[there].Evicted)); f.realise(d) }
		if _, err := f.writer().Write(t.Context(), change.Options{Host: host, Force: true}, detachGreen); err != nil {
			t.Fatal(err)
		}
		if evicted[0] != 1 || len(f.desired.Hosts[there].Evicted) != stay {
			t.Errorf("about %q: evictions %v, in the end %v", host, evicted, f.desired.Hosts[there].Evicted)
		}
	}
}

// TestAPortPluggedInMeanwhile has the host hold the bridge of a network that nobody used
// when it was asked.
func TestAPortPluggedInMeanwhile(t *testing.T) {
	f := newFleet()
	f.realise(f.desired)
	before := f.desired
	f.reports = func(d *model.Desired) {
		if _, stays := d.AttachmentOf(there, green); stays {
			f.realise(d)
			return
		}
		f.others.report(func(s *report.Status) {
			s.Revision, s.Networks = d.Revision, nil
			s.Held = []report.Held{{Bridge: "green", NetworkID: green, Ports: []string{"vnet7"}}}
		})
	}
	_, err := f.writer().Write(t.Context(), change.Options{Host: there}, detachGreen)
	const want = "so it was taken back: the bridge 'green' is in use by the ports vnet7: unplug them, or remove it by force"
	if !errors.Is(err, model.ErrConflict) || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v", err)
	}
	f.unchanged(t, before)
}

// TestAHostThatIsAway writes for a host that is not heard of, and for one that falls
// silent while it is waited for.
func TestAHostThatIsAway(t *testing.T) {
	silent := func(s *report.Status) { s.Member = &report.Member{Liveness: report.NonResponsive} }
	never := func(f *fleet) { delete(f.others.statuses, there) }
	away := func(f *fleet) { f.others.report(silent) }
	for name, c := range map[string]struct {
		before, meanwhile func(*fleet)
	}{
		"away": {away, nil}, "never heard of": {never, nil}, "away meanwhile": {func(f *fleet) { f.realise(f.desired) }, away},
	} {
		for _, host := range []model.ID{there, ""} {
			t.Run(fmt.Sprint(name, " ", host), func(t *testing.T) {
				f := newFleet()
				c.before(f)
				f.reports = func(*model.Desired) {
					if c.meanwhile != nil {
						c.meanwhile(f)
					}
				}
				done, err := f.writer().Write(t.Context(), change.Options{Host: host}, detachGreen)
				if err != nil {
					t.Fatal(err)
				}
				warned := slices.ContainsFunc(done.Warnings, func(w string) bool { return strings.HasSuffix(w, "get the change when they are back: there.") })
				if want := host == there || c.meanwhile == nil; warned != want {
					t.Errorf("warnings %q", done.Warnings)
				}
				if _, stays := f.desired.AttachmentOf(there, green); stays {
					t.Error("it was not done")
				}
			})
		}
	}
}

// TestWaitsForAnotherHost lets the host realise a write after some reports that say
// nothing of it, or never.
func TestWaitsForAnotherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.realise(f.desired)
		revision := f.desired.Revision
		f.reports = func(d *model.Desired) {
			go func() {
				synctest.Wait()
				f.realise(d)
			}()
		}
		if _, err := f.writer().Write(t.Context(), change.Options{Host: there}, detachGreen); err != nil {
			t.Fatal(err)
		}
		if got, _ := f.others.Status(there); got.Revision <= revision {
			t.Errorf("it was answered at revision %d", got.Revision)
		}
		if err := f.writer().Sync(t.Context(), there, f.desired.Revision); err != nil {
			t.Error(err)
		}
		f.reports = func(*model.Desired) {}
		before := f.desired
		_, err := f.writer().Write(t.Context(), change.Options{Host: there}, func(d *model.Desired) error { return d.AddLabel(there, "lab") })
		if err != nil { // no network has it
			t.Error(err)
		}
		_, err = f.writer().Write(t.Context(), change.Options{Host: there}, func(d *model.Desired) error {
			_, err := d.Attach(there, green, nil)
			return err
		})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "so it was taken back: not realised in time: the change has not been looked at") {
			t.Errorf("error is %v", err)
		}
		before.Hosts[there] = f.desired.Hosts[there] // the label stays
		f.unchanged(t, before)
	})
}

// TestAnotherHostWarns warns of a smaller MTU on every host.
func TestAnotherHostWarns(t *testing.T) {
	f := newFleet()
	done, err := f.writer().Write(t.Context(), change.Options{}, resize(green, 1400))
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Warnings) != 1 || !strings.HasPrefix(done.Warnings[0], "On the host 'there': The MTU of the network 'green' is smaller") {
		t.Errorf("warnings %q", done.Warnings)
	}
}
