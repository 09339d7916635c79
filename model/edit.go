package model

import (
	"cmp"
	"maps"
	"reflect"
	"regexp"
	"slices"
)

// The functions of this file change a Desired that the caller owns. They hold
// the rules of single changes; Validate holds those of the whole.

// AddNetwork adds a network under a new id and the bridge name that follows
// from it, and returns it.
func (d *Desired) AddNetwork(n Network) (Network, error) { return d.AddNetworkOf(n, "") }

// AddNetworkOf adds a network as AddNetwork does, with the name of a bridge that
// exists already.
func (d *Desired) AddNetworkOf(n Network, bridge string) (Network, error) {
	if err := visible(n.Name); err != nil {
		return Network{}, err
	}
	if _, taken := d.NetworkByName(n.Name); taken {
		return Network{}, nameTaken("add", n.Name)
	}
	return d.file(n, bridge), nil
}

// file puts a new network among the others, under a new id. Without the name of a
// bridge it gets the one that follows from the id.
func (d *Desired) file(n Network, bridge string) Network {
	n.ID, n.Revision = NewID(), 1
	n.VdsmName = cmp.Or(bridge, VdsmName(n.ID, n.Name))
	d.Networks[n.ID] = n
	return n
}

// UpdateNetwork replaces a network's own attributes.
func (d *Desired) UpdateNetwork(n Network) error {
	if _, ok := d.Networks[n.ID]; !ok {
		return Unknown(n.ID)
	}
	if other, taken := d.NetworkByName(n.Name); taken && other.ID != n.ID {
		return nameTaken("update", n.Name)
	}
	_, err := d.PutNetwork(n)
	return err
}

// PutNetwork adds a network that has no id, as AddNetwork does, or replaces the
// own attributes of the one with the id, and returns what is there now. It is
// for many networks at once: whether their names are free is for ValidateNames
// to say when all of them are there.
func (d *Desired) PutNetwork(n Network) (Network, error) {
	old, ok := d.Networks[n.ID]
	if !ok && n.ID != "" {
		return Network{}, Unknown(n.ID)
	}
	if n.Name != old.Name {
		if err := visible(n.Name); err != nil {
			return Network{}, err
		}
	}
	switch {
	case n.ID == "":
		return d.file(n, ""), nil
	case n == old:
		return old, nil
	}
	n.VdsmName, n.Revision = old.VdsmName, old.Revision+1
	d.Networks[n.ID] = n
	if n.Label != "" && n.Label != old.Label {
		for _, h := range d.Hosts {
			if slices.Contains(h.Labels, n.Label) {
				d.Left(h.ID, n.ID)
			}
		}
	}
	return n, nil
}

func nameTaken(action, name string) error {
	return Refuse(ErrConflict, NameTaken, "Another network has the name '%[1]s': choose another name.", name, action)
}

// hostNamePattern is the oVirt engine's (VALIDATION_VDS_NAME_INVALID).
var hostNamePattern = regexp.MustCompile(`^[-_.0-9A-Za-z]+$`)

// CheckHostName returns an error for a name that no host may have.
func CheckHostName(name string) error {
	if !hostNamePattern.MatchString(name) {
		return Refuse(ErrInvalid, HostNameForm, "The name of a host has English letters, digits, '-', '_' and '.' only.")
	}
	return nil
}

// RenameHost gives a host a name that an operator chose, which no other host has.
func (d *Desired) RenameHost(id ID, name string) error {
	h, ok := d.Hosts[id]
	if !ok {
		return Unknown(id)
	}
	if err := CheckHostName(name); err != nil {
		return err
	}
	for _, other := range d.Hosts {
		if other.ID != id && other.Name == name {
			return Refuse(ErrConflict, HostNameTaken, "Another host has this name: choose another one.")
		}
	}
	h.Name, h.Named = name, true
	d.Hosts[id] = h
	return nil
}

// FollowName gives a host the name of its machine, unless an operator chose one.
func (d *Desired) FollowName(id ID, machine string) {
	if h, ok := d.Hosts[id]; ok && !h.Named {
		h.Name = machine
		d.Hosts[id] = h
	}
}

// RemoveHost removes a host with its labels and attachments.
func (d *Desired) RemoveHost(id ID) error {
	if _, ok := d.Hosts[id]; !ok {
		return Unknown(id)
	}
	delete(d.Hosts, id)
	maps.DeleteFunc(d.Attachments, func(_ ID, a Attachment) bool { return a.Host == id })
	return nil
}

// RemoveNetwork removes a network and its attachments.
func (d *Desired) RemoveNetwork(id ID) error {
	if _, ok := d.Networks[id]; !ok {
		return Unknown(id)
	}
	delete(d.Networks, id)
	maps.DeleteFunc(d.Attachments, func(_ ID, a Attachment) bool { return a.Network == id })
	return nil
}

