package api

import (
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// updateHost answers PUT hosts/{id}. What an operator can change of a host is its
// name: it then no longer follows that of the machine.
func (a *API) updateHost(c *call) (document, error) {
	var body hostDTO
	if err := c.read(&body); err != nil {
		return nil, err
	}
	f, err := c.follow(hostLinks())
	if err != nil {
		return nil, err
	}
	var id model.ID
	after, err := a.write(c, change.Options{}, func(d *model.Desired) error {
		h, err := c.host(d)
		if err != nil {
			return err
		}
		id = h.ID
		if err := sameID(body.entity, id); err != nil {
			return err
		}
		if body.Name == nil || *body.Name == h.Name {
			return nil
		}
		return d.RenameHost(id, *body.Name)
	})
	if err != nil {
		return nil, err
	}
	return a.viewOf(c, after).host(after.Hosts[id], f), nil
}

// removeHost answers DELETE hosts/{id}, for hosts that are gone for good. The
// daemon's own host is not; of others it does not know, so that one that still
// has networks takes force.
func (a *API) removeHost(c *call) (document, error) {
	force := c.flag("force")
	_, err := a.write(c, change.Options{}, func(d *model.Desired) error {
		h, err := c.host(d)
		if err != nil {
			return err
		}
		if h.ID == a.loop.Status().HostID {
			return model.Conflictf("Cannot remove Host. Host is operational. Please switch Host to Maintenance mode first. The host '%s' runs this isonetd: stop it, and remove the host by the isonetd of another one.", h.Name)
		}
		if networks := len(d.On(h.ID)); !force && (networks > 0 || len(h.Labels) > 0) {
			return model.Refuse(model.ErrConflict, model.HostNotEmpty, "Cannot remove Host. The host '%s' still has %d networks and %d labels, and this isonetd does not see whether it is alive: detach them first, or use force=true if the host is gone for good.",
				h.Name, networks, len(h.Labels))
		}
		return d.RemoveHost(h.ID)
	})
	return complete(), err
}
