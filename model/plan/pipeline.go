package plan

import (
	"cmp"
	"slices"
)

// Pipeline is the forwarding of a strict network's bridge: an allow-list. What
// it does not name passes nothing, whatever else is plugged in.
type Pipeline struct {
	Bridge  string
	Members []Member
	// BroadcastLimit is how many broadcast and multicast frames each member may
	// send in a second; 0 is no limit.
	BroadcastLimit int
}

// Member is a port that may send and receive.
type Member struct {
	OFPort int
	// MACs are the source addresses that the member may use, in lower case;
	// none means any.
	MACs []string
	// Isolated members reach only those that are not.
	Isolated bool
}

// NewPipeline returns a pipeline whose members have a fixed order, so that two
// of equal meaning are equal.
func NewPipeline(bridge string, broadcastLimit int, members ...Member) Pipeline {
	p := Pipeline{Bridge: bridge, BroadcastLimit: broadcastLimit}
	for _, m := range members {
		m.MACs = slices.Compact(slices.Sorted(slices.Values(m.MACs)))
		p.Members = append(p.Members, m)
	}
	slices.SortFunc(p.Members, func(a, b Member) int { return cmp.Compare(a.OFPort, b.OFPort) })
	return p
}
