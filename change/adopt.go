package change

import (
	"context"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// Adoption is what became of a bridge that isonet did not make.
type Adoption struct {
	Network model.Network
	// Created says that the network did not exist before.
	Created bool
}

// Adopt lets a network take over a bridge of this host that isonet did not make, if
// the bridge is shown to be isolated. A network that does not exist is made, with
// the name of the bridge and the MTU of its ports.
func (w *Writer) Adopt(ctx context.Context, o Options, bridge, network string) (Adoption, Done, error) {
	var made Adoption
	o.Undone = func(d *model.Desired) {
		host := w.own().HostID
		// Open vSwitch may have made it the network's already.
		if _, attached := d.AttachmentOf(host, made.Network.ID); !attached {
			d.GiveBack(host, made.Network.ID)
		}
	}
	if n, exists := w.store.Snapshot().FindNetwork(network); exists {
		o.Also = []model.ID{n.ID} // it may be attached already, in vain
	}
	done, err := w.Write(ctx, o, func(d *model.Desired) (err error) {
		made, err = adopt(d, w.own(), bridge, network)
		return err
	})
	return made, done, err
}

func adopt(d *model.Desired, status report.Status, bridge, network string) (Adoption, error) {
	if err := Realisable(status); err != nil {
		return Adoption{}, err
	}
	b, there := status.Host.BridgeNamed(bridge)
	if !there {
		return Adoption{}, model.Refuse(model.ErrNotFound, model.BridgeMissing, "Cannot adopt Bridge. The host has no bridge '%s'.", bridge)
	}
	if owner := b.Network; owner != "" {
		return Adoption{}, model.Refuse(model.ErrConflict, model.BridgeOwned, "Cannot adopt Bridge. The bridge '%s' is isonet's already: it belongs to the network %s.", b.Name, owner)
	}
	n, exists := d.FindNetwork(network)
	if !exists {
		var err error
		if n, err = madeFor(d, network, b); err != nil {
			return Adoption{}, err
		}
	} else if other, has := status.Host.BridgeOf(n.ID); has {
		return Adoption{}, model.Refuse(model.ErrConflict, model.BridgeHas, "Cannot adopt Bridge. The network '%s' has the bridge '%s' on this host already.", n.Name, other.Name)
	}
	if err := d.Adopt(status.HostID, n.ID, b.Name, b.UUID); err != nil {
		return Adoption{}, err
	}
	for _, conflict := range status.Host.Conflicts(d, status.HostID) {
		if conflict.Network.ID == n.ID {
			return Adoption{}, model.Refuse(model.ErrConflict, model.NotAdoptable, "Cannot adopt Bridge. %[2]s.", b.Name, strings.ToUpper(conflict.Reason[:1])+conflict.Reason[1:])
		}
	}
	return Adoption{Network: n, Created: !exists}, nil
}

// madeFor makes a network for a bridge.
func madeFor(d *model.Desired, name string, b report.Bridge) (model.Network, error) {
	if _, isID := model.ParseID(name); isID {
		return model.Network{}, model.Unknown(name)
	}
	n := model.Network{Name: name, MTU: b.CommonMTU()}
	if n.MTU == model.DefaultMTU {
		n.MTU = 0
	}
	return d.AddNetworkOf(n, b.Name)
}

// Released is what became of a bridge that is isonet's no longer.
type Released struct {
	Bridge string
	// Unquarantined are the ports that were cut off and got their VLAN settings
	// back. Protected still reach only those that are not.
	Unquarantined, Protected []string
}

// Release gives the bridge of a network on this host back: it stays, with its
// ports. Force lets ports out of their quarantine.
func (w *Writer) Release(ctx context.Context, o Options, network model.ID) (Released, Done, error) {
	var bridge report.Bridge
	force := o.Force
	o.Force, o.Also = false, []model.ID{network}
	o.Undone = func(d *model.Desired) {
		// Open vSwitch may have given it back already.
		id := model.AttachmentID(w.own().HostID, network)
		if attachment, attached := d.Attachments[id]; attached {
			attachment.Adopts = bridge.UUID
			d.Attachments[id] = attachment
		}
	}
	var released Released
	done, err := w.Write(ctx, o, func(d *model.Desired) error {
		status := w.own()
		if err := Realisable(status); err != nil {
			return err
		}
		n, exists := d.Networks[network]
		if !exists {
			return model.Unknown(network)
		}
		var has bool
		if bridge, has = status.Host.BridgeOf(n.ID); !has {
			return model.Refuse(model.ErrConflict, model.NothingReleased, "Cannot release the network '%s'. It has no bridge on this host that is isonet's.", n.Name)
		}
		released = releasedOf(bridge)
		return model.Join(keptFor(n, bridge, released.Unquarantined, force), d.Release(status.HostID, n.ID))
	})
	return released, done, err
}

// releasedOf says what becomes of a bridge that is given back.
func releasedOf(b report.Bridge) Released {
	r := Released{Bridge: b.Name, Unquarantined: []string{}, Protected: []string{}}
	for _, p := range b.Ports {
		if p.Quarantined {
			r.Unquarantined = append(r.Unquarantined, p.Name)
		}
		if p.Protected {
			r.Protected = append(r.Protected, p.Name)
		}
	}
	return r
}

// keptFor says why a bridge must not be given back as it is now.
func keptFor(n model.Network, b report.Bridge, quarantined []string, force bool) error {
	if b.Unsettled || b.Strict && !n.Strict {
		return model.Refuse(model.ErrConflict, model.BridgeUnsettled, "Cannot release the network '%s'. Its bridge is just being put in order: try again.", n.Name)
	}
	if len(quarantined) > 0 && !force {
		return model.Refuse(model.ErrConflict, model.InQuarantine, "Cannot release the network '%s'. The port(s) '%s' are in quarantine and would be let out: unplug them, or force it.",
			n.Name, strings.Join(quarantined, ","))
	}
	return nil
}
