package ovs

import (
	"fmt"
	"net"

	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs/openflow"
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
	deniedPriority    = 50
	otherPriority     = 0
)

const (
	// learnedLifetime is how long an address is remembered, in seconds: the MAC
	// aging time of Open vSwitch's own learning.
	learnedLifetime = 300
	// learnedLimit is how many addresses are learned of one member. Frames to
	// others are flooded to the members.
	//
	// Even to try to learn costs vswitchd a flow of the datapath for each address.
	// So a member that is at the limit is not learned of any more, until fewer than
	// learnedAgain of its addresses are remembered.
	learnedLimit, learnedAgain = 256, 128
)

// The cookies of flows. The upper bits are those by which isonet knows flows that
// it made. Learned flows have learnedMark, by which Open vSwitch leaves them out
// of what it lists, and the number of the port that they were learned at.
const (
	cookieMask  = 0xffff << 48
	cookieMark  = 0x150e << 48
	learnedMark = 1
	// deniedCookie is that of flows that count what the MAC lock denies.
	deniedCookie = cookieMark | 2
)

func learnedCookie(port int) uint64 { return cookieMark | uint64(port)<<8 | learnedMark }

// learnedAt returns the number of the port that a flow was learned at.
func learnedAt(f openflow.Flow) int { return int(f.Cookie >> 8 & 0xffff) }

// isLearned says that a flow looks like one that was learned. Open vSwitch 2.17
// tells of no more than the table, the priority and the cookie.
func isLearned(f openflow.Flow) bool {
	return f.Cookie == learnedCookie(learnedAt(f)) && (f.Table == openTable || f.Table == isolatedTable) && f.Priority == memberPriority
}

// place is what there can be one flow of.
type place struct {
	table    uint8
	priority uint16
	match    openflow.Match
}

func placeOf(f openflow.Flow) place { return place{f.Table, f.Priority, f.Match} }

// program is what a bridge must hold, apart from what it learns.
type program struct {
	flows  map[place]openflow.Flow
	meters map[uint32]openflow.Meter
	// denied are the flows that count what the MAC lock denies, with the numbers
	// of the members.
	denied map[openflow.Match]int
	// members are those that addresses are learned of.
	members map[int]plan.Member
}

// newProgram compiles what a bridge must forward by. Full are the members that no
// addresses are learned of any more.
func newProgram(f plan.Forwarding, full map[int]bool) program {
	p := program{
		flows: map[place]openflow.Flow{}, meters: map[uint32]openflow.Meter{},
		denied: map[openflow.Match]int{}, members: map[int]plan.Member{},
	}
	if f.Pipeline == nil {
		p.add(openflow.Flow{Instructions: openflow.Actions(openflow.Output(openflow.Normal))})
		return p
	}
	group, link := []byte{1, 0, 0, 0, 0, 0}, []byte{0x01, 0x80, 0xc2, 0, 0, 0}
	p.drop(refusePriority, openflow.EthSrc(group, group))
	// What switches must not forward (IEEE 802.1D section 7.12.6).
	p.drop(refusePriority, openflow.EthDst(link, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}))
	// The VLAN of the local port and of ports in quarantine.
	p.drop(refusePriority, openflow.VLAN(0x1fff, 0x1fff))
	p.drop(otherPriority)
	var all, reachable []string
	for _, m := range f.Pipeline.Members {
		p.admit(m, f.Pipeline.BroadcastLimit, full[m.OFPort])
		out := openflow.Output(uint32(m.OFPort))
		all = append(all, out)
		if !m.Isolated {
			reachable = append(reachable, out)
		}
	}
	// A frame never goes back to the port that it came from.
	p.static(openflow.Flow{Table: openTable, Instructions: openflow.Actions(all...)})
	p.static(openflow.Flow{Table: isolatedTable, Instructions: openflow.Actions(reachable...)})
	return p
}

func (p *program) add(f openflow.Flow) { p.flows[placeOf(f)] = f }

func (p *program) static(f openflow.Flow) {
	f.Cookie = cookieMark
	p.add(f)
}

func (p *program) drop(priority uint16, fields ...openflow.Field) {
	p.static(openflow.Flow{Table: admissionTable, Priority: priority, Match: openflow.NewMatch(fields...)})
}

// admit lets a member's frames in, from each of its addresses, and learns where
// they came from.
func (p *program) admit(m plan.Member, limit int, full bool) {
	p.members[m.OFPort] = m
	port := uint32(m.OFPort)
	sources := [][]openflow.Field{{openflow.InPort(port)}}
	if len(m.MACs) > 0 {
		sources = nil
		for _, mac := range m.MACs {
			address, err := net.ParseMAC(mac)
			if err != nil {
				continue // the plan has valid ones only
			}
			sources = append(sources, []openflow.Field{openflow.InPort(port), openflow.EthSrc(address, nil)})
		}
		denied := openflow.NewMatch(openflow.InPort(port))
		p.add(openflow.Flow{Table: admissionTable, Priority: deniedPriority, Cookie: deniedCookie, Match: denied})
		p.denied[denied] = m.OFPort
	}
	next, learns := uint8(openTable), []string{learn(m, openTable), learn(m, isolatedTable)}
	if m.Isolated {
		next, learns = isolatedTable, learns[:1]
	}
	if full {
		learns = nil
	}
	instructions := openflow.Actions(learns...) + openflow.Goto(next)
	for _, source := range sources {
		p.static(openflow.Flow{Table: admissionTable, Priority: memberPriority, Match: openflow.NewMatch(source...), Instructions: instructions})
		if limit == 0 {
			continue
		}
		// Each member has the meter of its own port number.
		p.meters[port] = openflow.PacketMeter(port, uint32(limit))
		group := []byte{1, 0, 0, 0, 0, 0}
		p.static(openflow.Flow{
			Table: admissionTable, Priority: broadcastPriority, Match: openflow.NewMatch(append(source, openflow.EthDst(group, group))...),
			Instructions: openflow.Metered(port) + instructions,
		})
	}
}

// learn remembers in a table behind which port an address is, per VLAN.
func learn(m plan.Member, table uint8) string {
	return openflow.Learn(openflow.Learned{
		Table: table, Priority: memberPriority, Cookie: learnedCookie(m.OFPort), Hard: learnedLifetime, Limit: learnedLimit,
	})
}

// learned reports whether a flow is one that a member's frames make.
func (p program) learned(f openflow.Flow) bool {
	m, member := p.members[learnedAt(f)]
	return member && isLearned(f) && (f.Table == openTable || !m.Isolated) &&
		f.Idle == 0 && f.Hard == learnedLifetime && f.Match.IsAddress() &&
		f.Instructions == openflow.Actions(openflow.Output(uint32(m.OFPort)))
}

// changes returns what makes the flows and the learned addresses of one program
// those of another.
func (p program) changes(to program) []openflow.Request {
	var list []openflow.Request
	for at, f := range p.flows {
		if _, there := to.flows[at]; !there {
			list = append(list, openflow.Delete(f))
		}
	}
	for port, m := range p.members {
		if other, there := to.members[port]; !there || fmt.Sprint(other) != fmt.Sprint(m) {
			list = append(list, openflow.DeleteAll(learnedCookie(port), ^uint64(0)))
		}
	}
	for at, f := range to.flows {
		if p.flows[at] != f {
			list = append(list, openflow.Add(f))
		}
	}
	return list
}
