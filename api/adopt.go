package api

import (
	"context"
	"net/http"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
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
	var made change.Adoption
	_, err := a.run(c, change.Options{}, func(ctx context.Context, o change.Options) (done change.Done, err error) {
		made, done, err = a.writer.Adopt(ctx, o, request.Bridge, request.Network)
		return done, err
	})
	if err != nil {
		return err
	}
	return c.sendJSON(http.StatusOK, wire.Adoption{
		Bridge: request.Bridge, Network: networkName(made.Network), Created: made.Created, MTU: made.Network.EffectiveMTU(),
	})
}

func networkName(n model.Network) wire.NetworkName {
	return wire.NetworkName{ID: string(n.ID), Name: n.Name}
}

// existing finds the network of a request by its id or name.
func existing(d *model.Desired, reference string) (model.Network, error) {
	if reference == "" {
		return model.Network{}, refuse(errIncomplete, "The request needs the name or id of a network.")
	}
	n, exists := d.FindNetwork(reference)
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
	var released change.Released
	_, err = a.run(c, change.Options{Force: request.Force}, func(ctx context.Context, o change.Options) (done change.Done, err error) {
		released, done, err = a.writer.Release(ctx, o, n.ID)
		return done, err
	})
	if err != nil {
		return err
	}
	return c.sendJSON(http.StatusOK, wire.Released{
		Bridge: released.Bridge, Network: networkName(n), Unquarantined: released.Unquarantined, Protected: released.Protected,
	})
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