// Attach attaches a network to a host explicitly, or replaces the properties
// of the explicit attachment that is there.
func (d *Desired) Attach(host, network ID, properties map[string]string) (Attachment, error) {
	h, ok := d.Hosts[host]
	if !ok {
		return Attachment{}, Unknown(host)
	}
	if _, ok := d.Networks[network]; !ok {
		return Attachment{}, Refuse(ErrInvalid, UnknownNetwork, "There is no network '%s'.", network)
	}
	if _, attached := d.AttachmentOf(host, network); !attached && h.Maintenance {
		return Attachment{}, maintained(h)
	}
	id := AttachmentID(host, network)
	d.Attachments[id] = Attachment{
		ID: id, Host: host, Network: network, Explicit: true, Properties: properties, Adopts: d.Attachments[id].Adopts,
	}
	d.Left(host, network)
	a, _ := d.AttachmentOf(host, network)
	return a, nil
}

// Detach ends an explicit attachment. It refuses one that a label of the host
// causes too, because the network would stay.
func (d *Desired) Detach(host, network ID) error {
	a, ok := d.AttachmentOf(host, network)
	if !ok {
		return Unknown(AttachmentID(host, network))
	}
	if a.Label != "" {
		return Refuse(ErrConflict, LabelAttaches, "The network '%s' stays on the host by the label '%s': take the label from the host.",
			d.Networks[network].Name, a.Label)
	}
	delete(d.Attachments, a.ID)
	return nil
}

// Adopt attaches a network to a host explicitly and lets it take over a bridge
// that isonet did not make: the one of that name and with that UUID.
func (d *Desired) Adopt(host, network ID, bridge, uuid string) error {
	n, ok := d.Networks[network]
	if !ok {
		return Unknown(network)
	}
	if n.VdsmName != bridge {
		return Refuse(ErrConflict, BridgeNamed, "Cannot adopt the bridge '%s'. The network '%s' has bridges of the name '%s', and keeps that: adopt the bridge as a network that does not exist yet, or delete this one before, to have its name.",
			bridge, n.Name, n.VdsmName)
	}
	a, err := d.Attach(host, network, d.Attachments[AttachmentID(host, network)].Properties)
	if err != nil {
		return err
	}
	kept := d.Attachments[a.ID]
	kept.Adopts = uuid
	d.Attachments[a.ID] = kept
	return nil
}

// Release detaches a network from a host and gives its bridge there back: the
// bridge stays, with its ports, and is no longer isonet's.
func (d *Desired) Release(host, network ID) error {
	n, ok := d.Networks[network]
	if !ok {
		return Unknown(network)
	}
	var wrong []error
	a, _ := d.AttachmentOf(host, network)
	switch {
	case a.Label != "" && a.Explicit:
		wrong = append(wrong, Refuse(ErrConflict, ReleaseLabelled, "Cannot release the network '%s'. The label '%s' attaches it too: take the label from the network or from the host, and it stays attached by itself; then release it.",
			n.Name, a.Label))
	case a.Label != "":
		wrong = append(wrong, Refuse(ErrConflict, ReleaseByLabel, "Cannot release the network '%s'. Only the label '%s' attaches it: attach the network by itself, take the label from the network or from the host, then release it.",
			n.Name, a.Label))
	}
	if n.Strict {
		wrong = append(wrong, Refuse(ErrConflict, ReleaseStrict, "Cannot release the network '%s'. It is strict, and its flows would stay and forward to the ports of today only: set strict to false first.", n.Name))
	}
	if err := Join(wrong...); err != nil {
		return err
	}
	delete(d.Attachments, a.ID)
	d.GiveBack(host, network)
	return nil
}

// GiveBack lets the bridges of networks that a host does not have any more stay
// there, as somebody else's.
func (d *Desired) GiveBack(host ID, networks ...ID) {
	h := d.Hosts[host]
	h.Released = with(h.Released, networks...)
	d.Hosts[host] = h
}

// AddLabel gives a host labels.
func (d *Desired) AddLabel(host ID, labels ...string) error {
	h, ok := d.Hosts[host]
	if !ok {
		return Unknown(host)
	}
	if h.Maintenance && len(labels) > 0 {
		return maintained(h)
	}
	has := map[string]bool{}
	for _, label := range h.Labels {
		has[label] = true
	}
	var wrong []error
	for _, label := range labels {
		wrong = append(wrong, ValidateLabel(label))
		if has[label] {
			wrong = append(wrong, Refuse(ErrConflict, LabelThere, "The host '%s' has the label '%s' already.", h.Name, label))
		}
		has[label] = true
	}
	if err := Join(wrong...); err != nil {
		return err
	}
	if len(has) > maxLabels {
		return Refuse(ErrInvalid, LabelsTooMany, "The host '%s' would have %d labels; the limit is %d.", h.Name, len(has), maxLabels)
	}
	h.Labels = slices.Sorted(maps.Keys(has))
	d.Hosts[host] = h
	for _, n := range d.Networks {
		if n.Label != "" && has[n.Label] {
			d.Left(host, n.ID)
		}
	}
	return nil
}

