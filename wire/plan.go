package wire

import "encoding/json"

// PlanRequest is the body of POST isonet/plan: writes to be planned, one after
// the other.
type PlanRequest struct {
	Requests []PlannedWrite `json:"requests"`
}

// PlannedWrite is one request of a PlanRequest.
type PlannedWrite struct {
	Method string `json:"method"`
	// Path is below the base path and may have a query, such as
	// "/networks/ID?force=true".
	Path string `json:"path"`
	// Body is the request's body in its JSON form.
	Body json.RawMessage `json:"body,omitempty"`
}

// Plan is the reply of isonet/plan: what isonetd would change in Open
// vSwitch, in one transaction.
type Plan struct {
	Host       Host        `json:"host"`
	Operations []Operation `json:"operations"`
	// Held are bridges that should be gone and would be kept by ports in use.
	Held []Held `json:"held"`
}

// Verb is what an Operation does.
type Verb string

// The verbs of operations.
const (
	CreateBridge   Verb = "create-bridge"
	PlugPort       Verb = "plug-port"
	RepairBridge   Verb = "repair-bridge"
	RemoveBridge   Verb = "remove-bridge"
	RemovePort     Verb = "remove-port"
	QuarantinePort Verb = "quarantine-port"
	ReleasePort    Verb = "release-port"
	SetMTU         Verb = "set-mtu"
	AdoptBridge    Verb = "adopt-bridge"
	ReleaseBridge  Verb = "release-bridge"
)

// Operation is one change of Open vSwitch.
type Operation struct {
	Do     Verb   `json:"do"`
	Bridge string `json:"bridge"`
	// NetworkID is the bridge's network, which may exist no more.
	NetworkID string `json:"network_id"`
	// Port is "" for an operation on the bridge itself.
	Port string `json:"port,omitempty"`
	// Columns are what a repair sets.
	Columns []string `json:"columns,omitempty"`
	// MTU in bytes.
	MTU int `json:"mtu,omitempty"`
	// Reason is why isolation asks for it.
	Reason string `json:"reason,omitempty"`
}
