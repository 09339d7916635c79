package wire

// RefusalsHeader asks, with any value, for the member refusals of a fault in JSON.
const RefusalsHeader = "Isonet-Refusals"

// WarningHeader is in the reply of a write that was done, or would be, and that VMs
// will notice: a sentence in ASCII for each thing.
const WarningHeader = "Isonet-Warning"

// RevisionHeader is in the reply of a write that was done: the revision of the desired
// state that it made.
const RevisionHeader = "Isonet-Revision"

// HostsHeader is in the reply of a write with wait=hosts: how many of the hosts that it
// touches have it, as realised=998; pending=1; failed=0; unreachable=1. GET isonet/hosts
// tells which.
const HostsHeader = "Isonet-Hosts"

// Refusal is one of the things that a request is refused for.
type Refusal struct {
	// Code says which rule refuses, and Args about what. It is absent for a rule
	// that has no words but Text.
	Code string   `json:"code,omitempty"`
	Args []string `json:"args,omitempty"`
	Text string   `json:"text"`
	// Host is the name of the host that refuses, if the request is not about that one.
	Host string `json:"host,omitempty"`
}
