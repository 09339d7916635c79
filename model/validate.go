package model

import (
	"maps"
	"slices"
)

// Validate checks the whole desired state: each part alone, unique names and
// references. It returns all that is wrong. The store commits nothing that fails
// it.
func (d *Desired) Validate() error { return d.ValidateSince(NewDesired()) }

// ValidateSince is Validate for who knows that before is valid: it looks only at what is
// different, and at what that can be in the way of.
func (d *Desired) ValidateSince(before *Desired) error {
	networks, fewer := d.networksSince(before)
	hosts, without := d.hostsSince(before)
	return Join(append(append(networks, hosts...), d.attachmentsSince(before, fewer || without)...)...)
}

// networksSince returns what is wrong with networks, and whether there is one no more.
func (d *Desired) networksSince(before *Desired) (wrong []error, fewer bool) {
	kept, names := 0, false
	for id, n := range d.Networks {
		old, existed := before.Networks[id]
		if existed {
			kept++
			if old == n {
				continue
			}
		}
		names = names || !existed || old.Name != n.Name || old.VdsmName != n.VdsmName
		if id != n.ID {
			wrong = append(wrong, Invalidf("Network '%s' is filed under the id %s.", n.Name, id))
		}
		wrong = append(wrong, n.Validate())
	}
	if names {
		wrong = append([]error{d.ValidateNames()}, wrong...)
	}
	return wrong, kept < len(before.Networks)
}

// hostsSince does so with hosts.
func (d *Desired) hostsSince(before *Desired) (wrong []error, fewer bool) {
	kept, systemIDs := 0, false
	for id, h := range d.Hosts {
		old, existed := before.Hosts[id]
		if existed {
			kept++
			if old.Equal(h) {
				continue
			}
		}
		systemIDs = systemIDs || !existed || old.SystemID != h.SystemID
		if id != h.ID {
			wrong = append(wrong, Invalidf("Host '%s' is filed under the id %s.", h.Name, id))
		}
		wrong = append(wrong, h.Validate())
	}
	if systemIDs {
		wrong = append(wrong, d.validateSystemIDs())
	}
	return wrong, kept < len(before.Hosts)
}

func (d *Desired) validateSystemIDs() error {
	var wrong []error
	seen := make(map[string]bool, len(d.Hosts))
	for _, h := range d.Hosts {
		if seen[h.SystemID] {
			wrong = append(wrong, Conflictf("The system-id '%s' is already used by another host.", h.SystemID))
		}
		seen[h.SystemID] = true
	}
	return Join(wrong...)
}

// attachmentsSince returns what is wrong with attachments: those that are different, and
// all if a host or network is there no more.
func (d *Desired) attachmentsSince(before *Desired, fewer bool) []error {
	var wrong []error
	for id, a := range d.Attachments {
		old, existed := before.Attachments[id]
		same := existed && old.Equal(a)
		if same && !fewer {
			continue
		}
		if _, ok := d.Hosts[a.Host]; !ok {
			wrong = append(wrong, NotFoundf("Host (id '%s') doesn't exist.", a.Host))
		}
		if _, ok := d.Networks[a.Network]; !ok {
			wrong = append(wrong, Refuse(ErrNotFound, UnknownNetwork, "There is no network '%s'.", a.Network))
		}
		if same {
			continue
		}
		if id != a.ID {
			wrong = append(wrong, Invalidf("Attachment %s is filed under the id %s.", a.ID, id))
		}
		wrong = append(wrong, a.Validate())
	}
	return wrong
}

// Validate checks what can be checked of an attachment alone, and returns all that is
// wrong.
func (a Attachment) Validate() error {
	var wrong []error
	if a.ID != AttachmentID(a.Host, a.Network) {
		wrong = append(wrong, Invalidf("Attachment %s is filed under a wrong id.", a.ID))
	}
	if uuid, ok := ParseID(a.Adopts); a.Adopts != "" && (!ok || string(uuid) != a.Adopts) {
		wrong = append(wrong, Invalidf("Attachment %s adopts '%s', which is not the UUID of a bridge.", a.ID, a.Adopts))
	}
	return Join(append(wrong, ValidateProperties(a.Properties))...)
}

// Equal says whether two hosts have the same values. No list is as an empty one.
func (h Host) Equal(other Host) bool {
	return h.ID == other.ID && h.SystemID == other.SystemID && h.Name == other.Name && h.Named == other.Named &&
		slices.Equal(h.Labels, other.Labels) && slices.Equal(h.Evicted, other.Evicted) && slices.Equal(h.Released, other.Released) &&
		h.Maintenance == other.Maintenance && h.Decommissioned == other.Decommissioned
}

// Equal says whether two attachments have the same values. No properties are as empty
// ones.
func (a Attachment) Equal(other Attachment) bool {
	return a.ID == other.ID && a.Host == other.Host && a.Network == other.Network && a.Explicit == other.Explicit &&
		a.Label == other.Label && a.Adopts == other.Adopts && maps.Equal(a.Properties, other.Properties)
}

// Equal says whether two desired states have the same rows, whatever their revisions.
func (d *Desired) Equal(other *Desired) bool {
	return maps.Equal(d.Networks, other.Networks) && maps.EqualFunc(d.Hosts, other.Hosts, Host.Equal) &&
		maps.EqualFunc(d.Attachments, other.Attachments, Attachment.Equal)
}
