package api

import (
	"net/http"
	"strings"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
)

// The paths of the isonet resources that change what the host must have, and
// can be planned.
const (
	adoptPath   = "/isonet/adopt"
	releasePath = "/isonet/release"

	putNetworksPath = "/isonet/networks"
)

// AdoptRequest is the body of POST isonet/adopt.
type AdoptRequest struct {
	// Bridge is the name of a bridge of this host that isonet did not make.
	Bridge string `json:"bridge"`
	// Network is the name or id of the network that it becomes. A network that
	// does not exist is made, with the bridge's name as its vdsm_name and with
	// the MTU of the bridge's ports.
	Network string `json:"network"`
}

// Adoption is the reply of isonet/adopt.
type Adoption struct {
	Bridge  string      `json:"bridge"`
	Network NetworkName `json:"network"`
	// Created says that the network did not exist before.
	Created bool `json:"created"`
	// MTU of the network in bytes.
	MTU int `json:"mtu"`
}

// NetworkName says which network it is.
type NetworkName struct {
	ID   model.ID `json:"id"`
	Name string   `json:"name"`
}

// ReleaseRequest is the body of POST isonet/release.
type ReleaseRequest struct {
	// Network is the name or id of a network of this host.
	Network string `json:"network"`
	// Force lets ports out of their quarantine.
	Force bool `json:"force"`
}

// Released is the reply of isonet/release.
type Released struct {
	Bridge  string      `json:"bridge"`
	Network NetworkName `json:"network"`
	// Unquarantined are the ports that were cut off and got their VLAN settings
	// back.
	Unquarantined []string `json:"unquarantined"`
	// Protected are the ports that still reach only those that are not: their
	// column protected stays true.
	Protected []string `json:"protected"`
}

// PruneRequest is the body of POST isonet/prune.
type PruneRequest struct {
	// Network is the name or id of a network of this host.
	Network string `json:"network"`
}

// Pruned is the reply of isonet/prune.
type Pruned struct {
	Network NetworkName `json:"network"`
	// Ports are those that were removed, because their devices had vanished.
	Ports []string `json:"ports"`
}

// adoptBridge answers POST isonet/adopt: a bridge of this host that isonet did
// not make becomes a network's, if it is shown to be isolated.
func (a *API) adoptBridge(c *call) error {
	var request AdoptRequest
	if err := c.readJSON(&request); err != nil {
		return err
	}
	if request.Bridge == "" || request.Network == "" {
		return refuse(errIncomplete, "An adoption needs the name of a bridge and of a network.")
	}
	var done Adoption
	o := change.Options{Undone: func(d *model.Desired) {
		// Open vSwitch may have made it the network's already.
		if _, attached := d.AttachmentOf(a.loop.Status().HostID, done.Network.ID); !attached {
			d.GiveBack(a.loop.Status().HostID, done.Network.ID)
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

func adopt(d *model.Desired, status reconcile.Status, request AdoptRequest) (Adoption, error) {
	if err := change.Realisable(status); err != nil {
		return Adoption{}, err
	}
	b, there := status.Actual.Bridges[request.Bridge]
	if !there {
		return Adoption{}, model.NotFoundf("Cannot adopt Bridge. The host has no bridge '%s'.", request.Bridge)
	}
	if owner := b.Network; owner != "" {
		return Adoption{}, model.Conflictf("Cannot adopt Bridge. The bridge '%s' is isonet's already: it belongs to the network %s.", b.Name, owner)
	}
	n, exists := named(d, request.Network)
	if !exists {
		var err error
		if n, err = madeFor(d, request.Network, b); err != nil {
			return Adoption{}, err
		}
	} else if other, has := status.Actual.BridgeOf(n.ID); has {
		return Adoption{}, model.Conflictf("Cannot adopt Bridge. The network '%s' has the bridge '%s' on this host already.", n.Name, other.Name)
	}
	if err := d.Adopt(status.HostID, n.ID, b.Name, b.UUID); err != nil {
		return Adoption{}, err
	}
	for _, conflict := range reconcile.Conflicts(d, status.HostID, status.Actual) {
		if conflict.Network.ID == n.ID {
			return Adoption{}, model.Conflictf("Cannot adopt Bridge. %s.", strings.ToUpper(conflict.Reason[:1])+conflict.Reason[1:])
		}
	}
	return Adoption{Bridge: b.Name, Network: NetworkName{n.ID, n.Name}, Created: !exists, MTU: n.EffectiveMTU()}, nil
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
	var request ReleaseRequest
	if err := c.readJSON(&request); err != nil {
		return err
	}
	n, err := existing(a.store.Snapshot(), request.Network)
	if err != nil {
		return err
	}
	var done Released
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
		return model.Join(done.forbidden(n, bridge, request.Force), d.Release(status.HostID, n.ID))
	})
	if err != nil {
		return err
	}
	return c.sendJSON(http.StatusOK, done)
}

// releasedOf says what becomes of a network's bridge that is given back.
func releasedOf(n model.Network, b plan.Bridge) Released {
	r := Released{Bridge: b.Name, Network: NetworkName{n.ID, n.Name}, Unquarantined: []string{}, Protected: []string{}}
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

// forbidden says why the bridge must not be given back as it is now.
func (r Released) forbidden(n model.Network, b plan.Bridge, force bool) error {
	if b.DatapathType == plan.ResetDatapath || b.FailMode == plan.SecureFailMode && !n.Strict {
		return model.Conflictf("Cannot release the network '%s'. Its bridge is just being put in order: try again.", n.Name)
	}
	if len(r.Unquarantined) > 0 && !force {
		return model.Refuse(model.ErrConflict, model.InQuarantine, "Cannot release the network '%s'. The port(s) '%s' are in quarantine and would be let out: unplug them, or force it with force=true.",
			n.Name, strings.Join(r.Unquarantined, ","))
	}
	return nil
}

// prunePorts answers POST isonet/prune: it removes the ports of a network whose
// devices vanished.
func (a *API) prunePorts(c *call) error {
	var request PruneRequest
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
	return c.sendJSON(http.StatusOK, Pruned{Network: NetworkName{n.ID, n.Name}, Ports: append([]string{}, ports...)})
}
