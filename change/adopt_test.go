package change_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// withBridge adds a bridge that isonet did not make.
func (h *host) withBridge(name string) *host {
	h.actual.DatapathType = "system"
	h.actual.Bridges[name] = plan.Bridge{
		UUID: "bbbbbbbb-0000-4000-8000-000000000001", Name: name, DatapathType: "system",
		Ports: []plan.Port{{Name: name, Tag: -1, Interfaces: []plan.Interface{{Name: name, Type: "internal", MTU: 1500, OFPort: 65534}}}},
	}
	return h
}

func TestAdopt(t *testing.T) {
	h := newHost().withBridge("br-old")
	made, done, err := h.writer().Adopt(t.Context(), change.Options{}, "br-old", "green")
	if err != nil {
		t.Fatal(err)
	}
	a, attached := done.Desired.AttachmentOf(here, made.Network.ID)
	if !made.Created || made.Network.VdsmName != "br-old" || !attached || a.Adopts == "" {
		t.Errorf("made %+v, attached by %+v", made, a)
	}
	if !slices.Equal(h.waited, []string{"green"}) {
		t.Errorf("waited for %q", h.waited)
	}
}

func TestAdoptionTakenBack(t *testing.T) {
	h := newHost().withBridge("br-old")
	h.refused = errors.New("no space")
	before := h.desired.Networks
	_, _, err := h.writer().Adopt(t.Context(), change.Options{}, "br-old", "green")
	if !errors.Is(err, h.refused) || len(h.desired.Networks) != len(before) {
		t.Errorf("error is %v, networks are %v", err, h.desired.Networks)
	}
	// Open vSwitch may have it already: then it is not to be removed.
	if len(h.desired.Hosts[here].Released) != 1 {
		t.Errorf("released is %v", h.desired.Hosts[here].Released)
	}
}

func TestWhatCannotBeAdopted(t *testing.T) {
	for name, c := range map[string]struct {
		bridge, network string
		kind            error
		code            model.Code
	}{
		"no bridge":         {"nosuch", "green", model.ErrNotFound, model.BridgeMissing},
		"isonet's":          {"red", "green", model.ErrConflict, model.BridgeOwned},
		"id of no network":  {"br-old", string(there), model.ErrNotFound, model.UnknownID},
		"has a bridge here": {"br-old", "red", model.ErrConflict, model.BridgeHas},
		"other names":       {"br-old", "blue", model.ErrConflict, model.BridgeNamed},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost().withBridge("br-old")
			before := h.desired
			if _, _, err := h.writer().Adopt(t.Context(), change.Options{}, c.bridge, c.network); !errors.Is(err, c.kind) || codeOf(err) != c.code {
				t.Errorf("error is %v with the code %q", err, codeOf(err))
			}
			h.unchanged(t, before)
		})
	}
}

func TestRelease(t *testing.T) {
	h := newHost()
	released, done, err := h.writer().Release(t.Context(), change.Options{}, red)
	if err != nil {
		t.Fatal(err)
	}
	if _, attached := done.Desired.AttachmentOf(here, red); attached || released.Bridge != "red" {
		t.Errorf("released %+v, and it is attached: %t", released, attached)
	}
	if _, _, err := h.writer().Release(t.Context(), change.Options{}, blue); !errors.Is(err, model.ErrConflict) || codeOf(err) != model.NothingReleased {
		t.Errorf("it has no bridge here, and the error is %v", err)
	}
	if _, _, err := h.writer().Release(t.Context(), change.Options{}, there); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("there is no such network, and the error is %v", err)
	}
}

func TestReleaseOfWhatIsStrict(t *testing.T) {
	h := newHost()
	n := h.desired.Networks[red]
	n.Strict = true
	h.desired.Networks[red] = n
	if _, _, err := h.writer().Release(t.Context(), change.Options{Force: true}, red); !errors.Is(err, model.ErrConflict) || codeOf(err) != model.ReleaseStrict {
		t.Errorf("error is %v", err)
	}
}

// codeOf returns the code of a refusal; "" for another error.
func codeOf(err error) model.Code {
	if refusal, ok := errors.AsType[*model.Error](err); ok {
		return refusal.Code
	}
	return ""
}

func TestWhatIsNotThereHasACode(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*report.Status)
		code  model.Code
	}{
		"unreachable": {func(s *report.Status) { s.Connected = false }, model.OVSUnreachable},
		"standby":     {func(s *report.Status) { s.Standby = true }, model.Standby},
		"occupied":    {func(s *report.Status) { s.Occupied = true }, model.HostOccupied},
		"hangs": {func(s *report.Status) {
			s.Missing = []report.Missing{report.OnVSwitchd.Unexplained(time.Now().Add(-time.Hour))}
		}, model.OVSUnable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it waits a moment for what may come back
				h := newHost()
				c.spoil(&h.status)
				_, err := h.writer().Write(t.Context(), change.Options{}, attachBlue(here))
				if !errors.Is(err, model.ErrUnavailable) || codeOf(err) != c.code {
					t.Errorf("error is %v with the code %q", err, codeOf(err))
				}
			})
		})
	}
}
