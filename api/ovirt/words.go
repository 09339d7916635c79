package ovirt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// engineWords are the oVirt engine's for refusals of the rules below this package:
// its clients know them.
var engineWords = map[model.Code]string{
	model.UnknownID:          "Entity not found: %s",
	model.UnknownNetwork:     "Logical Network (id '%s') doesn't exist.",
	model.NameTaken:          "Cannot %[2]s Network. The name of the logical network '%[1]s' is already used by an existing logical network in the same data-center.\n-Please choose a different name.",
	model.NameTwice:          "The name of the logical network '%s' is already used by an existing logical network in the same data-center.\n-Please choose a different name.",
	model.NameOfBridge:       "Bad network name (%s). The name is already used as an on-host identifier of the network: %s",
	model.BridgeTaken:        "The on-host identifier '%s' is already used by an existing logical network.",
	model.HostNameForm:       "Cannot edit Host. Host name must be formed of alphanumeric characters, numbers or \"-_.\".",
	model.HostNameTaken:      "Cannot edit Host. The Host name is already in use, please choose a unique name and try again.",
	model.LabelAttaches:      "Cannot setup Networks. The following networks cannot be removed from the host since they are managed by the label: %s. Please remove the label '%s' from the host in order to remove the network.",
	model.LabelThere:         "Cannot add Label. The host '%s' is already labeled with the specified label '%s'.",
	model.HostMaintained:     "Cannot setup Networks. The host '%[1]s' is in maintenance: activate it first (POST activate of the host).",
	model.LabelMissing:       "Cannot setup Networks. Label '%s' cannot be removed, since it isn't attached to the host.",
	model.LabelsTooMany:      "Cannot add Label. The host '%s' would have %d labels; the limit is %d.",
	model.HostConflict:       "Cannot setup Networks. The host cannot have %s.",
	model.InUse:              "Cannot setup Networks. The following Logical Network: '%[1]s' is being used by the following VM(s): '%[3]s' . Please stop the VM(s) and try again. Or unplug the port(s) '%[2]s', or force it with force=true.",
	model.RemovedInUse:       "Cannot remove Network. This logical network is used by virtual machine: %[3]s\n - Please remove it from this virtual machine and try again.\n - Or unplug the port(s) '%[2]s', or force it with force=true.",
	model.RemovedInUseByMany: "Cannot remove Network. This logical network is used by virtual machines: (%[4]d): %[3]s\n - Please detach virtual machines using this logical network and try again.\n - Or unplug the port(s) '%[2]s', or force it with force=true.",
	model.InQuarantine:       "Cannot release the network '%s'. The port(s) '%s' are in quarantine and would be let out: unplug them, or force it with force=true.",
	model.ReleaseByLabel:     "Cannot release the network '%s'. Only the label '%s' attaches it: attach the network by itself (POST networkattachments of the host), take the label from the network or from the host, then release it.",
	model.Unrealised:         "Cannot setup Networks. Open vSwitch did not realise the change, %s: %s",
	model.OutOfSync:          "Cannot %s Networks. Open vSwitch does not have them as they must be: %s",
}

// words says an error as the oVirt engine does. Of several refusals each counts
// once, and they are sorted.
func words(err error) string {
	if several, ok := errors.AsType[model.Refusals](err); ok {
		texts := make([]string, len(several))
		for i, err := range several {
			texts[i] = words(err)
		}
		slices.Sort(texts)
		return strings.Join(slices.Compact(texts), ", ")
	}
	if entry, ok := errors.AsType[*entryError](err); ok {
		return entry.entry + ": " + words(entry.cause)
	}
	if of, ok := errors.AsType[*change.HostError](err); ok {
		return fmt.Sprintf("On the host '%s': %s", of.Host, words(of.Cause))
	}
	if refusal, ok := errors.AsType[*model.Error](err); ok && engineWords[refusal.Code] != "" {
		return fmt.Sprintf(engineWords[refusal.Code], refusal.Args...)
	}
	return err.Error()
}

// refusals lists what an error refuses, with the codes. It is nil for more than
// anybody would read.
func refusals(err error) []wire.Refusal {
	several, ok := errors.AsType[model.Refusals](err)
	if !ok {
		several = model.Refusals{err}
	}
	list := make([]wire.Refusal, len(several))
	length := 0
	for i, err := range several {
		list[i].Text = words(err)
		if length += len(list[i].Text); length > rest.MaxText {
			return nil
		}
		if of, ok := errors.AsType[*change.HostError](err); ok {
			list[i].Host = of.Host
		}
		if refusal, ok := errors.AsType[*model.Error](err); ok && refusal.Code != "" {
			list[i].Code = string(refusal.Code)
			for _, arg := range refusal.Args {
				list[i].Args = append(list[i].Args, fmt.Sprint(arg))
			}
		}
	}
	return list
}

// entryError is what one entry is refused for.
type entryError struct {
	entry string
	cause error
}

func (e *entryError) Error() string { return e.entry + ": " + e.cause.Error() }

func (e *entryError) Unwrap() error { return e.cause }
