package native

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// Routes returns isonet's own resources. Draft gives the whole API over a draft of the
// desired state, for plans. The issuer is nil where machines cannot join.
func Routes(b rest.Backend, issuer Issuer, draft func() (*rest.Mux, *change.Draft)) []rest.Route {
	r, tokens := resources{b, draft}, tokens{issuer}
	return []rest.Route{
		{Pattern: "GET /isonet/status", Handle: r.getStatus},
		{Pattern: "GET /isonet/hosts", Handle: r.listHosts},
		{Pattern: "GET /isonet/watch", Handle: r.watchStatus},
		{Pattern: "GET /isonet/history", Handle: r.getHistory},
		{Pattern: "GET /isonet/plan", Handle: r.getPlan},
		{Pattern: "POST /isonet/plan", Handle: r.makePlan, Unplanned: true},
		{Pattern: "GET /isonet/http_sd", Handle: r.discoverHosts},
		{Pattern: "GET /isonet/backup", Handle: r.getBackup},
		{Pattern: "POST /isonet/restore", Handle: r.restoreBackup},
		{Pattern: "POST /isonet/adopt", Handle: r.adoptBridge},
		{Pattern: "POST /isonet/release", Handle: r.releaseBridge},
		{Pattern: "POST /isonet/prune", Handle: r.prunePorts, Unplanned: true},
		{Pattern: "POST /isonet/register", Handle: r.registerHost},
		{Pattern: "POST /isonet/guard/release", Handle: r.releaseDevice, Unplanned: true},
		{Pattern: "GET /isonet/tokens", Handle: tokens.list},
		{Pattern: "POST /isonet/tokens", Handle: tokens.make, Unplanned: true},
		{Pattern: "DELETE /isonet/tokens/{token}", Handle: tokens.revoke, Unplanned: true},
	}
}

// status is what isonetd knows of its host now.
func (r resources) status() wire.Status {
	s := Status(Moment{
		Desired: r.Store.Snapshot(), Status: r.Loop.Status(), Traffic: r.Traffic.Traffic(), Ports: r.Traffic.Ports(),
	})
	if trouble := r.History.Health().Trouble; trouble != nil {
		s.Notices = append(s.Notices, wire.Notice{
			Text:   fmt.Sprintf("nothing can be kept in the history of who did what: %v", trouble),
			Remedy: "make room on the disk of state-dir, or mend what is wrong there; isonetd keeps trying",
		})
	}
	return s
}

func (r resources) getStatus(c *rest.Call) error {
	r.TellStale(c)
	if host := c.Query().Get("host"); host != "" {
		s, own, err := r.statusOf(host)
		switch {
		case err != nil:
			return err
		case !own:
			return c.SendJSON(http.StatusOK, s)
		}
	} else if err := change.Here(r.Loop.Status()); err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, r.status())
}

// watchStatus sends the status in a line of JSON at once and after each change, or
// only what differs if the client asks for deltas. Changes that come faster than the
// client reads become one line.
func (r resources) watchStatus(c *rest.Call) error {
	if err := change.Here(r.Loop.Status()); err != nil {
		return err
	}
	stream, err := c.Stream("application/x-ndjson")
	if err != nil || stream == nil {
		return err
	}
	next := whole()
	if c.Flag("deltas") {
		next = new(wire.Deltas).Next
	}
	for {
		changed := r.Loop.Changed()
		r.follow(c)
		line, err := next(r.status())
		if err != nil {
			return err
		}
		if line != nil && stream.Line(line) != nil {
			return nil // the client is gone
		}
		if !stream.Wait(changed) {
			return nil
		}
	}
}

// followPatience is how long a watch waits for the store before it tells what is known.
const followPatience = time.Second

// follow waits until the store is what its database has, for a moment at most: it may
// rest between two changes.
func (r resources) follow(c *rest.Call) {
	ctx, done := context.WithTimeout(c.Context(), followPatience)
	defer done()
	select {
	case <-r.Store.Ready():
	case <-ctx.Done():
	}
}

// whole makes a line of each status, nil of one that is the same as before.
func whole() func(wire.Status) ([]byte, error) {
	var last []byte
	return func(s wire.Status) ([]byte, error) {
		line, err := json.Marshal(s)
		if bytes.Equal(line, last) {
			return nil, err
		}
		last = bytes.Clone(line) // a line is the stream's
		return line, err
	}
}

// getPlan tells what would be changed for the desired state as it is, which is
// nothing unless somebody has just changed something.
func (r resources) getPlan(c *rest.Call) error { return r.sendPlan(c, r.Store.Snapshot()) }

