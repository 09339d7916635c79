package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
)

// maxConnectivityTimeout bounds how long a client can make a write wait.
const maxConnectivityTimeout = time.Hour

// setupNetworks answers POST hosts/{id}/setupnetworks: any number of changes of
// one host, all of them or none.
func (a *API) setupNetworks(c *call) (document, error) {
	var action actionDTO
	if err := c.read(&action); err != nil {
		return nil, err
	}
	o, err := action.options(c)
	if err != nil {
		return nil, err
	}
	// The networks to wait for are known before the change, because it is for
	// existing attachments that a client asks to be synchronized.
	v := a.view(c)
	if o.also, err = action.synchronized(c, v); err != nil {
		return nil, err
	}
	_, err = a.write(c, o, func(d *model.Desired) error {
		h, err := c.host(d)
		if err != nil {
			return err
		}
		s := setup{host: h.ID, own: v.nics, action: &action, before: d.Clone(), desired: d}
		return s.run()
	})
	if err != nil {
		return nil, err
	}
	return &actionDTO{
		Async: action.Async, CheckConnectivity: action.CheckConnectivity, CommitOnSuccess: action.CommitOnSuccess,
		ConnectivityTimeout: action.ConnectivityTimeout, Force: action.Force, Status: "complete",
	}, nil
}

func (action *actionDTO) options(c *call) (options, error) {
	o := options{force: c.flag("force") || bool(value(action.Force))}
	o.timeout = time.Duration(value(action.ConnectivityTimeout)) * time.Second
	if o.timeout < 0 || o.timeout > maxConnectivityTimeout {
		return o, refuse(errValue, "The connectivity_timeout must be from 0 (the default of %d) to %d seconds.",
			int(realiseTimeout.Seconds()), int(maxConnectivityTimeout.Seconds()))
	}
	return o, nil
}

// synchronized returns the networks of the attachments that the client wants to
// be in sync. The loop keeps all of them so; what is left is to wait for it.
// That can be seen on this host only.
func (action *actionDTO) synchronized(c *call, v *view) ([]model.ID, error) {
	h, err := c.host(v.desired)
	if err != nil {
		return nil, err
	}
	var networks []model.ID
	for _, item := range action.SynchronizedNetworkAttachments.items() {
		id, _ := model.ParseID(item.ID)
		at, ok := attachmentByID(v.desired, h.ID, id)
		if !ok {
			return nil, model.NotFoundf("Entity not found: %s", item.ID)
		}
		if h.ID == v.status.HostID {
			networks = append(networks, at.Network)
		}
	}
	return networks, nil
}

// setup is one run of setupnetworks on a copy of the desired state. What the
// action names is looked up in the state before it.
type setup struct {
	host            model.ID
	own             ownNICs
	action          *actionDTO
	before, desired *model.Desired
}

func (s *setup) run() error {
	if err := s.refuseBonds(); err != nil {
		return err
	}
	if err := s.refuseLabels(); err != nil {
		return err
	}
	modified, err := s.modified()
	if err != nil {
		return err
	}
	removed, err := s.removed(modified)
	if err != nil {
		return err
	}
	return s.apply(modified, removed)
}

// apply changes the desired state. Removed labels come first, so that a network
// can be detached together with the label that attached it; new labels come
// last, so that what is attached by itself is explicit.
func (s *setup) apply(modified, removed []target) error {
	if err := s.removeLabels(); err != nil {
		return err
	}
	if err := s.detach(removed); err != nil {
		return err
	}
	for _, t := range modified {
		if _, err := t.item.attach(s.desired, s.own, s.host, t.network.ID); err != nil {
			return err
		}
	}
	if err := s.addLabels(); err != nil {
		return err
	}
	return s.detach(removed) // refuses those that a new label attaches
}

func (s *setup) refuseBonds() error {
	if err := s.action.ModifiedBonds.refuse(); err != nil {
		return err
	}
	return s.action.RemovedBonds.refuse()
}

// refuseLabels refuses labels without text, with a NIC or named twice.
func (s *setup) refuseLabels() error {
	seen := map[string]bool{}
	var twice []string
	for _, l := range slices.Concat(s.action.ModifiedLabels.items(), s.action.RemovedLabels.items()) {
		if l.ID == "" {
			return refuse(errIncomplete, "NetworkLabel [id] required for setupNetworks")
		}
		if err := l.HostNIC.refuse(s.own, s.host); err != nil {
			return err
		}
		if seen[l.ID] {
			twice = append(twice, l.ID)
		}
		seen[l.ID] = true
	}
	if len(twice) > 0 {
		return model.Invalidf("Cannot setup Networks. Labels '%s' appear in the 'labels/removed labels' lists more than once.", strings.Join(twice, ","))
	}
	return nil
}

func (s *setup) removeLabels() error {
	for _, l := range s.action.RemovedLabels.items() {
		if !slices.Contains(s.before.Hosts[s.host].Labels, l.ID) {
			return model.Invalidf("Cannot setup Networks. Label '%s' cannot be removed, since it isn't attached to the host.", l.ID)
		}
		if err := s.desired.RemoveLabel(s.host, l.ID); err != nil {
			return err
		}
	}
	return nil
}

// addLabels adds the labels that the host does not have yet.
func (s *setup) addLabels() error {
	for _, l := range s.action.ModifiedLabels.items() {
		if slices.Contains(s.desired.Hosts[s.host].Labels, l.ID) {
			continue
		}
		if err := s.desired.AddLabel(s.host, l.ID); err != nil {
			return err
		}
	}
	return nil
}

