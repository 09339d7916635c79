package ovs

import (
	"fmt"
	"hash/fnv"

	openflow "github.com/digitalocean/go-openvswitch/ovs"

	"github.com/isonet/isonet/model/plan"
)

// The tables of a pipeline. Frames enter at admission, which knows the members
// and drops the rest. From there they go to the table of those that the sender
// may reach; both learn addresses and otherwise flood to a list of ports. The
// action NORMAL is never used, because it floods to every port of the bridge.
const (
	admissionTable = 0
	// openTable forwards the frames of members that may reach all members.
	openTable = 20
	// isolatedTable forwards the frames of isolated members: it learns and
	// floods only to members that are not isolated.
	isolatedTable = 21
)

// The priorities of flows within a table.
const (
	refusePriority    = 300
	broadcastPriority = 200
	memberPriority    = 100
	otherPriority     = 0
)

// learnedLifetime is how long an address is remembered, in seconds: the MAC
// aging time of Open vSwitch's own learning.
const learnedLifetime = 300

// learnedMark is the bit that tells the cookies of learned flows from those of
// the others.
const learnedMark = 1

// cookieMark is what the upper bits of all cookies are, by which isonet knows
// flows that it made, in whichever version of the set.
const (
	cookieMask = 0xffff << 48
	cookieMark = 0x150e << 48
)

// pipeline is the flows of a plan.Pipeline. The cookie of each names the whole
// set, so that a set can be recognised on the switch.
type pipeline struct {
	cookie uint64
	flows  []*openflow.Flow
}

// newPipeline compiles a pipeline.
func newPipeline(p plan.Pipeline) (pipeline, error) {
	cookie, err := cookieOf(p)
	if err != nil {
		return pipeline{}, err
	}
	return pipeline{cookie, flowsOf(p, cookie)}, nil
}

// cookieOf returns the cookie for a pipeline's flows: a hash of their texts.
func cookieOf(p plan.Pipeline) (uint64, error) {
	h := fnv.New64a()
	for _, f := range flowsOf(p, 0) {
		text, err := f.MarshalText()
		if err != nil {
			return 0, fmt.Errorf("write the flows of the bridge '%s': %w", p.Bridge, err)
		}
		h.Write(text)
	}
	return h.Sum64()&^(cookieMask|learnedMark) | cookieMark, nil
}

func flowsOf(p plan.Pipeline, cookie uint64) []*openflow.Flow {
	b := builder{cookie: cookie}
	b.drop(admissionTable, refusePriority, openflow.DataLinkSource("01:00:00:00:00:00/01:00:00:00:00:00"))
	// What switches must not forward (IEEE 802.1D section 7.12.6).
	b.drop(admissionTable, refusePriority, openflow.DataLinkDestination("01:80:c2:00:00:00/ff:ff:ff:ff:ff:f0"))
	// The VLAN of the local port and of ports in quarantine.
	b.drop(admissionTable, refusePriority, openflow.VLANTCI(0x1fff, 0x1fff))
	b.drop(admissionTable, otherPriority)
	var all, reachable []openflow.Action
	for _, m := range p.Members {
		b.admit(m, p.BroadcastLimit > 0)
		all = append(all, openflow.Output(m.OFPort))
		if !m.Isolated {
			reachable = append(reachable, openflow.Output(m.OFPort))
		}
	}
	b.flood(openTable, all)
	b.flood(isolatedTable, reachable)
	return b.flows
}

type builder struct {
	cookie uint64
	flows  []*openflow.Flow
}

func (b *builder) add(f *openflow.Flow) {
	f.Cookie = b.cookie
	b.flows = append(b.flows, f)
}

func (b *builder) drop(table, priority int, matches ...openflow.Match) {
	b.add(&openflow.Flow{Table: table, Priority: priority, Matches: matches, Actions: []openflow.Action{openflow.Drop()}})
}

// admit lets a member's frames in, from each of its addresses, and learns where
// they came from.
func (b *builder) admit(m plan.Member, metered bool) {
	sources := [][]openflow.Match{nil}
	if len(m.MACs) > 0 {
		sources = nil
		for _, mac := range m.MACs {
			sources = append(sources, []openflow.Match{openflow.DataLinkSource(mac)})
		}
	}
	table := openTable
	if m.Isolated {
		table = isolatedTable
	}
	actions := []openflow.Action{b.learn(openTable)}
	if !m.Isolated {
		actions = append(actions, b.learn(isolatedTable))
	}
	actions = append(actions, openflow.Resubmit(0, table))
	for _, source := range sources {
		b.add(&openflow.Flow{Table: admissionTable, Priority: memberPriority, InPort: m.OFPort, Matches: source, Actions: actions})
		if !metered {
			continue
		}
		b.add(&openflow.Flow{
			Table: admissionTable, Priority: broadcastPriority, InPort: m.OFPort,
			Matches: append([]openflow.Match{openflow.DataLinkDestination("01:00:00:00:00:00/01:00:00:00:00:00")}, source...),
			Actions: append([]openflow.Action{meter(m.OFPort)}, actions...),
		})
	}
}

// learn remembers in a table behind which port an address is, per VLAN.
func (b *builder) learn(table int) openflow.Action {
	return openflow.Learn(&openflow.LearnedFlow{
		Table: table, Priority: memberPriority, HardTimeout: learnedLifetime, Cookie: b.cookie | learnedMark,
		Matches: []openflow.Match{
			openflow.FieldMatch("NXM_OF_VLAN_TCI[0..11]", "NXM_OF_VLAN_TCI[0..11]"),
			openflow.FieldMatch("NXM_OF_ETH_DST[]", "NXM_OF_ETH_SRC[]"),
		},
		Actions: []openflow.Action{openflow.OutputField("NXM_OF_IN_PORT[]")},
	})
}

// flood sends what has no learned destination to a list of ports. A frame never
// goes back to the port that it came from.
func (b *builder) flood(table int, ports []openflow.Action) {
	if len(ports) == 0 {
		b.drop(table, otherPriority)
		return
	}
	b.add(&openflow.Flow{Table: table, Priority: otherPriority, Actions: ports})
}

// meter is the action that bounds the rate of what it is applied to; each
// member has the meter of its own port number.
type meter int

func (m meter) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "meter:%d", int(m)), nil }
func (m meter) GoString() string             { return fmt.Sprintf("meter(%d)", int(m)) }
