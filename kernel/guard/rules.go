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
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// table is the name of the guard's table in each family.
	table = "isonet"
	// guarded is the set with the ifindexes of the devices that the host's stack is
	// kept from, by the chains fromVMs and toVMs.
	guarded = "guarded"
	fromVMs = "from-vms"
	toVMs   = "to-vms"
	// ownFrames is the chain that tells the frames of Open vSwitch from those of
	// the host.
	ownFrames = "own-frames"
	// priority is ahead of what others hook.
	priority = -500
	// socketBuffer holds one transaction for some thousand devices and the
	// kernel's answers, in bytes. It is a limit and not an allocation.
	socketBuffer = 64 << 20

	// The prefixes of chains; the ifindex and the device's name follow, so that a
	// later process knows which devices were guarded. Inside of the prefix, ipv6
	// says that IPv6 was on and is to be switched on again. The chain of a device
	// of the kernel's datapath has no hook: it only reminds.
	ingress = "ingress-"
	egress  = "egress-"
	bare    = "bare-"
	ipv6    = "ipv6-"
)

// part is one thing of the guard's in the kernel.
type part struct {
	family nftables.TableFamily
	kind   kind
	name   string // "" of a table, the ifindex of an element of the set
}

// kind is a kind of parts. They are made in this order.
type kind int

const (
	aTable kind = iota
	aSet
	aChain
	anElement
)

func (p part) String() string {
	family := map[nftables.TableFamily]string{netdev: "netdev", inet: "inet", arp: "arp"}[p.family]
	return strings.TrimSuffix(fmt.Sprintf("%s %s %s %s", []string{"table", "set", "chain", "element"}[p.kind], family, table, p.name), " ")
}

// The families of the guard's tables. The hooks of netdev are on one device, and
// see what the kernel's datapath takes. Those of inet and arp see what the host's
// own stack gets from and sends to any device, and nothing that Open vSwitch does.
const (
	netdev = nftables.TableFamilyNetdev
	inet   = nftables.TableFamilyINet
	arp    = nftables.TableFamilyARP
)

// known reports whether a part is one of those that the guard makes.
func (p part) known() bool {
	switch p.kind {
	case aSet:
		return p.name == guarded
	case aChain:
		_, ofDevice := parseChain(p.name)
		return ofDevice || p.name == ownFrames || p.name == fromVMs || p.name == toVMs
	case anElement:
		_, err := strconv.Atoi(p.name)
		return err == nil
	}
	return true
}

// chain is a chain as the kernel must have it. Other parts are but there.
type chain struct {
	hook   *nftables.ChainHook // nil for one without a hook
	device string
	policy nftables.ChainPolicy
	rules  [][]expr.Any
}

// rules change the guard's tables in the kernel.
type rules struct {
	egress bool
	kernel *kernel // what the kernel has
}

// altered says what is not as it was put, which somebody else must have done; ""
// if there is nothing. Placed are the parts that were put there before.
func (r *rules) altered(wanted map[part]chain, placed map[part]bool) string {
	var found []string
	for p, text := range r.kernel.parts {
		if want, is := wanted[p]; is && want.text() != text {
			found = append(found, "another "+p.String())
		} else if !is && !p.known() {
			found = append(found, "a foreign "+p.String())
		}
	}
	for p := range wanted {
		if _, there := r.kernel.parts[p]; placed[p] && !there {
			found = append(found, "no "+p.String())
		}
	}
	slices.Sort(found)
	const enough = 5
	if len(found) > enough {
		found = append(found[:enough], fmt.Sprintf("and %d more", len(found)-enough))
	}
	return strings.Join(found, ", ")
}

// change makes the kernel have these parts and no others, in one transaction, and
// reports whether there was anything to do. What was altered is not mended one by
// one: the tables are made anew, and at no time is there none.
func (r *rules) change(wanted map[part]chain, altered bool) (bool, error) {
	has := r.kernel.parts
	if !altered && sameKeys(has, wanted) {
		return false, nil
	}
	conn, err := nftables.New(nftables.WithSockOptions(buffers))
	if err != nil {
		return false, err
	}
	if altered {
		has = nil
	}
	for _, p := range slices.Backward(slices.SortedFunc(maps.Keys(r.kernel.parts), inOrder)) {
		_, keep := wanted[p]
		_, within := wanted[p.table()]
		switch {
		case p.kind == aTable && (altered || !keep):
			conn.DelTable(p.in())
		case !altered && within && !keep:
			err = errors.Join(err, p.remove(conn))
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(wanted), inOrder) {
		if _, there := has[p]; !there {
			err = errors.Join(err, p.add(conn, wanted[p]))
		}
	}
	if err == nil {
		err = conn.Flush()
	}
	if errors.Is(err, unix.EPERM) && len(r.kernel.parts) > 0 {
		// Who may not change anything may not read either.
		err = fmt.Errorf("%w: %w", errOwned, err)
	}
	return true, err
}

// inOrder orders parts as they are made: others jump to the chain ownFrames.
func inOrder(a, b part) int {
	rank := func(p part) kind {
		if p.name == ownFrames {
			return aSet
		}
		return p.kind
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.name, b.name))
}