// target is an attachment of the action with the network that it is about.
type target struct {
	network model.Network
	item    *attachmentDTO
}

// modified finds the networks to attach or update.
func (s *setup) modified() ([]target, error) {
	var targets []target
	for _, item := range s.action.ModifiedNetworkAttachments.items() {
		n, err := s.modifiedNetwork(item)
		if err != nil {
			return nil, err
		}
		targets = append(targets, target{n, item})
	}
	return targets, refuseTwice(targets)
}

func (s *setup) modifiedNetwork(item *attachmentDTO) (model.Network, error) {
	if item.ID == "" {
		if !item.namesNetwork() {
			return model.Network{}, model.Invalidf("Cannot setup Networks. There's unset networkId or networkName among given network attachments. At least one of them should be set.")
		}
		return referred(s.before, item.Network)
	}
	id, _ := model.ParseID(item.ID)
	at, ok := attachmentByID(s.before, s.host, id)
	if !ok {
		return model.Network{}, model.Invalidf("Cannot setup Networks. Updated Network Attachment (id '%s') does not exist.", item.ID)
	}
	return s.before.Networks[at.Network], item.keepsNetwork(s.before, at)
}

// removed finds the networks to detach.
func (s *setup) removed(modified []target) ([]target, error) {
	var targets []target
	var missing []string
	for _, item := range s.action.RemovedNetworkAttachments.items() {
		n, found, err := s.removedNetwork(item)
		if err != nil {
			return nil, err
		}
		if !found {
			missing = append(missing, item.describe())
			continue
		}
		if slices.ContainsFunc(modified, func(t target) bool { return t.network.ID == n.ID }) {
			return nil, model.Invalidf("Cannot setup Networks. Cannot remove and update a Network Attachment simultaneously. The same network attachment ('%s') appears in both 'network attachments' and 'removed network attachments' lists.",
				model.AttachmentID(s.host, n.ID))
		}
		targets = append(targets, target{n, item})
	}
	if len(missing) > 0 {
		return nil, model.Invalidf("Cannot setup Networks. Cannot remove following Network Attachments, because they do not exist: %s.", strings.Join(missing, ", "))
	}
	return targets, refuseTwice(targets)
}

func (s *setup) removedNetwork(item *attachmentDTO) (n model.Network, found bool, err error) {
	if item.ID != "" {
		id, _ := model.ParseID(item.ID)
		at, ok := attachmentByID(s.before, s.host, id)
		if !ok {
			return n, false, nil
		}
		return s.before.Networks[at.Network], true, item.keepsNetwork(s.before, at)
	}
	if !item.namesNetwork() {
		return n, false, model.Invalidf("Cannot setup Networks. There's unset networkId or networkName among given network attachments. At least one of them should be set.")
	}
	if n, err = referred(s.before, item.Network); err != nil {
		return n, false, err
	}
	_, found = s.before.AttachmentOf(s.host, n.ID)
	return n, found, nil
}

// describe names an attachment as the client did.
func (d *attachmentDTO) describe() string {
	switch {
	case d.ID != "":
		return d.ID
	case value(d.Network.Name) != "":
		return *d.Network.Name
	}
	return d.Network.ID
}

func refuseTwice(targets []target) error {
	seen := map[model.ID]bool{}
	var twice []string
	for _, t := range targets {
		if seen[t.network.ID] {
			twice = append(twice, t.network.Name)
		}
		seen[t.network.ID] = true
	}
	if len(twice) > 0 {
		return model.Conflictf("Cannot setup Networks. The following Logical Networks are attached to more than one Network Interface: %s. Name each network once.", strings.Join(twice, ","))
	}
	return nil
}

func (s *setup) detach(removed []target) error {
	for _, t := range removed {
		if _, still := s.desired.AttachmentOf(s.host, t.network.ID); !still {
			continue // such as one that went with its label
		}
		if err := s.desired.Detach(s.host, t.network.ID); err != nil {
			return err
		}
	}
	return nil
}

// commitNetConfig answers POST hosts/{id}/commitnetconfig. Every change is
// durable when it is answered, so that there is nothing left to commit.
func (a *API) commitNetConfig(c *call) (document, error) {
	return a.hostAction(c, func(model.ID) error { return nil })
}

// syncAllNetworks answers POST hosts/{id}/syncallnetworks: it waits until all
// networks of the host are as they must be.
func (a *API) syncAllNetworks(c *call) (document, error) {
	return a.hostAction(c, func(host model.ID) error {
		status := a.loop.Status()
		if status.HostID != "" && status.HostID != host {
			return nil
		}
		if !status.Connected {
			return unreachable(status)
		}
		d := a.store.Snapshot()
		var networks []model.ID
		for _, n := range d.HostNetworks(host) {
			networks = append(networks, n.ID)
		}
		ctx, cancel := context.WithTimeout(c.r.Context(), realiseTimeout)
		defer cancel()
		return a.loop.WaitFor(ctx, d.Revision, networks...)
	})
}

// hostAction reads an action without parameters and does it.
func (a *API) hostAction(c *call, do func(host model.ID) error) (document, error) {
	if err := c.read(&actionDTO{}); err != nil {
		return nil, err
	}
	h, err := c.host(a.store.Snapshot())
	if err != nil {
		return nil, err
	}
	if err := do(h.ID); err != nil {
		return nil, err
	}
	done := complete()
	done.Host = &entity{Href: c.base + "/hosts/" + string(h.ID), ID: string(h.ID)}
	return done, nil
}
