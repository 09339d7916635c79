package wire

// TargetGroup is one member of the list that GET isonet/http_sd returns: a host as a
// target of Prometheus, in the form of its HTTP service discovery
// (https://prometheus.io/docs/prometheus/latest/http_sd/).
type TargetGroup struct {
	// Targets are addresses, HOST:PORT.
	Targets []string `json:"targets"`
	// Labels begin with "__meta_", so that only relabelling keeps them.
	Labels map[string]string `json:"labels"`
}

// The labels of a host as a target.
const (
	TargetHost       = "__meta_isonet_host"
	TargetHostID     = "__meta_isonet_host_id"
	TargetHostLabels = "__meta_isonet_host_labels" // with a comma before and after each
)
