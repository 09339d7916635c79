package plan

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
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

// IsolatedKey is the external_ids key by which the host's operator exempts a port
// from the port isolation of its network: "false" is exempt.
const IsolatedKey = "isonet-isolated"

// attachedMAC is the key of an Interface's external_ids with the MAC address of
// the VM's side (ovs-vswitchd.conf.db(5)); libvirt sets it.
const attachedMAC = "attached-mac"

var macPattern = regexp.MustCompile(`^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$`)

// isolated says that a port is to reach only those that are exempt.
func (p Port) isolated(n model.Network) bool {
	return n.PortIsolation && p.ExternalIDs[IsolatedKey] != "false"
}

// AttachedMAC returns the MAC address of the VM behind an interface, in lower
// case; "" when nobody told a valid one.
func (i Interface) AttachedMAC() string {
	mac := strings.ToLower(i.ExternalIDs[attachedMAC])
	if !macPattern.MatchString(mac) || mac == "00:00:00:00:00:00" {
		return ""
	}
	return mac
}

// PipelineOf returns the forwarding of a strict network, whose ports are the
// VMs'. Left out is what Open vSwitch has not opened, and under the MAC lock
// what has no address to be held to.
func PipelineOf(n model.Network, ports []Port) Pipeline {
	var members []Member
	for _, p := range ports {
		for _, i := range p.Interfaces {
			m := Member{OFPort: i.OFPort, Isolated: p.isolated(n)}
			if n.MACLock {
				m.MACs = []string{i.AttachedMAC()}
			}
			if m.OFPort > 0 && !slices.Contains(m.MACs, "") {
				members = append(members, m)
			}
		}
	}
	return NewPipeline(n.VdsmName, n.BroadcastLimit, members...)
}
