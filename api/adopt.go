package api

import (
	"net/http"
	"strings"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/wire"
)

// The paths of the isonet resources that change what the host must have, and
// can be planned.
const (
	adoptPath   = "/isonet/adopt"
	releasePath = "/isonet/release"

	putNetworksPath = "/isonet/networks"
)

// adoptBridge answers POST isonet/adopt: a bridge of this host that isonet did
// not make becomes a network's, if it is shown to be isolated.
func (a *API) adoptBridge(c *call) error {
	var request wire.AdoptRequest
	if err := c.readJSON(&request); err != nil {
		return err
	}
	if request.Bridge == "" || request.Network == "" {
		return refuse(errIncomplete, "An adoption needs the name of a bridge and of a network.")
	}
	var done wire.Adoption
	o := change.Options{Undone: func(d *model.Desired) {
		// Open vSwitch may have made it the network's already.
		if _, attached := d.AttachmentOf(a.loop.Status().HostID, model.ID(done.Network.ID)); !attached {
			d.GiveBack(a.loop.Status().HostID, model.ID(done.Network.ID))
		}
	}}
	if n, exists := named(a.store.Snapshot(), request.Network); exists {
		o.Also = []model.ID{n.ID} // it may be attached already, in vain
	}
	_, err := a.write(c, o, func(d *model.Desired) (err error) {
		done, err = adopt(d, a.loop.Status(), request)
		return err
	})
	if err != nil {
		return err
	}
	return c.sendJSON(http.StatusOK, done)
}

func adopt(d *model.Desired, status reconcile.Status, request wire.AdoptRequest) (wire.Adoption, error) {
	if err := change.Realisable(status); err != nil {
		return wire.Adoption{}, err
	}
	b, there := status.Actual.Bridges[request.Bridge]
	if !there {
		return wire.Adoption{}, model.NotFoundf("Cannot adopt Bridge. The host has no bridge '%s'.", request.Bridge)
	}
	if owner := b.Network; owner != "" {
		return wire.Adoption{}, model.Conflictf("Cannot adopt Bridge. The bridge '%s' is isonet's already: it belongs to the network %s.", b.Name, owner)
	}
	n, exists := named(d, request.Network)
	if !exists {
		var err error
		if n, err = madeFor(d, request.Network, b); err != nil {
			return wire.Adoption{}, err
		}
	} else if other, has := status.Actual.BridgeOf(n.ID); has {
		return wire.Adoption{}, model.Conflictf("Cannot adopt Bridge. The network '%s' has the bridge '%s' on this host already.", n.Name, other.Name)
	}
	if err := d.Adopt(status.HostID, n.ID, b.Name, b.UUID); err != nil {
		return wire.Adoption{}, err
	}
	for _, conflict := range reconcile.Conflicts(d, status.HostID, status.Actual) {
		if conflict.Network.ID == n.ID {
			return wire.Adoption{}, model.Conflictf("Cannot adopt Bridge. %s.", strings.ToUpper(conflict.Reason[:1])+conflict.Reason[1:])
		}
	}
	return wire.Adoption{Bridge: b.Name, Network: networkName(n), Created: !exists, MTU: n.EffectiveMTU()}, nil
}

// madeFor makes a network for a bridge.
func madeFor(d *model.Desired, name string, b plan.Bridge) (model.Network, error) {
	if _, isID := model.ParseID(name); isID {
		return model.Network{}, model.Unknown(name)
	}
	n := model.Network{Name: name, MTU: b.CommonMTU()}
	if n.MTU == model.DefaultMTU {
		n.MTU = 0
	}
	return d.AddNetworkOf(n, b.Name)
}

func networkName(n model.Network) wire.NetworkName {
	return wire.NetworkName{ID: string(n.ID), Name: n.Name}
}

// named finds a network by its id or name.
func named(d *model.Desired, reference string) (model.Network, bool) {
	if id, isID := model.ParseID(reference); isID {
		if n, exists := d.Networks[id]; exists {
			return n, true
		}
	}
	return d.NetworkByName(reference)
}

// existing finds the network of a request by its id or name.
func existing(d *model.Desired, reference string) (model.Network, error) {
	if reference == "" {
		return model.Network{}, refuse(errIncomplete, "The request needs the name or id of a network.")
	}
	n, exists := named(d, reference)
	if !exists {
		return model.Network{}, model.NotFoundf("There is no network '%s'; see 'isonet network list'.", reference)
	}
	return n, nil
}

// releaseBridge answers POST isonet/release: the bridge of a network stays on
// this host, and is no longer isonet's.
func (a *API) releaseBridge(c *call) error {
	var request wire.ReleaseRequest
	if err := c.readJSON(&request); err != nil {
		return err
	}
	n, err := existing(a.store.Snapshot(), request.Network)
	if err != nil {
		return err
	}
	var done wire.Released
	var bridge plan.Bridge
	o := change.Options{Also: []model.ID{n.ID}, Undone: func(d *model.Desired) {
		// Open vSwitch may have given it back already.
		id := model.AttachmentID(a.loop.Status().HostID, n.ID)
		if attachment, attached := d.Attachments[id]; attached {
			attachment.Adopts = bridge.UUID
			d.Attachments[id] = attachment
		}
	}}
	_, err = a.write(c, o, func(d *model.Desired) error {
		status := a.loop.Status()
		if err := change.Realisable(status); err != nil {
			return err
		}
		var has bool
		if bridge, has = status.Actual.BridgeOf(n.ID); !has {
			return model.Conflictf("Cannot release the network '%s'. It has no bridge on this host that is isonet's.", n.Name)
		}
		done = releasedOf(n, bridge)
		return model.Join(keptFor(n, bridge, done.Unquarantined, request.Force), d.Release(status.HostID, n.ID))
	})
	if err != nil {
		return err
	}
	return c.sendJSON(http.StatusOK, done)
}

// releasedOf says what becomes of a network's bridge that is given back.
func releasedOf(n model.Network, b plan.Bridge) wire.Released {
	r := wire.Released{Bridge: b.Name, Network: networkName(n), Unquarantined: []string{}, Protected: []string{}}
	for _, p := range b.Endpoints() {
		if p.Marked() {
			r.Unquarantined = append(r.Unquarantined, p.Name)
		}
		if p.Protected {
			r.Protected = append(r.Protected, p.Name)
		}
	}
	return r
}

// keptFor says why a bridge must not be given back as it is now.
func keptFor(n model.Network, b plan.Bridge, quarantined []string, force bool) error {
	if b.DatapathType == plan.ResetDatapath || b.FailMode == plan.SecureFailMode && !n.Strict {
		return model.Conflictf("Cannot release the network '%s'. Its bridge is just being put in order: try again.", n.Name)
	}
	if len(quarantined) > 0 && !force {
		return model.Refuse(model.ErrConflict, model.InQuarantine, "Cannot release the network '%s'. The port(s) '%s' are in quarantine and would be let out: unplug them, or force it with force=true.",
			n.Name, strings.Join(quarantined, ","))
	}
	return nil
}

// prunePorts answers POST isonet/prune: it removes the ports of a network whose
// devices vanished.
func (a *API) prunePorts(c *call) error {
	var request wire.PruneRequest
	if err := c.readJSON(&request); err != nil {
		return err
	}
	n, err := existing(a.store.Snapshot(), request.Network)
	if err != nil {
		return err
	}
	c.allowReply(change.Timeout)
	ports, err := a.writer.Prune(c.r.Context(), n.ID)
	if err != nil {
		return err
	}
	return c.sendJSON(http.StatusOK, wire.Pruned{Network: networkName(n), Ports: append([]string{}, ports...)})
}
