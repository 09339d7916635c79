package guard

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// table is of the family netdev.
	table = "isonet"
	// priority is ahead of what others hook.
	priority = -500
	// socketBuffer holds one transaction for some thousand devices and the
	// kernel's answers, in bytes. It is a limit and not an allocation.
	socketBuffer = 64 << 20
	// ownFrames is the chain that tells the frames of Open vSwitch from those of
	// the host.
	ownFrames = "own-frames"

	// The prefixes of chains; the ifindex and the device's name follow. With
	// restoring IPv6 was on and is to be switched on again.
	ingress          = "ingress-"
	ingressRestoring = "ingress-ipv6-"
	egress           = "egress-"
)

// rules are the guard's table in the kernel.
type rules struct {
	conn   *nftables.Conn
	table  *nftables.Table
	egress bool
	chains map[string]bool // those that the kernel has
	exists bool            // the table does
}

// open reads which chains there are.
func open(egress bool) (*rules, error) {
	conn, err := nftables.New(nftables.WithSockOptions(
		func(c *netlink.Conn) error { return c.SetReadBuffer(socketBuffer) },
		func(c *netlink.Conn) error { return c.SetWriteBuffer(socketBuffer) },
	))
	if err != nil {
		return nil, err
	}
	r := &rules{
		conn: conn, table: &nftables.Table{Name: table, Family: nftables.TableFamilyNetdev},
		egress: egress, chains: map[string]bool{},
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyNetdev)
	if errors.Is(err, unix.EINVAL) {
		// The answer of nfnetlink when nf_tables is not there.
		return nil, fmt.Errorf("list tables: %w", unix.EOPNOTSUPP)
	}
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	for _, t := range tables {
		r.exists = r.exists || t.Name == table
	}
	if !r.exists {
		return r, nil
	}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return nil, fmt.Errorf("list chains: %w", err)
	}
	for _, c := range chains {
		if c.Table.Name == table {
			r.chains[c.Name] = true
		}
	}
	return r, nil
}

// restoring returns the ifindexes of the devices whose IPv6 is to be switched on
// again.
func (r *rules) restoring() []int {
	var indexes []int
	for name := range r.chains {
		rest, ok := strings.CutPrefix(name, ingressRestoring)
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, "-")
		if index, err := strconv.Atoi(digits); err == nil && index != 0 {
			indexes = append(indexes, index)
		}
	}
	return indexes
}

// change makes the table have the chains of these members and no others, in one
// transaction, and reports whether there was anything to do. With replace it
// does so in any case, and what is in the table by then goes.
func (r *rules) change(members map[string]member, replace bool) (bool, error) {
	if len(members) == 0 {
		if r.exists {
			r.conn.DelTable(r.table)
		}
		return r.exists, r.conn.Flush()
	}
	wanted := r.wanted(members)
	if !replace && maps.EqualFunc(wanted, r.chains, func(*nftables.Chain, bool) bool { return true }) {
		return false, nil
	}
	r.conn.AddTable(r.table)
	if replace {
		r.conn.DelTable(r.table)
		r.conn.AddTable(r.table)
		r.chains = map[string]bool{}
	}
	if r.egress && !r.chains[ownFrames] {
		r.addOwnFrames(wanted[ownFrames])
	}
	for name := range r.chains {
		if wanted[name] == nil {
			r.conn.DelChain(&nftables.Chain{Name: name, Table: r.table})
		}
	}
	for name, chain := range wanted {
		if name != ownFrames && !r.chains[name] {
			r.addHook(chain)
		}
	}
	return true, r.conn.Flush()
}

// wanted returns the chains for members, by name. The name says everything that
// is to be known about a chain, since the kernel can be asked for names cheaply:
// a device that was made anew has another ifindex, a renamed one another name.
func (r *rules) wanted(members map[string]member) map[string]*nftables.Chain {
	drop, first := nftables.ChainPolicyDrop, nftables.ChainPriority(priority)
	wanted := make(map[string]*nftables.Chain, 2*len(members)+1)
	add := func(prefix string, hook *nftables.ChainHook, m member) {
		name := fmt.Sprintf("%s%d-%s", prefix, m.index, identifier(m.name))
		wanted[name] = &nftables.Chain{
			Name: name, Table: r.table, Type: nftables.ChainTypeFilter,
			Hooknum: hook, Priority: &first, Policy: &drop, Device: m.name,
		}
	}
	for _, m := range members {
		if m.ipv6 {
			add(ingressRestoring, nftables.ChainHookIngress, m)
		} else {
			add(ingress, nftables.ChainHookIngress, m)
		}
		if r.egress {
			add(egress, nftables.ChainHookEgress, m)
		}
	}
	if r.egress {
		wanted[ownFrames] = &nftables.Chain{Name: ownFrames, Table: r.table}
	}
	return wanted
}

// addHook adds a chain on a device. Its policy drops every frame; what leaves
// the device goes through the chain that lets pass the frames of Open vSwitch.
func (r *rules) addHook(chain *nftables.Chain) {
	r.conn.AddChain(chain)
	if chain.Hooknum == nftables.ChainHookEgress {
		r.conn.AddRule(&nftables.Rule{
			Table: r.table, Chain: chain,
			Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: ownFrames}},
		})
	}
}

// addOwnFrames adds the chain that accepts what a packet socket sent, which is
// how Open vSwitch sends. The host's IP has a route attached to each of its
// packets; its ARP has neither a route nor a process that sent it. Both go back
// to the chain that drops.
func (r *rules) addOwnFrames(chain *nftables.Chain) {
	r.conn.AddChain(chain)
	r.addVerdict(chain, expr.MetaKeyRTCLASSID, expr.VerdictReturn)
	r.addVerdict(chain, expr.MetaKeySKUID, expr.VerdictAccept)
}

// addVerdict adds a rule for packets that have a property. What it is compared
// with is no value of the property; a packet without it ends the rule.
func (r *rules) addVerdict(chain *nftables.Chain, key expr.MetaKey, verdict expr.VerdictKind) {
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0xff, 0xff, 0xff, 0xff}},
		&expr.Verdict{Kind: verdict},
	}})
}

// identifier writes a device's name so that nft(8) can read the chain's name
// back, however odd it is. Different names stay different.
func identifier(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}
