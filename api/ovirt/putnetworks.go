package ovirt

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// networksRequest is the body of POST isonet/networks: networks in the form of
// POST and PUT networks. What GET networks replies is one.
type networksRequest struct {
	networksDTO
	// RemovedNetworks are named by their ids or names.
	RemovedNetworks *networksDTO `json:"removed_networks,omitempty"`
	// SetupNetworks is a setupnetworks of its member host, done after the networks are
	// created and changed.
	SetupNetworks *actionDTO `json:"setup_networks,omitempty"`
	Force         *boolean   `json:"force,omitempty"`
	// ConnectivityTimeout is that of setupnetworks.
	ConnectivityTimeout *integer `json:"connectivity_timeout,omitempty"`
}

// putAll answers POST isonet/networks: it makes, changes and removes any number of
// networks and changes a host in one write, all of it or nothing.
func (r networkResource) putAll(c *rest.Call) error {
	var request networksRequest
	if err := c.ReadLargeJSON(&request, rest.Large); err != nil {
		return err
	}
	o, err := request.options(c)
	if err != nil {
		return err
	}
	var done wire.PutNetworks
	_, err = r.Write(c, o, func(d *model.Desired) error {
		own := r.ownNICs()
		var wrong []error
		done, wrong = putAll(d, own, r.strict(), request.Network, request.RemovedNetworks.items())
		if len(wrong) > 0 { // else names are left to Validate
			wrong = append(wrong, d.ValidateNames())
		} else if request.SetupNetworks != nil {
			wrong = append(wrong, request.SetupNetworks.runOn(d, own))
		}
		return model.Join(wrong...)
	})
	if err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, done)
}

// options returns those of the write, or all that is wrong before any state is
// looked at.
func (r *networksRequest) options(c *rest.Call) (change.Options, error) {
	if n := len(r.Network) + len(r.RemovedNetworks.items()); n > wire.MostNetworks {
		return change.Options{}, model.Invalidf("The request has %d networks; the limit is %d: send several requests.", n, wire.MostNetworks)
	}
	timeout, err := rest.Patience(int(value(r.ConnectivityTimeout)))
	wrong := []error{err}
	for i, item := range r.Network {
		wrong = append(wrong, about(i, item, item.refuseForm())...)
	}
	o := change.Options{Timeout: timeout, Force: c.Flag("force") || bool(value(r.Force))}
	if action := r.SetupNetworks; action != nil {
		wrong = append(wrong, action.refuseForm())
		if action.Host == nil || action.Host.ID == "" {
			wrong = append(wrong, rest.Refuse(rest.ErrIncomplete, "Host [id] required for setup_networks"))
		}
		if len(action.SynchronizedNetworkAttachments.items()) > 0 {
			wrong = append(wrong, model.Invalidf("A setup_networks cannot have synchronized_network_attachments: send them to the host's setupnetworks."))
		}
		o.Force = o.Force || bool(value(action.Force))
		if action.Host != nil {
			o.Host, _ = model.ParseID(action.Host.ID)
		}
	}
	return o, model.Join(wrong...)
}

// runOn runs the action on the host that it names.
func (action *actionDTO) runOn(d *model.Desired, own ownNICs) error {
	id, _ := model.ParseID(action.Host.ID)
	if _, exists := d.Hosts[id]; !exists {
		return model.Unknown(action.Host.ID)
	}
	s := setup{host: id, own: own, action: action, before: d.Clone(), attached: attachmentsByID(d, id), desired: d}
	return s.run()
}

// putAll puts all entries, removes others, and returns what became of them, with all
// that is wrong. The names of entries are those from before the request.
func putAll(d *model.Desired, own ownNICs, strict bool, items, removed []*networkDTO) (wire.PutNetworks, []error) {
	byName := make(map[string]model.Network, len(d.Networks)+len(items))
	for _, n := range d.Networks {
		byName[n.Name] = n
	}
	done := wire.PutNetworks{Networks: make([]wire.PutNetwork, len(items)+len(removed))}
	seen := make(map[model.ID]bool, len(items)+len(removed))
	var wrong []error
	for i, item := range items {
		have, err := item.present(d, byName)
		if err == nil && seen[have.ID] {
			err = errTwice
		}
		if err != nil {
			wrong = append(wrong, about(i, item, err)...)
			continue
		}
		put, err := item.put(d, own, strict, have)
		wrong = append(wrong, about(i, item, err)...)
		seen[put.ID] = true
		outcome := wire.Changed
		switch {
		case have.ID == "":
			outcome = wire.Created
			byName[put.Name] = put // for an entry that names it again
		case put == have:
			outcome = wire.Unchanged
		}
		done.Networks[i] = wire.PutNetwork{NetworkName: wire.NetworkName{ID: string(put.ID), Name: put.Name}, Outcome: outcome}
	}
	for i, item := range removed {
		n, err := item.removable(d, byName)
		if err == nil && seen[n.ID] {
			err = errTwice
		}
		wrong = append(wrong, about(len(items)+i, item, err)...)
		seen[n.ID] = true
		done.Networks[len(items)+i] = wire.PutNetwork{NetworkName: wire.NetworkName{ID: string(n.ID), Name: n.Name}, Outcome: wire.Removed}
	}
	if len(wrong) > 0 {
		return done, wrong
	}
	for _, n := range done.Networks[len(items):] {
		if err := d.RemoveNetwork(model.ID(n.ID)); err != nil {
			wrong = append(wrong, err)
		}
	}
	return done, wrong
}

var errTwice = model.Invalidf("The network is in the request more than once: name each network once.")

// removable returns the network that an entry removes, under its name from before the
// request.
func (d *networkDTO) removable(desired *model.Desired, byName map[string]model.Network) (model.Network, error) {
	n, err := d.present(desired, byName)
	if err == nil && n.ID == "" {
		err = model.NotFoundf("There is no network '%s'.", *d.Name)
	}
	return n, err
}

// present returns the network that an entry changes, which has no id if the
// entry makes a new one.
func (d *networkDTO) present(desired *model.Desired, byName map[string]model.Network) (model.Network, error) {
	if d.ID == "" {
		if value(d.Name) == "" {
			return model.Network{}, errNameless
		}
		return byName[*d.Name], nil
	}
	id, _ := model.ParseID(d.ID)
	n, exists := desired.Networks[id]
	if !exists {
		return model.Network{}, model.Unknown(d.ID)
	}
	return n, nil
}

// put makes the network that an entry asks for, or changes the one that is there.
func (d *networkDTO) put(desired *model.Desired, own ownNICs, strict bool, have model.Network) (model.Network, error) {
	if have.ID == "" {
		return d.made(own, strict, desired.PutNetwork)
	}
	var put model.Network
	err := d.change(have, own, func(n model.Network) (err error) {
		put, err = desired.PutNetwork(n)
		return err
	})
	return put, err
}

// about says of all refusals which entry they are about.
func about(index int, item *networkDTO, err error) []error {
	if err == nil {
		return nil
	}
	entry := fmt.Sprintf("Network %d of the request", index+1)
	if name := value(item.Name); name != "" {
		entry = "Network '" + name + "'"
	} else if item.ID != "" {
		entry = "Network " + item.ID
	}
	refusals, several := errors.AsType[model.Refusals](err)
	if !several {
		refusals = model.Refusals{err}
	}
	for i, refusal := range refusals {
		refusals[i] = &entryError{entry, refusal}
	}
	return refusals
}
