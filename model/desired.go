package model

import (
	"maps"
	"slices"
	"strings"
)

// Host is a virtualization host, known by its Open vSwitch system-id.
type Host struct {
	ID       ID
	SystemID string // unique
	Name     string
	// Named says that an operator chose the name. Else it is that of the machine
	// and follows it.
	Named bool
	// Labels attach every network with the same label. Sorted, no duplicates.
	Labels []string
	// Evicted are networks whose bridge may be removed although ports are
	// plugged in (the API's force=true). An entry ends with the bridge.
	Evicted []ID
	// Released are networks whose bridge is given back instead of removed: it
	// stays and is no longer isonet's. An entry ends when that is done.
	Released []ID
	// Maintenance says that an operator keeps new networks from the host. What it has
	// stays.
	Maintenance bool
	// Decommissioned says that the host is to have no networks any more, whatever its
	// labels and attachments are. Only this, and not a row that is missing, takes them
	// all from it.
	Decommissioned bool
}

// Attachment joins a network to a host.
type Attachment struct {
	ID      ID // AttachmentID(Host, Network)
	Host    ID
	Network ID
	// Explicit says that somebody attached the network by itself.
	Explicit bool
	// Label is the host label that attaches the network too; "" means none.
	Label string
	// Properties are the custom properties of an explicit attachment. They are
	// kept and reported.
	Properties map[string]string
	// Adopts is the UUID of the bridge (its row in Open vSwitch's database) that
	// the network may take over on this host although isonet did not make it; ""
	// is none. A bridge that somebody makes anew has another UUID.
	Adopts string
}

// Desired is all that operators asked for. A published Desired is never
// changed: Clone it first.
type Desired struct {
	// Revision grows with every change of the desired state.
	Revision int64
	Networks map[ID]Network
	Hosts    map[ID]Host
	// Attachments are the explicit ones only. What labels attach is computed
	// by On, never stored.
	Attachments map[ID]Attachment
	// Recalled says that this is what a host remembers of a store that it has not
	// reached since it began. The last changes may be missing: nothing is removed for
	// its sake.
	Recalled bool
	// RestsOnAll is for a change to set that rests on the whole state, for example on its
	// revision: the store commits it only if nothing else was committed meanwhile.
	RestsOnAll bool `json:"-"`
}

// NewDesired returns an empty desired state.
func NewDesired() *Desired {
	return &Desired{
		Networks:    map[ID]Network{},
		Hosts:       map[ID]Host{},
		Attachments: map[ID]Attachment{},
	}
}

// Clone returns a copy that can be changed without touching d.
func (d *Desired) Clone() *Desired {
	c := &Desired{
		Revision:    d.Revision,
		Networks:    maps.Clone(d.Networks),
		Hosts:       make(map[ID]Host, len(d.Hosts)),
		Attachments: make(map[ID]Attachment, len(d.Attachments)),
	}
	for id, h := range d.Hosts {
		h.Labels, h.Evicted, h.Released = slices.Clone(h.Labels), slices.Clone(h.Evicted), slices.Clone(h.Released)
		c.Hosts[id] = h
	}
	for id, a := range d.Attachments {
		a.Properties = maps.Clone(a.Properties)
		c.Attachments[id] = a
	}
	return c
}

// On returns the attachments of a host, whatever their cause, sorted by the
// network's name: the explicit ones, and one for every network whose label is
// among the host's labels.
func (d *Desired) On(host ID) []Attachment {
	h, ok := d.Hosts[host]
	if !ok {
		return nil
	}
	var list []Attachment
	for _, n := range d.HostNetworks(host) {
		if a, ok := d.attachment(h, n); ok {
			list = append(list, a)
		}
	}
	return list
}

func (d *Desired) attachment(h Host, n Network) (Attachment, bool) {
	if h.Decommissioned {
		return Attachment{}, false
	}
	id := AttachmentID(h.ID, n.ID)
	a, explicit := d.Attachments[id]
	labelled := n.labelledFor(h)
	if !explicit && !labelled {
		return Attachment{}, false
	}
	a.ID, a.Host, a.Network, a.Explicit = id, h.ID, n.ID, explicit
	if labelled {
		a.Label = n.Label
	}
	return a, true
}

// HostOf returns the host whose Open vSwitch has a system-id.
func (d *Desired) HostOf(systemID string) (Host, bool) {
	if h := d.Hosts[HostID(systemID)]; h.SystemID == systemID { // as a rule
		return h, h.ID != ""
	}
	for _, h := range d.Hosts {
		if h.SystemID == systemID {
			return h, true
		}
	}
	return Host{}, false
}

// AttachmentOf returns the attachment of a network to a host, whatever its
// cause.
func (d *Desired) AttachmentOf(host, network ID) (Attachment, bool) {
	h, ok := d.Hosts[host]
	if !ok {
		return Attachment{}, false
	}
	n, ok := d.Networks[network]
	if !ok {
		return Attachment{}, false
	}
	return d.attachment(h, n)
}