func buffers(c *netlink.Conn) error {
	return errors.Join(c.SetReadBuffer(socketBuffer), c.SetWriteBuffer(socketBuffer))
}

func sameKeys[K comparable, A, B any](a map[K]A, b map[K]B) bool {
	for key := range a {
		if _, is := b[key]; !is {
			return false
		}
	}
	return len(a) == len(b)
}

// wanted returns what the members need.
func (r *rules) wanted(members map[string]member) map[part]chain {
	wanted := make(map[part]chain, 4*len(members)+8)
	if len(members) == 0 {
		return wanted
	}
	wanted[part{netdev, aTable, ""}] = chain{}
	keepStack(wanted, inet, nftables.ChainHookPrerouting, nftables.ChainHookPostrouting)
	keepStack(wanted, arp, nftables.ChainHookRef(0), nftables.ChainHookRef(1)) // NF_ARP_IN and NF_ARP_OUT
	for _, m := range members {
		if m.Index != 0 {
			wanted[part{inet, anElement, strconv.Itoa(m.Index)}] = chain{}
			wanted[part{arp, anElement, strconv.Itoa(m.Index)}] = chain{}
		}
		if m.InKernel {
			wanted[part{netdev, aChain, m.chain(bare)}] = chain{}
			continue
		}
		wanted[part{netdev, aChain, m.chain(ingress)}] = chain{hook: nftables.ChainHookIngress, device: m.Name}
		if r.egress {
			wanted[part{netdev, aChain, ownFrames}] = chain{rules: letPass()}
			wanted[part{netdev, aChain, m.Device.chain(egress)}] = chain{
				hook: nftables.ChainHookEgress, device: m.Name,
				rules: [][]expr.Any{{&expr.Verdict{Kind: expr.VerdictJump, Chain: ownFrames}}},
			}
		}
	}
	return wanted
}

// keepStack adds what keeps the host's stack from the devices of the set.
func keepStack(wanted map[part]chain, family nftables.TableFamily, in, out *nftables.ChainHook) {
	drop := func(hook *nftables.ChainHook, device expr.MetaKey) chain {
		return chain{hook: hook, policy: nftables.ChainPolicyAccept, rules: [][]expr.Any{{
			&expr.Meta{Key: device, Register: 1},
			&expr.Lookup{SourceRegister: 1, SetName: guarded},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}}}
	}
	wanted[part{family, aTable, ""}] = chain{}
	wanted[part{family, aSet, guarded}] = chain{}
	wanted[part{family, aChain, fromVMs}] = drop(in, expr.MetaKeyIIF)
	wanted[part{family, aChain, toVMs}] = drop(out, expr.MetaKeyOIF)
}

// table returns the table that the part is in.
func (p part) table() part { return part{p.family, aTable, ""} }

func (p part) in() *nftables.Table { return &nftables.Table{Name: table, Family: p.family} }

func (p part) set() *nftables.Set {
	return &nftables.Set{Table: p.in(), ID: 1, Name: guarded, KeyType: nftables.TypeIFIndex, KeyByteOrder: binaryutil.NativeEndian}
}

func (p part) element() ([]nftables.SetElement, error) {
	index, err := strconv.Atoi(p.name)
	return []nftables.SetElement{{Key: binaryutil.NativeEndian.PutUint32(uint32(index))}}, err
}

func (p part) add(conn *nftables.Conn, want chain) error {
	switch p.kind {
	case aTable:
		conn.AddTable(p.in())
	case aSet:
		return conn.AddSet(p.set(), nil)
	case anElement:
		element, err := p.element()
		return errors.Join(err, conn.SetAddElements(p.set(), element))
	case aChain:
		c := &nftables.Chain{Name: p.name, Table: p.in()}
		if want.hook != nil {
			first := nftables.ChainPriority(priority)
			c.Type, c.Hooknum, c.Priority, c.Policy, c.Device = nftables.ChainTypeFilter, want.hook, &first, &want.policy, want.device
		}
		conn.AddChain(c)
		for _, expressions := range want.rules {
			conn.AddRule(&nftables.Rule{Table: p.in(), Chain: c, Exprs: expressions})
		}
	}
	return nil
}

// remove removes a chain or an element; sets go with their table.
func (p part) remove(conn *nftables.Conn) error {
	if p.kind == anElement {
		element, err := p.element()
		return errors.Join(err, conn.SetDeleteElements(p.set(), element))
	}
	conn.DelChain(&nftables.Chain{Name: p.name, Table: p.in()})
	return nil
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

// members returns what the chains of devices remind of.
func (k *kernel) members() []member {
	var all []member
	for p := range k.parts {
		if m, ok := parseChain(p.name); ok && p.kind == aChain {
			all = append(all, m)
		}
	}
	return all
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
