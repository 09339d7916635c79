package wire

// RefusalsHeader asks, with any value, for the member refusals of a fault in JSON.
const RefusalsHeader = "Isonet-Refusals"

// WarningHeader is in the reply of a write that was done, or would be, and that VMs
// will notice: a sentence in ASCII for each thing.
const WarningHeader = "Isonet-Warning"

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
