package guard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
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

	// The prefixes of chains; the ifindex and the device's name follow, so that a
	// later process knows which devices were guarded. Inside of the prefix, ipv6
	// says that IPv6 was on and is to be switched on again. The chain of a device
	// of the kernel's datapath has no hook: it only reminds.
	ingress = "ingress-"
	egress  = "egress-"
	bare    = "bare-"
	ipv6    = "ipv6-"
)

// chain is one chain as the kernel must have it.
type chain struct {
	hook   *nftables.ChainHook // nil for one without a hook
	device string
	rules  [][]expr.Any
}

// rules change the guard's table in the kernel.
type rules struct {
	table  *nftables.Table
	egress bool
	kernel *kernel // what the kernel has
}

func newRules(egress bool) *rules {
	return &rules{table: &nftables.Table{Name: table, Family: nftables.TableFamilyNetdev}, egress: egress}
}

// altered says what is not as it was put, which somebody else must have done; ""
// if there is nothing. Placed are the chains that were put there before.
func (r *rules) altered(wanted map[string]chain, placed map[string]bool) string {
	var found []string
	if r.kernel.flags != 0 {
		found = append(found, fmt.Sprintf("flags 0x%x of the table", r.kernel.flags))
	}
	for name, text := range r.kernel.chains {
		if want, is := wanted[name]; is && want.text() != text {
			found = append(found, "another chain "+name)
		} else if _, ours := parseChain(name); !is && !ours && name != ownFrames {
			found = append(found, "a foreign chain "+name)
		}
	}
	for name := range wanted {
		if _, there := r.kernel.chains[name]; placed[name] && !there {
			found = append(found, "no chain "+name)
		}
	}
	slices.Sort(found)
	const enough = 5
	if len(found) > enough {
		found = append(found[:enough], fmt.Sprintf("and %d more", len(found)-enough))
	}
	return strings.Join(found, ", ")
}

// change makes the table have these chains and no others, in one transaction,
// and reports whether there was anything to do. Chains that were altered are not
// mended one by one: the whole table is made anew, and at no time is there none.
func (r *rules) change(wanted map[string]chain) (bool, error) {
	if !r.kernel.exists && len(wanted) == 0 {
		return false, nil
	}
	conn, err := nftables.New(nftables.WithSockOptions(buffers))
	if err != nil {
		return false, err
	}
	if len(wanted) == 0 {
		conn.DelTable(r.table)
		return true, r.flush(conn)
	}
	has, replace := r.kernel.chains, r.kernel.flags != 0
	for name, text := range has {
		want, is := wanted[name]
		replace = replace || is && want.text() != text
	}
	if replace {
		has = nil
		conn.DelTable(r.table)
	}
	if !replace && sameKeys(has, wanted) {
		return false, nil
	}
	conn.AddTable(r.table)
	for name := range has {
		if _, is := wanted[name]; !is {
			conn.DelChain(&nftables.Chain{Name: name, Table: r.table})
		}
	}
	// Chains without a hook come first: others jump to them.
	for _, name := range slices.SortedFunc(maps.Keys(wanted), func(a, b string) int {
		return cmp.Or(cmp.Compare(wanted[a].device, wanted[b].device), cmp.Compare(a, b))
	}) {
		if _, there := has[name]; !there {
			r.add(conn, name, wanted[name])
		}
	}
	return true, r.flush(conn)
}

func (r *rules) flush(conn *nftables.Conn) error {
	err := conn.Flush()
	if errors.Is(err, unix.EPERM) && r.kernel.exists {
		// Who may not change anything may not read either.
		return fmt.Errorf("%w: %w", errOwned, err)
	}
	return err
}

func buffers(c *netlink.Conn) error {
	return errors.Join(c.SetReadBuffer(socketBuffer), c.SetWriteBuffer(socketBuffer))
}

func sameKeys[A, B any](a map[string]A, b map[string]B) bool {
	return maps.EqualFunc(a, b, func(A, B) bool { return true })
}

// wanted returns the chains for members, by name.
func (r *rules) wanted(members map[string]member) map[string]chain {
	wanted := make(map[string]chain, 2*len(members)+1)
	for _, m := range members {
		if m.InKernel {
			wanted[m.chain(bare)] = chain{}
			continue
		}
		wanted[m.chain(ingress)] = chain{hook: nftables.ChainHookIngress, device: m.Name}
		if !r.egress {
			continue
		}
		wanted[ownFrames] = chain{rules: letPass()}
		wanted[Device{Index: m.Index, Name: m.Name}.chain(egress)] = chain{
			hook: nftables.ChainHookEgress, device: m.Name,
			rules: [][]expr.Any{{&expr.Verdict{Kind: expr.VerdictJump, Chain: ownFrames}}},
		}
	}
	return wanted
}

// add adds a chain. The policy of one with a hook drops every frame; what leaves
// the device goes through the chain that lets pass the frames of Open vSwitch.
func (r *rules) add(conn *nftables.Conn, name string, want chain) {
	c := &nftables.Chain{Name: name, Table: r.table}
	if want.hook != nil {
		drop, first := nftables.ChainPolicyDrop, nftables.ChainPriority(priority)
		c.Type, c.Hooknum, c.Priority, c.Policy, c.Device = nftables.ChainTypeFilter, want.hook, &first, &drop, want.device
	}
	conn.AddChain(c)
	for _, expressions := range want.rules {
		conn.AddRule(&nftables.Rule{Table: r.table, Chain: c, Exprs: expressions})
	}
}

// letPass returns the rules that accept what a packet socket sent, which is how
// Open vSwitch sends. The host's IP has a route attached to each of its packets;
// its ARP has neither a route nor a process that sent it. Both go back to the
// chain that drops.
func letPass() [][]expr.Any {
	return [][]expr.Any{
		ifHas(expr.MetaKeyRTCLASSID, expr.VerdictReturn),
		ifHas(expr.MetaKeySKUID, expr.VerdictAccept),
	}
}

// ifHas is a rule for packets that have a property. What it is compared with is
// no value of the property; a packet without it ends the rule.
func ifHas(key expr.MetaKey, verdict expr.VerdictKind) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0xff, 0xff, 0xff, 0xff}},
		&expr.Verdict{Kind: verdict},
	}
}

// chain returns the name of the device's chain.
func (d Device) chain(prefix string) string {
	return fmt.Sprintf("%s%d-%s", prefix, d.Index, identifier(d.Name))
}

func (m member) chain(prefix string) string {
	if m.ipv6 {
		prefix += ipv6
	}
	return m.Device.chain(prefix)
}

// parseChain reads the name of a chain of a device. It knows no names of
// devices.
func parseChain(name string) (member, bool) {
	for _, prefix := range []string{ingress, egress, bare} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		rest, restoring := strings.CutPrefix(rest, ipv6)
		digits, _, _ := strings.Cut(rest, "-")
		index, err := strconv.Atoi(digits)
		return member{Device: Device{Index: index, InKernel: prefix == bare}, ipv6: restoring}, err == nil
	}
	return member{}, false
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
