package change_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	here  = model.ID("11111111-1111-4111-8111-111111111111")
	there = model.ID("22222222-2222-4222-8222-222222222222")
	red   = model.ID("aaaaaaaa-0000-4000-8000-000000000001") // attached here, with vnet0 of the VM web
	blue  = model.ID("aaaaaaaa-0000-4000-8000-000000000002") // attached to nothing
)

// host is a store and a loop in memory. It realises everything at once, unless it
// is told otherwise.
type host struct {
	desired *model.Desired
	status  report.Status
	actual  *plan.Actual // of which the status tells
	changed chan struct{}

	refused   error    // what WaitFor returns
	broken    error    // what Update returns from the second time on
	updates   int      // how often Update was called
	waited    []string // what WaitFor was asked for
	evictions int      // how many there were at the last WaitFor
	looks     func()   // is called by Changed
}

func newHost() *host {
	d := model.NewDesired()
	d.Hosts[here] = model.Host{ID: here, SystemID: string(here), Name: "here"}
	d.Hosts[there] = model.Host{ID: there, SystemID: string(there), Name: "there"}
	bridges := map[string]plan.Bridge{}
	for id, name := range map[model.ID]string{red: "red", blue: "blue"} {
		d.Networks[id] = model.Network{ID: id, Name: name, VdsmName: name, Revision: 1}
	}
	if _, err := d.Attach(here, red, nil); err != nil {
		panic(err)
	}
	bridges["red"] = plan.Bridge{Name: "red", Network: red, Ports: []plan.Port{{
		Name: "vnet0", ExternalIDs: map[string]string{"vm-name": "web"},
		Interfaces: []plan.Interface{{Name: "vnet0", MTU: 1500, OFPort: 3, LinkUp: true, ExternalIDs: map[string]string{"vm-id": "web"}}},
	}}}
	actual := &plan.Actual{Bridges: bridges, Links: plan.NewLinks(plan.Device{Index: 2, Name: "eth0"})}
	return &host{
		desired: d, changed: make(chan struct{}),
		actual: actual, status: report.Status{HostID: here, Connected: true, Host: reconcile.Seen(actual)},
	}
}

func (h *host) writer() *change.Writer { return change.New(h, h, nil, slog.New(slog.DiscardHandler)) }

func (h *host) Snapshot() *model.Desired { return h.desired }

