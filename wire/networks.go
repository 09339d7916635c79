package wire

// Outcome is what became of one entry of POST isonet/networks.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Changed   Outcome = "changed"
	Unchanged Outcome = "unchanged"
)

// PutNetworks is the reply of POST isonet/networks.
type PutNetworks struct {
	// Networks are in the order of the request.
	Networks []PutNetwork `json:"networks"`
}

// PutNetwork is what became of one entry.
type PutNetwork struct {
	NetworkName
	Outcome Outcome `json:"outcome"`
}
