package ovirt

import (
	"maps"
	"slices"
	"strings"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// setupResource is the actions on hosts.
type setupResource struct{ site }

// setupNetworks answers POST hosts/{id}/setupnetworks: any number of changes of
// one host, all of them or none.
func (r setupResource) setupNetworks(c *rest.Call) (rest.Document, error) {
	var action actionDTO
	if err := c.ReadOptional(&action); err != nil {
		return nil, err
	}
	if err := action.refuseForm(); err != nil {
		return nil, err
	}
	o, err := action.options(c)
	if err != nil {
		return nil, err
	}
	// The networks to wait for are known before the change, because it is for
	// existing attachments that a client asks to be synchronized.
	v := r.view(c)
	if o.Also, err = action.synchronized(c, v); err != nil {
		return nil, err
	}
	_, err = r.Write(c, o, func(d *model.Desired) error {
		h, err := hostAt(c, d)
		if err != nil {
			return err
		}
		s := setup{host: h.ID, own: v.nics, action: &action, before: d.Clone(), attached: attachmentsByID(d, h.ID), desired: d}
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

func (action *actionDTO) options(c *rest.Call) (change.Options, error) {
	timeout, err := rest.Patience(int(value(action.ConnectivityTimeout)))
	o := aboutHost(c, c.Flag("force") || bool(value(action.Force)))
	o.Timeout = timeout
	return o, err
}

// refuseForm refuses what is not even sound before any state is looked at.
func (action *actionDTO) refuseForm() error {
	var wrong []error
	for _, l := range slices.Concat(action.ModifiedLabels.items(), action.RemovedLabels.items()) {
		if l.ID == "" {
			wrong = append(wrong, rest.Refuse(rest.ErrIncomplete, "NetworkLabel [id] required for setupNetworks"))
		}
	}
	for _, item := range action.ModifiedNetworkAttachments.items() {
		wrong = append(wrong, item.refuseForm())
	}
	for _, item := range action.SynchronizedNetworkAttachments.items() {
		if item.ID == "" {
			wrong = append(wrong, rest.Refuse(rest.ErrIncomplete, "NetworkAttachment [id] required for synchronize"))
		}
	}
	return model.Join(wrong...)
}

// synchronized returns the networks of the attachments that the client wants to
// be in sync. The loop keeps all of them so; what is left is to wait for it.
func (action *actionDTO) synchronized(c *rest.Call, v *view) ([]model.ID, error) {
	h, err := hostAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	items := action.SynchronizedNetworkAttachments.items()
	if len(items) == 0 {
		return nil, nil
	}
	attached := attachmentsByID(v.desired, h.ID)
	var networks []model.ID
	var missing []error
	for _, item := range items {
		id, _ := model.ParseID(item.ID)
		at, ok := attached[id]
		if !ok {
			missing = append(missing, model.Unknown(item.ID))
		}
		networks = append(networks, at.Network)
	}
	if err := model.Join(missing...); err != nil {
		return nil, err
	}
	return networks, v.visible("setup", h)
}

// visible refuses to synchronize a host that is not heard of.
func (v *view) visible(action string, h model.Host) error {
	s, known := v.statusOf(h.ID)
	switch {
	case known && s.Reports():
		return nil
	case known:
		return model.Conflictf("Cannot %s Networks. Operation can be performed only when Host status is Up. The host '%s' is not: %s.", action, h.Name, s.Lacks())
	case v.status.HostID == "" && (!v.status.Nowhere || v.others == nil):
		return change.Unreachable(v.status)
	case v.others != nil:
		return model.Conflictf("Cannot %s Networks. Operation can be performed only when Host status is Up. The host '%s' has never reported: check that isonetd runs there and reaches the servers of fleet-status.",
			action, h.Name)
	}
	return model.Conflictf("Cannot %s Networks. Operation can be performed only when Host status is Up. Ask the isonetd of the host '%s': this one sees the Open vSwitch of the host '%s' only.",
		action, h.Name, v.desired.Hosts[v.status.HostID].Name)
}

// attachmentsByID returns a host's attachments, for requests that name many.
func attachmentsByID(d *model.Desired, host model.ID) map[model.ID]model.Attachment {
	list := d.On(host)
	byID := make(map[model.ID]model.Attachment, len(list))
	for _, at := range list {
		byID[at.ID] = at
	}
	return byID
}

// setup is one run of setupnetworks on a copy of the desired state. What the
// action names is looked up in the state before it. It goes on after a refusal,
// so that the client gets all of them at once.
type setup struct {
	host            model.ID
	own             ownNICs
	action          *actionDTO
	before, desired *model.Desired
	attached        map[model.ID]model.Attachment // before, by id
	refusals        []error
}

// run changes the desired state. Removed labels come first, so that a network
// can be detached together with the label that attached it; new labels come
// last, so that what is attached by itself is explicit.
func (s *setup) run() error {
	s.refuse(s.action.ModifiedBonds.refuse(), s.action.RemovedBonds.refuse())
	s.refuseLabels()
	modified := s.modified()
	removed := s.removed(modified)
	s.removeLabels()
	s.detach(removed)
	for _, t := range modified {
		_, err := t.item.attach(s.desired, s.host, t.network.ID)
		s.refuse(err)
	}
	s.addLabels()
	s.detach(removed) // refuses those that a new label attaches
	return model.Join(s.refusals...)
}

func (s *setup) refuse(errs ...error) { s.refusals = append(s.refusals, errs...) }

// refuseLabels refuses labels with a NIC or named twice.
func (s *setup) refuseLabels() {
	var names []string
	for _, l := range slices.Concat(s.action.ModifiedLabels.items(), s.action.RemovedLabels.items()) {
		s.refuse(l.HostNIC.refuse(s.own, s.host))
		names = append(names, l.ID)
	}
	if twice := repeated(names); len(twice) > 0 {
		s.refuse(model.Invalidf("Cannot setup Networks. Labels '%s' appear in the 'labels/removed labels' lists more than once.", strings.Join(twice, ",")))
	}
}

// repeated returns what is more than once in a list, sorted.
func repeated(list []string) []string {
	counts := map[string]int{}
	for _, s := range list {
		counts[s]++
	}
	maps.DeleteFunc(counts, func(_ string, n int) bool { return n == 1 })
	return slices.Sorted(maps.Keys(counts))
}

func (s *setup) removeLabels() {
	for _, l := range s.action.RemovedLabels.items() {
		if !slices.Contains(s.before.Hosts[s.host].Labels, l.ID) {
			s.refuse(model.Invalidf("Cannot setup Networks. Label '%s' cannot be removed, since it isn't attached to the host.", l.ID))
			continue
		}
		s.refuse(s.desired.RemoveLabel(s.host, l.ID))
	}
}

// addLabels adds the labels that the host does not have yet.
func (s *setup) addLabels() {
	has := map[string]bool{}
	for _, label := range s.desired.Hosts[s.host].Labels {
		has[label] = true
	}
	var labels []string
	for _, l := range s.action.ModifiedLabels.items() {
		if !has[l.ID] {
			labels = append(labels, l.ID)
		}
		has[l.ID] = true
	}
	s.refuse(s.desired.AddLabel(s.host, labels...))
}

// target is an attachment of the action with the network that it is about.
type target struct {
	network model.Network
	item    *attachmentDTO
}

// modified finds the networks to attach or update.
func (s *setup) modified() []target {
	var targets []target
	for _, item := range s.action.ModifiedNetworkAttachments.items() {
		n, err := s.modifiedNetwork(item)
		s.refuse(err, item.refuse(s.own, s.host))
		if err == nil {
			targets = append(targets, target{n, item})
		}
	}
	s.refuseTwice(targets)
	return targets
}

func (s *setup) modifiedNetwork(item *attachmentDTO) (model.Network, error) {
	if item.ID == "" {
		if !item.namesNetwork() {
			return model.Network{}, errNoNetwork
		}
		return referred(s.before, item.Network)
	}
	id, _ := model.ParseID(item.ID)
	at, ok := s.attached[id]
	if !ok {
		return model.Network{}, model.Invalidf("Cannot setup Networks. Updated Network Attachment (id '%s') does not exist.", item.ID)
	}
	return s.before.Networks[at.Network], item.keepsNetwork(s.before, at)
}

var errNoNetwork = model.Invalidf("Cannot setup Networks. There's unset networkId or networkName among given network attachments. At least one of them should be set.")

// removed finds the networks to detach.
func (s *setup) removed(modified []target) []target {
	var targets []target
	var missing []string
	for _, item := range s.action.RemovedNetworkAttachments.items() {
		n, found, err := s.removedNetwork(item)
		s.refuse(err, item.HostNIC.refuse(s.own, s.host))
		switch {
		case err != nil:
		case !found:
			missing = append(missing, item.describe())
		case slices.ContainsFunc(modified, func(t target) bool { return t.network.ID == n.ID }):
			s.refuse(model.Invalidf("Cannot setup Networks. Cannot remove and update a Network Attachment simultaneously. The same network attachment ('%s') appears in both 'network attachments' and 'removed network attachments' lists.",
				model.AttachmentID(s.host, n.ID)))
		default:
			targets = append(targets, target{n, item})
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		s.refuse(model.Invalidf("Cannot setup Networks. Cannot remove following Network Attachments, because they do not exist: %s.",
			strings.Join(slices.Compact(missing), ", ")))
	}
	s.refuseTwice(targets)
	return targets
}

func (s *setup) removedNetwork(item *attachmentDTO) (n model.Network, found bool, err error) {
	if item.ID != "" {
		id, _ := model.ParseID(item.ID)
		at, ok := s.attached[id]
		if !ok {
			return n, false, nil
		}
		return s.before.Networks[at.Network], true, item.keepsNetwork(s.before, at)
	}
	if !item.namesNetwork() {
		return n, false, errNoNetwork
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

func (s *setup) refuseTwice(targets []target) {
	var names []string
	for _, t := range targets {
		names = append(names, t.network.Name)
	}
	if twice := repeated(names); len(twice) > 0 {
		s.refuse(model.Conflictf("Cannot setup Networks. The following Logical Networks are attached to more than one Network Interface: %s. Name each network once.", strings.Join(twice, ",")))
	}
}

func (s *setup) detach(removed []target) {
	for _, t := range removed {
		if _, still := s.desired.AttachmentOf(s.host, t.network.ID); still { // else it went with its label
			s.refuse(s.desired.Detach(s.host, t.network.ID))
		}
	}
}

// commitNetConfig answers POST hosts/{id}/commitnetconfig. Every change is
// durable when it is answered, so that there is nothing left to commit.
func (r setupResource) commitNetConfig(c *rest.Call) (rest.Document, error) {
	return r.act(c, func(*view, model.Host) error { return nil })
}

// syncAllNetworks answers POST hosts/{id}/syncallnetworks: it waits until all
// networks of the host are as they must be.
func (r setupResource) syncAllNetworks(c *rest.Call) (rest.Document, error) {
	return r.act(c, func(v *view, h model.Host) error {
		if err := v.visible("sync all", h); err != nil {
			return err
		}
		var networks []model.ID
		for _, n := range v.desired.HostNetworks(h.ID) {
			networks = append(networks, n.ID)
		}
		return r.Writer.Sync(c.Context(), h.ID, v.desired.Revision, networks...)
	})
}

// deactivate answers POST hosts/{id}/deactivate: it keeps new networks from the host.
func (r setupResource) deactivate(c *rest.Call) (rest.Document, error) { return r.maintain(c, true) }

// activate answers POST hosts/{id}/activate.
func (r setupResource) activate(c *rest.Call) (rest.Document, error) { return r.maintain(c, false) }

func (r setupResource) maintain(c *rest.Call, maintenance bool) (rest.Document, error) {
	if err := c.ReadOptional(&actionDTO{}); err != nil {
		return nil, err
	}
	var host model.ID
	after, err := r.Write(c, change.Options{}, func(d *model.Desired) error {
		h, err := hostAt(c, d)
		if err != nil {
			return err
		}
		host = h.ID
		return d.Maintain(host, maintenance)
	})
	if err != nil {
		return nil, err
	}
	done := complete()
	done.Host = r.viewOf(c, after).ref("hosts", host)
	return done, nil
}

// act reads an action without parameters and does it.
func (r setupResource) act(c *rest.Call, do func(*view, model.Host) error) (rest.Document, error) {
	if err := c.ReadOptional(&actionDTO{}); err != nil {
		return nil, err
	}
	v := r.view(c)
	h, err := hostAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	if err := do(v, h); err != nil {
		return nil, &failedAction{err}
	}
	done := complete()
	done.Host = v.ref("hosts", h.ID)
	return done, nil
}

// refuse refuses bonds, which are made of NICs.
func (l *nicsDTO) refuse() error {
	if l == nil || len(l.HostNIC) == 0 {
		return nil
	}
	return model.Invalidf("Cannot setup Networks. Isolated networks have no NIC, so that bonds cannot be changed: remove them from the request.")
}
