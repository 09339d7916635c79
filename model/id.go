package model

import (
	"strings"

	"github.com/google/uuid"
)

// ID identifies a network, a host or an attachment: a UUID in its canonical
// lower-case form, as OVSDB (RFC 7047 section 5.1) and the oVirt API write it.
type ID string

// idSpace is the namespace of the identifiers that isonet derives from names.
// It must never change: API clients keep the derived ids.
const idSpace = "0a0d1a6c-5f86-4b34-8e0e-2f6f5d0b6f4e"

// NewID returns a fresh random ID.
func NewID() ID { return ID(uuid.NewString()) }

// ParseID reads the canonical form of a UUID. It refuses braces, URN prefixes
// and missing dashes, because an id that is accepted in two spellings is two
// different map keys. Upper-case digits are accepted and lowered.
func ParseID(text string) (ID, bool) {
	if len(text) != len(idSpace) {
		return "", false
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return "", false
	}
	return ID(id.String()), true
}

// DeriveID returns the UUIDv5 of name, the same on every machine and forever.
func DeriveID(name string) ID {
	return ID(uuid.NewSHA1(uuid.MustParse(idSpace), []byte(name)).String())
}

// HostID returns the id of the host with the given Open_vSwitch
// external_ids:system-id (ovs-vswitchd.conf.db(5)): the system-id itself when
// it is a UUID, as ovs-ctl makes it, else one derived from it.
func HostID(systemID string) ID {
	if id, ok := ParseID(strings.ToLower(systemID)); ok {
		return id
	}
	return DeriveID("host " + systemID)
}

// AttachmentID returns the id of the attachment of a network to a host. It
// depends on nothing else, so an attachment keeps its id when it changes from
// explicit to label-provisioned and back.
func AttachmentID(host, network ID) ID {
	return DeriveID("attachment " + string(host) + " " + string(network))
}
