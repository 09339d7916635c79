package model_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
)

const aBridge = "bbbbbbbb-0000-4000-8000-000000000001"

func TestAdoptAndRelease(t *testing.T) {
	d, host, ids := desired(t, "blue")
	red, err := d.AddNetworkOf(model.Network{Name: "a network for the old bridge"}, "br-old")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Adopt(host, red.ID, "br-old", aBridge); err != nil {
		t.Fatal(err)
	}
	a, attached := d.AttachmentOf(host, red.ID)
	if !attached || !a.Explicit || a.Adopts != aBridge {
		t.Fatalf("attachment %+v, attached %v", a, attached)
	}
	if a, err = d.Attach(host, red.ID, map[string]string{"k": "v"}); err != nil || a.Adopts != aBridge {
		t.Errorf("new properties: %+v, %v; the permission must stay", a, err)
	}
	if err := d.Release(host, red.ID); err != nil {
		t.Fatal(err)
	}
	if _, attached := d.AttachmentOf(host, red.ID); attached || !slices.Equal(d.Hosts[host].Released, []model.ID{red.ID}) {
		t.Errorf("attached %v, released %v", attached, d.Hosts[host].Released)
	}
	if _, defined := d.Networks[red.ID]; !defined {
		t.Error("the network is gone with its bridge")
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := d.Release(host, ids["blue"]); err != nil {
		t.Fatal(err)
	}
	d.Left(host, ids["blue"])
	if got := d.Hosts[host].Released; !slices.Equal(got, []model.ID{red.ID}) {
		t.Errorf("released %v, want red alone", got)
	}
}

func TestAReleaseEndsWithANewAttachment(t *testing.T) {
	for name, attach := range map[string]func(d *model.Desired, host, red model.ID) error{
		"explicit": func(d *model.Desired, host, red model.ID) error { _, err := d.Attach(host, red, nil); return err },
		"adopted":  func(d *model.Desired, host, red model.ID) error { return d.Adopt(host, red, "red", aBridge) },
		"a label of the host": func(d *model.Desired, host, red model.ID) error {
			n := d.Networks[red]
			n.Label = "lab"
			return errors.Join(d.UpdateNetwork(n), d.AddLabel(host, "lab"))
		},
		"a label of the network": func(d *model.Desired, host, red model.ID) error {
			n := d.Networks[red]
			n.Label = "lab"
			return errors.Join(d.AddLabel(host, "lab"), d.UpdateNetwork(n))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, host, ids := desired(t, "red")
			d.Evict(host, ids["red"])
			if err := d.Release(host, ids["red"]); err != nil {
				t.Fatal(err)
			}
			if err := attach(d, host, ids["red"]); err != nil {
				t.Fatal(err)
			}
			if h := d.Hosts[host]; len(h.Released)+len(h.Evicted) > 0 {
				t.Errorf("released %v, evicted %v", h.Released, h.Evicted)
			}
		})
	}
}

func TestWhatCannotBeAdoptedOrReleased(t *testing.T) {
	labelled := func(explicit bool) func(*model.Desired, model.ID, model.ID) error {
		return func(d *model.Desired, host, red model.ID) error {
			n := d.Networks[red]
			n.Label = "lab"
			if err := errors.Join(d.UpdateNetwork(n), d.AddLabel(host, "lab")); err != nil {
				return err
			}
			if explicit {
				if _, err := d.Attach(host, red, nil); err != nil {
					return err
				}
			}
			return d.Release(host, red)
		}
	}
	for name, c := range map[string]struct {
		do   func(d *model.Desired, host, red model.ID) error
		kind error
		says string
	}{
		"another bridge": {func(d *model.Desired, host, red model.ID) error { return d.Adopt(host, red, "br-old", aBridge) }, model.ErrConflict, "adopt the bridge as a network that does not exist yet"},
		"adopt as nothing": {func(d *model.Desired, host, _ model.ID) error {
			return d.Adopt(host, model.NewID(), "red", aBridge)
		}, model.ErrNotFound, ""},
		"adopt on no host": {func(d *model.Desired, _, red model.ID) error {
			return d.Adopt(model.NewID(), red, "red", aBridge)
		}, model.ErrNotFound, ""},
		"adopt what is no row": {func(d *model.Desired, host, red model.ID) error {
			return errors.Join(d.Adopt(host, red, "red", "br0"), d.Validate())
		}, model.ErrInvalid, "adopts 'br0', which is not the UUID of a bridge"},
		"taken name": {func(d *model.Desired, _, _ model.ID) error {
			_, err := d.AddNetworkOf(model.Network{Name: "red"}, "br-old")
			return err
		}, model.ErrConflict, "Another network has the name"},
		"release nothing": {func(d *model.Desired, host, _ model.ID) error { return d.Release(host, model.NewID()) }, model.ErrNotFound, ""},
		"strict": {func(d *model.Desired, host, red model.ID) error {
			n := d.Networks[red]
			n.Strict = true
			return errors.Join(d.UpdateNetwork(n), d.Release(host, red))
		}, model.ErrConflict, "set strict to false first"},
		"label":                  {labelled(false), model.ErrConflict, "attach the network by itself"},
		"label beside by itself": {labelled(true), model.ErrConflict, "it stays attached by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			d, host, ids := desired(t, "red")
			err := c.do(d, host, ids["red"])
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v with %q", err, c.kind, c.says)
			}
			if len(d.Hosts[host].Released) > 0 {
				t.Error("it is released all the same")
			}
		})
	}
}
