package wire

// Outcome is what became of one entry of POST isonet/networks.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Changed   Outcome = "changed"
	Unchanged Outcome = "unchanged"
	Removed   Outcome = "removed"
)

// MostNetworks is the most networks of one POST isonet/networks: what an OVSDB
// server and vswitchd take in one transaction without holding others up for long.
const MostNetworks = 1000

// PutNetworks is the reply of POST isonet/networks.
type PutNetworks struct {
	// Networks are in the order of the request: those that it creates and changes, then
	// those that it removes.
	Networks []PutNetwork `json:"networks"`
}

// PutNetwork is what became of one entry.
type PutNetwork struct {
	NetworkName
	Outcome Outcome `json:"outcome"`
}
