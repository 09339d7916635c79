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
	// Labels attach every network with the same label. Sorted, no duplicates.
	Labels []string
	// Evicted are networks whose bridge may be removed although ports are
	// plugged in (the API's force=true). An entry ends with the bridge.
	Evicted []ID
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
		h.Labels, h.Evicted = slices.Clone(h.Labels), slices.Clone(h.Evicted)
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
	for _, n := range d.Networks {
		if a, ok := d.attachment(h, n); ok {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b Attachment) int {
		return strings.Compare(d.Networks[a.Network].Name, d.Networks[b.Network].Name)
	})
	return list
}

func (d *Desired) attachment(h Host, n Network) (Attachment, bool) {
	id := AttachmentID(h.ID, n.ID)
	a, explicit := d.Attachments[id]
	labelled := n.Label != "" && slices.Contains(h.Labels, n.Label)
	if !explicit && !labelled {
		return Attachment{}, false
	}
	a.ID, a.Host, a.Network, a.Explicit = id, h.ID, n.ID, explicit
	if labelled {
		a.Label = n.Label
	}
	return a, true
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
	attachments := d.On(host)
	networks := make([]Network, len(attachments))
	for i, a := range attachments {
		networks[i] = d.Networks[a.Network]
	}
	return networks
}

// Validate checks the whole desired state: each part alone, unique names and
// references. The store commits nothing that fails it.
func (d *Desired) Validate() error {
	names, bridges := map[string]ID{}, map[string]ID{}
	for id, n := range d.Networks {
		if id != n.ID {
			return Invalidf("Network '%s' is filed under the id %s.", n.Name, id)
		}
		if err := n.Validate(); err != nil {
			return err
		}
		if _, taken := names[n.Name]; taken {
			return Conflictf("The name of the logical network '%s' is already used by an existing logical network in the same data-center.\n-Please choose a different name.", n.Name)
		}
		if _, taken := bridges[n.VdsmName]; taken {
			return Conflictf("The on-host identifier '%s' is already used by an existing logical network.", n.VdsmName)
		}
		names[n.Name], bridges[n.VdsmName] = id, id
	}
	for _, n := range d.Networks {
		if owner, taken := bridges[n.Name]; taken && owner != n.ID {
			return Invalidf("Bad network name (%s). The name is already used as an on-host identifier of the network: %s",
				n.Name, d.Networks[owner].Name)
		}
	}
	systems := map[string]bool{}
	for id, h := range d.Hosts {
		if id != h.ID || h.SystemID == "" {
			return Invalidf("Host '%s' lacks its id or system-id.", h.Name)
		}
		if systems[h.SystemID] {
			return Conflictf("The system-id '%s' is already used by another host.", h.SystemID)
		}
		systems[h.SystemID] = true
		for _, label := range h.Labels {
			if err := ValidateLabel(label); err != nil {
				return err
			}
		}
	}
	for id, a := range d.Attachments {
		if id != AttachmentID(a.Host, a.Network) {
			return Invalidf("Attachment %s is filed under a wrong id.", id)
		}
		if _, ok := d.Hosts[a.Host]; !ok {
			return NotFoundf("Host (id '%s') doesn't exist.", a.Host)
		}
		if _, ok := d.Networks[a.Network]; !ok {
			return NotFoundf("Logical Network (id '%s') doesn't exist.", a.Network)
		}
	}
	return nil
}