// FindNetwork finds a network by its id or name.
func (d *Desired) FindNetwork(reference string) (Network, bool) {
	if id, isID := ParseID(reference); isID {
		if n, exists := d.Networks[id]; exists {
			return n, true
		}
	}
	return d.NetworkByName(reference)
}

// NetworkByName finds a network by its name.
func (d *Desired) NetworkByName(name string) (Network, bool) {
	for _, n := range d.Networks {
		if n.Name == name {
			return n, true
		}
	}
	return Network{}, false
}

// HostNetworks returns the networks that a host must have, sorted by name.
func (d *Desired) HostNetworks(host ID) []Network {
	h, ok := d.Hosts[host]
	if !ok || h.Decommissioned {
		return nil
	}
	// Not by AttachmentID, which is a hash and costs more than all the rest.
	explicit := map[ID]bool{}
	for _, a := range d.Attachments {
		if a.Host == host {
			explicit[a.Network] = true
		}
	}
	var networks []Network
	for id, n := range d.Networks {
		if explicit[id] || n.labelledFor(h) {
			networks = append(networks, n)
		}
	}
	slices.SortFunc(networks, func(a, b Network) int { return strings.Compare(a.Name, b.Name) })
	return networks
}

// labelledFor says that a label of the host attaches the network.
func (n Network) labelledFor(h Host) bool {
	return n.Label != "" && slices.Contains(h.Labels, n.Label)
}

// ValidateNames refuses names and bridge names that two networks have. A name
// must not be another network's bridge name either, as a network keeps its
// bridge when it is renamed.
func (d *Desired) ValidateNames() error {
	names := make(map[string]int, len(d.Networks))
	bridges := make(map[string][]string, len(d.Networks)) // names of the networks
	for _, n := range d.Networks {
		names[n.Name]++
		bridges[n.VdsmName] = append(bridges[n.VdsmName], n.Name)
	}
	var wrong []error
	for name, count := range names {
		if count > 1 {
			wrong = append(wrong, Refuse(ErrConflict, NameTwice, "Two networks have the name '%s': choose another name.", name))
		}
		for _, owner := range bridges[name] {
			if owner != name {
				wrong = append(wrong, Refuse(ErrInvalid, NameOfBridge, "The name '%s' is that of a bridge of the network '%s': choose another name.",
					name, owner))
			}
		}
	}
	for bridge, owners := range bridges {
		if len(owners) > 1 && names[bridge] == 0 {
			wrong = append(wrong, Refuse(ErrConflict, BridgeTaken, "The bridge '%s' is that of another network.", bridge))
		}
	}
	return Join(wrong...)
}

// Limits of a host's texts in characters: names of hosts have 255 at most (RFC
// 1035), a system-id has what its owner wrote.
const (
	maxHostName = 255
	maxSystemID = 1024
)

// ValidateSystemID checks a system-id of Open vSwitch.
func ValidateSystemID(id string) error { return validateText("Host system-id", id, maxSystemID, false) }

// Validate checks what can be checked of a host alone, and returns all that is
// wrong.
func (h Host) Validate() error {
	wrong := []error{
		validateText("Host name", h.Name, maxHostName, false),
		ValidateSystemID(h.SystemID),
	}
	if id, ok := ParseID(string(h.ID)); !ok || id != h.ID || h.SystemID == "" {
		wrong = append(wrong, Invalidf("Host '%s' lacks its id or system-id.", h.Name))
	}
	seen := map[string]bool{}
	for _, label := range h.Labels {
		if seen[label] {
			wrong = append(wrong, Invalidf("Host '%s' has the label '%s' twice.", h.Name, label))
		}
		seen[label] = true
		wrong = append(wrong, ValidateLabel(label))
	}
	for did, networks := range map[string][]ID{"evicted": h.Evicted, "released": h.Released} {
		for _, id := range networks {
			if canonical, ok := ParseID(string(id)); !ok || canonical != id {
				wrong = append(wrong, Invalidf("Host '%s' has %s '%s', which is not the id of a network.", h.Name, did, id))
			}
		}
	}
	return Join(wrong...)
}

// Limits of an attachment's properties. They keep it one small OVSDB row.
const (
	maxProperties = 64
	maxProperty   = 1024 // characters of a name or value
)

// ValidateProperties checks the custom properties of an attachment, and returns
// all that is wrong.
func ValidateProperties(properties map[string]string) error {
	var wrong []error
	if len(properties) > maxProperties {
		wrong = append(wrong, Invalidf("The attachment has %d properties; the limit is %d.", len(properties), maxProperties))
	}
	for name, value := range properties {
		if name == "" {
			wrong = append(wrong, Invalidf("A property of the attachment has no name."))
		}
		wrong = append(wrong,
			validateText("The name of a property", name, maxProperty, false),
			validateText("The value of a property", value, maxProperty, false))
	}
	return Join(wrong...)
}
