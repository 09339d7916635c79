package history

import (
	"slices"
	"strings"

	"github.com/isonet/isonet/wire"
)

// The kinds and severities of entries.
const (
	KindWrite = wire.KindWrite
	KindLogin = wire.KindLogin
	KindDeed  = wire.KindDeed
	KindLoss  = wire.KindLoss
	Normal    = wire.Normal
	Warning   = wire.Warning
	Error     = wire.Error
	Alert     = wire.Alert
)

// The codes of entries. Those below 20001 are the oVirt engine's for the same thing
// (AuditLogType). Their numbers never change, because clients search by them.
const (
	CodeHostAdded      = 42
	CodeHostUpdated    = 43
	CodeHostRemoved    = 44
	CodeLoginFailed    = 114
	CodeNetworkAdded   = 942
	CodeNetworkRemoved = 944
	CodeAttachments    = 1102
	CodeNotRealised    = 1103
	CodeNetworkUpdated = 1114

	CodeLoss           = 20001
	CodePruned         = 20002
	CodeDeviceReleased = 20003
	CodeTokenMade      = 20004
	CodeTokenRevoked   = 20005
	CodeJoined         = 20006
)

// The kinds of what is changed beside the desired state: join tokens, and machines that
// have joined with one.
const (
	KindToken   = "token"
	KindMachine = "machine"
)

// Writes returns the entries of a write, one for each code, so that a client that
// searches by codes finds all that it looks for. They have what e has.
func Writes(e Entry, changes []Change) []Entry {
	var entries []Entry
	places := map[int]int{}
	for _, c := range changes {
		code := codeOf(c)
		at, known := places[code]
		if !known {
			at, places[code] = len(entries), len(entries)
			fresh := e
			fresh.Kind, fresh.Severity, fresh.Code = KindWrite, Normal, code
			entries = append(entries, fresh)
		}
		entries[at].Changes = append(entries[at].Changes, c)
	}
	for i := range entries {
		entries[i].Text = Text(entries[i].Changes...)
	}
	return entries
}

func codeOf(c Change) int {
	codes := map[string]map[string]int{
		"network":   {Added: CodeNetworkAdded, Removed: CodeNetworkRemoved, Updated: CodeNetworkUpdated},
		"host":      {Added: CodeHostAdded, Removed: CodeHostRemoved, Updated: CodeHostUpdated},
		"port":      {Removed: CodePruned},
		"device":    {Updated: CodeDeviceReleased},
		KindToken:   {Added: CodeTokenMade, Removed: CodeTokenRevoked},
		KindMachine: {Added: CodeJoined},
	}
	if code, known := codes[c.Kind][c.Did]; known {
		return code
	}
	return CodeAttachments
}

// By reports whether an entry tells of what somebody did: the user of that name, or
// on the unix socket the user with that name or number.
func By(e Entry, user string) bool {
	if e.User == user || e.ClaimedUser == user {
		return true
	}
	peer, local := strings.CutPrefix(e.Client, "uid ")
	number, name, _ := strings.Cut(peer, " ")
	return local && (number == user || name == "("+user+")")
}

// About reports whether an entry tells of the network of a name, or had told of it when
// it was called so.
func About(e Entry, network string) bool {
	return e.Network == network || e.NetworkID == network || slices.ContainsFunc(e.Changes, func(c Change) bool {
		switch c.Kind {
		case "attachment":
			return strings.HasPrefix(c.Name, network+" on ")
		case "port":
			return strings.HasSuffix(c.Name, " on "+network)
		case "network":
			return c.Name == network || slices.ContainsFunc(c.Members, func(m Member) bool {
				return m.Name == "name" && (m.Before == network || m.After == network)
			})
		}
		return false
	})
}
