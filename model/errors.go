package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The kinds of refusal. Test with errors.Is; the api package holds the one
// table that turns them into HTTP status codes, and the one with the oVirt engine's
// words for those that have a code.
var (
	// ErrInvalid says that the request itself is wrong, whatever the state.
	ErrInvalid = errors.New("invalid request")
	// ErrNotFound says that something the request names does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that the request is sound but the present state forbids it.
	ErrConflict = errors.New("conflict")
	// ErrForbidden says that whoever would carry the request out has no right to.
	ErrForbidden = errors.New("forbidden")
	// ErrUnavailable says that something which the request needs cannot be
	// reached now, and that nothing was changed: try again.
	ErrUnavailable = errors.New("unavailable")
	// ErrUndecided says that what became of a change is not known, or that it
	// stays although it was to be taken back: look before trying again.
	ErrUndecided = errors.New("undecided")
)

// Code says which rule refuses, to whoever has other words for it than the text.
type Code string

// The codes, each with its arguments.
const (
	UnknownID          Code = "unknown-id"      // the id
	UnknownNetwork     Code = "unknown-network" // the id
	NameTaken          Code = "name-taken"      // the network's name; "add" or "update"
	NameTwice          Code = "name-twice"      // the network's name
	NameOfBridge       Code = "name-of-bridge"  // the network's name, that of the bridge's network
	BridgeTaken        Code = "bridge-taken"    // the bridge's name
	HostNameForm       Code = "host-name-form"
	HostNameTaken      Code = "host-name-taken"
	LabelAttaches      Code = "label-attaches"        // the network's name, the label
	LabelThere         Code = "label-there"           // the host's name, the label
	LabelMissing       Code = "label-missing"         // the label
	LabelsTooMany      Code = "labels-too-many"       // the host's name, how many, the limit
	HostConflict       Code = "host-conflict"         // what is in the way
	InUse              Code = "in-use"                // the network's name, the ports, the VMs
	RemovedInUse       Code = "removed-in-use"        // the network's name, the ports, the VM
	RemovedInUseByMany Code = "removed-in-use-by-vms" // the network's name, the ports, the VMs, how many
	InQuarantine       Code = "in-quarantine"         // the network's name, the ports
	BackupOlder        Code = "backup-older"          // the revisions of the backup and of the store
	NoHost             Code = "no-host"
	HostThere          Code = "host-there"
	HostNotEmpty       Code = "host-not-empty"   // the host's name, how many networks, how many labels
	HostMaintained     Code = "host-maintenance" // the host's name
	Unrealised         Code = "unrealised"       // what became of the change, the cause
	OutOfSync          Code = "out-of-sync"      // "setup" or "sync all", the cause

	// Of bridges that are adopted and released.
	BridgeMissing   Code = "bridge-missing"       // the bridge's name
	BridgeOwned     Code = "bridge-owned"         // the bridge's name, the id of its network
	BridgeHas       Code = "network-has-bridge"   // the network's name, the bridge's
	BridgeNamed     Code = "bridge-name-kept"     // the bridge's name, the network's, that of its bridges
	NotAdoptable    Code = "not-adoptable"        // the bridge's name, why
	NothingReleased Code = "no-bridge-to-release" // the network's name
	BridgeUnsettled Code = "bridge-unsettled"     // the network's name
	ReleaseLabelled Code = "release-labelled"     // the network's name, the label that attaches it too
	ReleaseByLabel  Code = "release-by-label"     // the network's name, the label that alone attaches it
	ReleaseStrict   Code = "release-strict"       // the network's name

	// Of what is not there now.
	Standby          Code = "standby"
	OVSUnreachable   Code = "ovs-unreachable" // what to do; no argument where that is not known
	OVSUnable        Code = "ovs-unable"      // why, with what to do
	HostOccupied     Code = "host-occupied"   // why, with what to do
	StoreUnreachable Code = "store-unreachable"
	StoreUndecided   Code = "store-undecided"
	StoreDisk        Code = "store-disk"
	StoreForbidden   Code = "store-forbidden"

	// Of the host guard.
	DevicePlugged   Code = "device-plugged"   // the device's name
	DeviceUnguarded Code = "device-unguarded" // the device's name
	GuardFailed     Code = "guard-failed"     // why
)

// Error is a refusal with a text for the person who asked.
type Error struct {
	Kind error // one of the kinds of refusal
	Text string
	// Code is "" for a rule that has no words but Text.
	Code Code
	Args []any
}

// Refuse makes a refusal that others may say in their words. The format may leave
// arguments to them.
func Refuse(kind error, code Code, format string, args ...any) error {
	return &Error{Kind: kind, Code: code, Args: args, Text: fmt.Sprintf(format, args...)}
}

// Unknown refuses an id that names nothing.
func Unknown[T ~string](id T) error {
	return Refuse(ErrNotFound, UnknownID, "There is no '%s'.", id)
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Invalidf makes an ErrInvalid with a text.
func Invalidf(format string, args ...any) error {
	return &Error{Kind: ErrInvalid, Text: fmt.Sprintf(format, args...)}
}

// NotFoundf makes an ErrNotFound with a text.
func NotFoundf(format string, args ...any) error {
	return &Error{Kind: ErrNotFound, Text: fmt.Sprintf(format, args...)}
}

// Conflictf makes an ErrConflict with a text.
func Conflictf(format string, args ...any) error {
	return &Error{Kind: ErrConflict, Text: fmt.Sprintf(format, args...)}
}

// Refusals are several refusals of one request. errors.Is finds the kind of
// each.
type Refusals []error

// Join makes one error of all that a request is refused for: nil for nothing.
// Each text counts once, and they are sorted, so that the answer does not depend
// on the order in which the request or a map names things.
func Join(errs ...error) error {
	var all Refusals
	for _, err := range errs {
		if several, ok := errors.AsType[Refusals](err); ok {
			all = append(all, several...)
		} else if err != nil {
			all = append(all, err)
		}
	}
	slices.SortStableFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	all = slices.CompactFunc(all, func(a, b error) bool { return a.Error() == b.Error() })
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// Error joins the texts.
func (r Refusals) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return strings.Join(texts, ", ")
}

// Unwrap returns the refusals.
func (r Refusals) Unwrap() []error { return r }