// makePlan does writes in a draft and tells what would be changed for it. It refuses
// what is refused of the first write that is.
func (r resources) makePlan(c *rest.Call) error {
	var request wire.PlanRequest
	if err := c.ReadLargeJSON(&request, rest.Large); err != nil {
		return err
	}
	mux, draft := r.draft()
	for _, w := range request.Requests {
		if err := c.Rehearse(mux, w.Method, w.Path, w.Body); err != nil {
			return err
		}
	}
	return r.sendPlan(c, draft.Leaving(r.Loop.Status().HostID))
}

func (r resources) sendPlan(c *rest.Call, desired *model.Desired) error {
	status := r.Loop.Status()
	if status.HostID == "" || !status.Connected || status.Host == nil {
		return change.Unreachable(status)
	}
	return c.SendJSON(http.StatusOK, Plan(desired, status))
}

// adoptBridge makes a bridge of this host that isonet did not make a network's, if it
// is shown to be isolated.
func (r resources) adoptBridge(c *rest.Call) error {
	var request wire.AdoptRequest
	if err := c.ReadJSON(&request); err != nil {
		return err
	}
	if request.Bridge == "" || request.Network == "" {
		return rest.Refuse(rest.ErrIncomplete, "An adoption needs the name of a bridge and of a network.")
	}
	var made change.Adoption
	_, err := c.Write(change.Options{}, func(ctx context.Context, o change.Options) (done change.Done, err error) {
		made, done, err = r.Writer.Adopt(ctx, o, request.Bridge, request.Network)
		return done, err
	})
	if err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, wire.Adoption{
		Bridge: request.Bridge, Network: networkName(made.Network), Created: made.Created, MTU: made.Network.EffectiveMTU(),
	})
}

func networkName(n model.Network) wire.NetworkName {
	return wire.NetworkName{ID: string(n.ID), Name: n.Name}
}

// existing finds the network of a request by its id or name.
func (r resources) existing(reference string) (model.Network, error) {
	if reference == "" {
		return model.Network{}, rest.Refuse(rest.ErrIncomplete, "The request needs the name or id of a network.")
	}
	n, exists := r.Store.Snapshot().FindNetwork(reference)
	if !exists {
		return model.Network{}, model.NotFoundf("There is no network '%s'; see 'isonet network list'.", reference)
	}
	return n, nil
}

// releaseBridge gives the bridge of a network back: it stays on this host, and is no
// longer isonet's.
func (r resources) releaseBridge(c *rest.Call) error {
	var request wire.ReleaseRequest
	if err := c.ReadJSON(&request); err != nil {
		return err
	}
	n, err := r.existing(request.Network)
	if err != nil {
		return err
	}
	var released change.Released
	_, err = c.Write(change.Options{Force: request.Force}, func(ctx context.Context, o change.Options) (done change.Done, err error) {
		released, done, err = r.Writer.Release(ctx, o, n.ID)
		return done, err
	})
	if err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, wire.Released{
		Bridge: released.Bridge, Network: networkName(n), Unquarantined: released.Unquarantined, Protected: released.Protected,
	})
}

// prunePorts removes the ports of a network whose devices vanished.
func (r resources) prunePorts(c *rest.Call) error {
	var request wire.PruneRequest
	if err := c.ReadJSON(&request); err != nil {
		return err
	}
	n, err := r.existing(request.Network)
	if err != nil {
		return err
	}
	c.AllowReply(change.Timeout)
	ports, err := r.Writer.Prune(c.Context(), n.ID)
	if err != nil {
		return err
	}
	var changes []history.Change
	for _, port := range ports {
		changes = append(changes, history.Change{Kind: "port", Name: port + " on " + n.Name, Did: history.Removed})
	}
	c.Did(changes...)
	return c.SendJSON(http.StatusOK, wire.Pruned{Network: networkName(n), Ports: append([]string{}, ports...)})
}

// registerHost makes the host of this machine known again, after somebody removed it.
func (r resources) registerHost(c *rest.Call) error {
	if err := c.ReadJSON(&struct{}{}); err != nil {
		return err
	}
	var made model.Host
	_, err := c.Write(change.Options{Force: c.Flag("force")}, func(ctx context.Context, o change.Options) (done change.Done, err error) {
		made, done, err = r.Writer.Register(ctx, o)
		return done, err
	})
	if err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, wire.Host{ID: string(made.ID), Name: made.Name})
}

// releaseDevice takes the host guard off a device.
func (r resources) releaseDevice(c *rest.Call) error {
	var request wire.DeviceRelease
	if err := c.ReadJSON(&request); err != nil {
		return err
	}
	if request.Device == "" {
		return rest.Refuse(rest.ErrIncomplete, "The request needs the name of a device.")
	}
	c.AllowReply(change.Timeout)
	if err := r.Writer.ReleaseDevice(c.Context(), request.Device); err != nil {
		return err
	}
	c.Did(history.Change{
		Kind: "device", Name: request.Device, Did: history.Updated,
		Members: []history.Member{{Name: "host_guard", Before: "on", After: "off"}},
	})
	return c.SendJSON(http.StatusOK, request)
}