// Maintain puts a host in maintenance, or activates it again. In maintenance it gets no
// labels and no attachments. What it has stays, and a network that gets a label of the
// host comes: that is decided for all hosts of the label.
func (d *Desired) Maintain(host ID, maintenance bool) error {
	h, ok := d.Hosts[host]
	if !ok {
		return Unknown(host)
	}
	h.Maintenance = maintenance
	d.Hosts[host] = h
	return nil
}

func maintained(h Host) error {
	return Refuse(ErrConflict, HostMaintained, "The host '%s' is in maintenance: activate it first.", h.Name)
}

// RemoveLabel takes a label from a host.
func (d *Desired) RemoveLabel(host ID, label string) error {
	h, ok := d.Hosts[host]
	if !ok {
		return Unknown(host)
	}
	i := slices.Index(h.Labels, label)
	if i < 0 {
		return Refuse(ErrNotFound, LabelMissing, "The host does not have the label '%s'.", label)
	}
	h.Labels = slices.Delete(slices.Clone(h.Labels), i, i+1)
	d.Hosts[host] = h
	return nil
}

// Evict lets the bridges of networks be removed from a host although ports are
// plugged into them.
func (d *Desired) Evict(host ID, networks ...ID) {
	if h, ok := d.Hosts[host]; ok { // not one that is removed as well
		h.Evicted = with(h.Evicted, networks...)
		d.Hosts[host] = h
	}
}

// with returns a set with more members, sorted.
func with(set []ID, more ...ID) []ID {
	set = append(slices.Clone(set), more...)
	slices.Sort(set)
	return slices.Compact(set)
}

// Left ends evictions and releases on a host: they are done, or the networks are
// attached again.
func (d *Desired) Left(host ID, networks ...ID) {
	h, ok := d.Hosts[host]
	if !ok {
		return
	}
	done := func(id ID) bool { return slices.Contains(networks, id) }
	h.Evicted = slices.DeleteFunc(slices.Clone(h.Evicted), done)
	h.Released = slices.DeleteFunc(slices.Clone(h.Released), done)
	d.Hosts[host] = h
}

// Undo takes back the change from before to after, as far as nobody has
// changed the same things since: what is still as in after becomes as in
// before. Of a host's labels each counts for itself. A host that the change made goes.
func (d *Desired) Undo(before, after *Desired) {
	undo(d.Networks, before.Networks, after.Networks)
	for id, h := range d.Hosts {
		_, was := before.Hosts[id]
		if _, made := after.Hosts[id]; made && !was {
			delete(d.Hosts, id) // bare it would lose its bridges, and without its row it keeps them
			continue
		}
		h.Labels = undoSet(h.Labels, before.Hosts[id].Labels, after.Hosts[id].Labels)
		h.Evicted = undoSet(h.Evicted, before.Hosts[id].Evicted, after.Hosts[id].Evicted)
		h.Released = undoSet(h.Released, before.Hosts[id].Released, after.Hosts[id].Released)
		if h.Maintenance == after.Hosts[id].Maintenance {
			h.Maintenance = before.Hosts[id].Maintenance
		}
		if h.Decommissioned == after.Hosts[id].Decommissioned {
			h.Decommissioned = before.Hosts[id].Decommissioned
		}
		d.Hosts[id] = h
	}
	undo(d.Attachments, before.Attachments, after.Attachments)
	maps.DeleteFunc(d.Attachments, func(_ ID, a Attachment) bool {
		_, host := d.Hosts[a.Host]
		_, network := d.Networks[a.Network]
		return !host || !network
	})
}

// undoSet removes from now what the change added, and adds what it removed.
func undoSet[E cmp.Ordered](now, before, after []E) []E {
	var set []E
	for _, e := range now {
		if slices.Contains(before, e) || !slices.Contains(after, e) {
			set = append(set, e)
		}
	}
	for _, e := range before {
		if !slices.Contains(after, e) {
			set = append(set, e)
		}
	}
	slices.Sort(set)
	return slices.Compact(set)
}

func undo[V any](now, before, after map[ID]V) {
	ids := map[ID]bool{}
	for id := range before {
		ids[id] = true
	}
	for id := range after {
		ids[id] = true
	}
	for id := range ids {
		old, had := before[id]
		set, has := after[id]
		current, present := now[id]
		changed := had != has || !reflect.DeepEqual(old, set)
		untouched := present == has && reflect.DeepEqual(current, set)
		switch {
		case !changed || !untouched:
		case had:
			now[id] = old
		default:
			delete(now, id)
		}
	}
}
