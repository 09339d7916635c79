package main

import (
	"fmt"
	"strings"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/model"
)

const inUse = "The network '%[1]s' is used by %[3]s: stop them, or unplug the port(s) '%[2]s', or force it with --force."

// ownWords are this command's for what a flag of it overrides.
var ownWords = map[model.Code]string{
	model.InUse:              inUse,
	model.RemovedInUse:       inUse,
	model.RemovedInUseByMany: inUse,
	model.NoHost:             "This isonetd has no host: name one with --host, or see all of them with 'isonet fleet status'.",
	model.InQuarantine:       "The port(s) '%[2]s' of the network '%[1]s' are in quarantine and would be let out: unplug them, or force it with --force.",
	model.BackupOlder:        "The backup is of revision %[1]s, and the store has revision %[2]s: what was changed since would be undone. Use --older if that is meant.",
	model.HostMaintained:     "The host '%[1]s' is in maintenance: activate it first (isonet host activate '%[1]s').",
	model.HostNotEmpty: "The host '%[1]s' still has %[2]s networks and %[3]s labels, and isonetd does not see whether it is alive: " +
		"detach them first, or use --force if the host is gone for good.",
}

// reworded says a refusal in this command's words where it has some of its own,
// and keeps what is said around it.
func reworded(err error, fault *client.Fault) string {
	own := false
	texts := make([]string, len(fault.Refusals))
	for i, r := range fault.Refusals {
		texts[i] = r.Text
		if format, has := ownWords[model.Code(r.Code)]; has {
			own = true
			args := make([]any, len(r.Args))
			for j, arg := range r.Args {
				args[j] = arg
			}
			texts[i] = fmt.Sprintf(format, args...)
			if r.Host != "" {
				texts[i] = fmt.Sprintf("On the host '%s': %s", r.Host, texts[i])
			}
		}
	}
	if !own {
		return err.Error()
	}
	return strings.Replace(err.Error(), fault.Error(), strings.Join(texts, " "), 1)
}
