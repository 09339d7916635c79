package plan

import "github.com/isonet/isonet/model"

// MarkedFor returns the network whose marks are on a bridge or on its local port,
// so that a bridge whose own marks were wiped shows them still. It is "" for a
// bridge without marks. Anybody can write marks: NetworkOf says whose a bridge is.
func MarkedFor(b Bridge) model.ID {
	if id := networkIn(b.ExternalIDs); id != "" {
		return id
	}
	local, _ := b.Local()
	return networkIn(local.ExternalIDs)
}

// networkIn returns the network that the marks on a row name, or "".
func networkIn(marks map[string]string) model.ID {
	if marks[OwnerKey] != Owner {
		return ""
	}
	return model.ID(marks[NetworkKey])
}

// Owners says whose the bridges of a host are, by the UUIDs of their rows: a
// network's, or with "" somebody else's.
//
// It is decided when a bridge is first seen. A bridge that has marks then is the
// network's that they name, if that network's bridges have this name; one that
// has none is somebody else's. Marks that are lost or forged later change
// nothing: only an adoption and a release do.
type Owners map[string]model.ID

// Of returns whose a bridge is and whether that is decided. Of a bridge with marks
// that say nothing it is not, because the store may know the network later.
// BridgeName returns the name of a network's bridges, "" for an unknown network.
func (o Owners) Of(b Bridge, bridgeName func(model.ID) string) (owner model.ID, decided bool) {
	if owner, decided = o[b.UUID]; decided {
		return owner, true
	}
	marked := MarkedFor(b)
	if marked == "" {
		return "", true
	}
	if bridgeName(marked) == b.Name {
		return marked, true
	}
	return "", false
}
