package wire

// RefusalsHeader asks, with any value, for the member refusals of a fault in JSON.
const RefusalsHeader = "Isonet-Refusals"

// Refusal is one of the things that a request is refused for.
type Refusal struct {
	// Code says which rule refuses, and Args about what. It is absent for a rule
	// that has no words but Text.
	Code string   `json:"code,omitempty"`
	Args []string `json:"args,omitempty"`
	Text string   `json:"text"`
}