func (h *host) Update(ctx context.Context, edit func(*model.Desired) error) (int64, error) {
	if h.updates++; h.updates > 1 && h.broken != nil {
		return 0, h.broken
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := edit(h.desired.Clone()); err != nil { // as after a lost race
		return 0, err
	}
	next := h.desired.Clone()
	if err := edit(next); err != nil {
		return 0, err
	}
	next.Revision++
	h.desired = next
	return next.Revision, nil
}

func (h *host) Status() report.Status { return h.status }

func (h *host) Changed() <-chan struct{} {
	if h.looks != nil {
		h.looks()
	}
	return h.changed
}

func (h *host) WaitFor(_ context.Context, _ int64, networks ...model.ID) error {
	h.waited, h.evictions = nil, len(h.desired.Hosts[here].Evicted)
	for _, id := range networks {
		h.waited = append(h.waited, h.desired.Networks[id].Name)
	}
	return h.refused
}

func (h *host) Prune(context.Context, model.ID) ([]string, error) { return nil, errors.New("pruned") }

func (h *host) Former() (model.Host, []model.Attachment, bool) { return model.Host{}, nil, false }

func (h *host) ReleaseDevice(context.Context, string) error { return errors.New("released") }

func attachBlue(host model.ID) func(*model.Desired) error {
	return func(d *model.Desired) error {
		_, err := d.Attach(host, blue, nil)
		return err
	}
}

func detachRed(d *model.Desired) error { return d.Detach(here, red) }

func resize(network model.ID, mtu int) func(*model.Desired) error {
	return func(d *model.Desired) error {
		n := d.Networks[network]
		n.MTU = mtu
		return d.UpdateNetwork(n)
	}
}

// unchanged compares what is desired with what was, whatever the revision.
func (h *host) unchanged(t *testing.T, before *model.Desired) {
	t.Helper()
	if diff := cmp.Diff(before, h.desired, cmpopts.IgnoreFields(model.Desired{}, "Revision"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the desired state (-before +after):\n%s", diff)
	}
}

func TestWriteWaitsForWhatItTouches(t *testing.T) {
	for name, c := range map[string]struct {
		edit   func(*model.Desired) error
		also   []model.ID
		waited []string
	}{
		"gained":          {edit: attachBlue(here), waited: []string{"blue"}},
		"changed":         {edit: resize(red, 9000), waited: []string{"red"}},
		"on another host": {edit: attachBlue(there)},
		"on no host":      {edit: resize(blue, 9000)},
		"asked for":       {edit: attachBlue(here), also: []model.ID{red}, waited: []string{"blue", "red"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost()
			// Who asked may go away.
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			done, err := h.writer().Write(ctx, change.Options{Also: c.also}, c.edit)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(h.waited, c.waited) {
				t.Errorf("waited for %q, want %q", h.waited, c.waited)
			}
			h.unchanged(t, done.Desired)
		})
	}
}

func TestTakenBack(t *testing.T) {
	h := newHost()
	h.refused = errors.New("no space")
	before := h.desired
	undone := false
	_, err := h.writer().Write(t.Context(), change.Options{Undone: func(*model.Desired) { undone = true }}, attachBlue(here))
	if !errors.Is(err, h.refused) || !strings.Contains(err.Error(), "so it was taken back: no space") {
		t.Errorf("error is %v", err)
	}
	if !undone {
		t.Error("nobody completed the undoing")
	}
	h.unchanged(t, before)
}

// TestTakenBackWithoutVSwitchd takes a write back while nobody realises anything:
// whoever looks at once finds no bridge of it.
func TestTakenBackWithoutVSwitchd(t *testing.T) {
	h := newHost()
	h.refused = model.Refuse(model.ErrUnavailable, model.OVSUnable, "ovs-vswitchd does not run")
	closed := make(chan struct{})
	close(closed)
	h.changed = closed
	h.actual.Bridges["blue"] = plan.Bridge{Name: "blue", Network: blue}
	looks := 0
	h.looks = func() {
		switch looks++; looks {
		case 2:
			h.status.Revision = h.desired.Revision
		case 3:
			delete(h.actual.Bridges, "blue")
		}
	}
	if _, err := h.writer().Write(t.Context(), change.Options{}, attachBlue(here)); !errors.Is(err, h.refused) {
		t.Errorf("error is %v", err)
	}
	if _, has := h.actual.Bridges["blue"]; has {
		t.Error("it was refused, and the bridge is there")
	}
}

func TestCannotBeTakenBack(t *testing.T) {
	h := newHost()
	h.refused, h.broken = errors.New("no space"), errors.New("disk full")
	_, err := h.writer().Write(t.Context(), change.Options{}, attachBlue(here))
	if !errors.Is(err, model.ErrUndecided) || !strings.Contains(err.Error(), "so it stays (disk full)") {
		t.Errorf("error is %v", err)
	}
}

func TestOnlyAskedToBeInSync(t *testing.T) {
	h := newHost()
	h.refused = errors.New("no space")
	_, err := h.writer().Write(t.Context(), change.Options{Also: []model.ID{red}}, func(*model.Desired) error { return nil })
	if !errors.Is(err, h.refused) || h.updates != 1 {
		t.Errorf("error is %v after %d updates", err, h.updates)
	}
	if err := h.writer().Sync(t.Context(), here, 0, red); !errors.Is(err, h.refused) {
		t.Errorf("error is %v", err)
	}
}

func TestInUse(t *testing.T) {
	h := newHost()
	before := h.desired
	if _, err := h.writer().Write(t.Context(), change.Options{}, detachRed); !errors.Is(err, model.ErrConflict) {
		t.Errorf("error is %v", err)
	}
	h.unchanged(t, before)
	done, err := h.writer().Write(t.Context(), change.Options{Force: true}, detachRed)
	if err != nil {
		t.Fatal(err)
	}
	if h.evictions != 1 || len(done.Desired.Hosts[here].Evicted) != 1 || len(h.desired.Hosts[here].Evicted) != 0 {
		t.Errorf("%d evictions while the bridge goes, and %v after it", h.evictions, h.desired.Hosts[here].Evicted)
	}
}

func TestWarnings(t *testing.T) {
	for mtu, want := range map[int]int{9000: 0, 1400: 1} {
		done, err := newHost().writer().Write(t.Context(), change.Options{}, resize(red, mtu))
		if err != nil || len(done.Warnings) != want {
			t.Errorf("MTU %d: warnings %q, error %v", mtu, done.Warnings, err)
		}
	}
}

func TestWithoutOpenVSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		h.status.Connected = false
		closed := make(chan struct{})
		close(closed)
		h.changed = closed
		h.looks = func() { h.status.Connected = true } // it comes back
		if _, err := h.writer().Write(t.Context(), change.Options{}, attachBlue(here)); err != nil {
			t.Errorf("it came back, and the error is %v", err)
		}
		h.status = report.Status{LastError: "connection refused"}
		h.looks, h.changed = nil, nil
		if _, err := h.writer().Write(t.Context(), change.Options{}, detachRed); !errors.Is(err, model.ErrUnavailable) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestConditions(t *testing.T) {
	network := func(id model.ID) change.Subject {
		return func(d *model.Desired) (any, error) {
			n, exists := d.Networks[id]
			if !exists {
				return nil, errors.New("there is none")
			}
			return n, nil
		}
	}
	h := newHost()
	of := network(red)
	read, _ := of.Version(h.desired)
	whole, _ := change.Subject(nil).Version(h.desired)
	write := func(subject change.Subject, versions ...string) error {
		_, err := h.writer().Write(t.Context(), change.Options{If: &change.Condition{Subject: subject, Versions: versions}}, resize(red, 9000))
		return err
	}
	if _, err := h.writer().Write(t.Context(), change.Options{}, resize(blue, 9000)); err != nil {
		t.Fatal(err)
	}
	if err := write(nil, whole); !errors.Is(err, change.ErrOutdated) {
		t.Errorf("another network changed, and the error is %v", err)
	}
	if err := write(of); !errors.Is(err, change.ErrOutdated) {
		t.Errorf("no version is allowed, and the error is %v", err)
	}
	if err := write(of, "other", read); err != nil {
		t.Errorf("the network is as it was read, and the error is %v", err)
	}
	if err := write(of, read); !errors.Is(err, change.ErrOutdated) {
		t.Errorf("the network changed, and the error is %v", err)
	}
	if err := write(network(there), read); err != nil {
		t.Errorf("what does not exist is for the write to judge, and the error is %v", err)
	}
}

func TestDraft(t *testing.T) {
	h := newHost()
	h.refused = errors.New("a draft waits for nothing")
	before := h.desired
	writer, draft := h.writer().Draft()
	if _, err := writer.Write(t.Context(), change.Options{}, detachRed); !errors.Is(err, model.ErrConflict) {
		t.Errorf("error is %v", err)
	}
	for _, edit := range []func(*model.Desired) error{detachRed, attachBlue(here)} {
		if _, err := writer.Write(t.Context(), change.Options{Force: true}, edit); err != nil {
			t.Fatal(err)
		}
	}
	if names := draft.Snapshot().HostNetworks(here); len(names) != 1 || names[0].ID != blue {
		t.Errorf("the draft has %v", names)
	}
	if evicted := draft.Leaving(here).Hosts[here].Evicted; !slices.Equal(evicted, []model.ID{red}) {
		t.Errorf("evicted is %v", evicted)
	}
	if ports, err := writer.Prune(t.Context(), red); err != nil || len(ports) != 0 {
		t.Errorf("pruned %v: %v", ports, err)
	}
	if err := writer.ReleaseDevice(t.Context(), "vnet9"); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("error is %v", err)
	}
	if h.desired != before {
		t.Error("the draft wrote something")
	}
}
