package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// From linux/netfilter/nf_tables.h.
	chainFlags = 10     // NFTA_CHAIN_FLAGS
	chainBase  = 1 << 0 // NFT_CHAIN_BASE
)

// errInterrupted says that rules changed while they were read.
var errInterrupted = errors.New("the rules changed while they were read")

// kernel is what the kernel has of the guard's.
type kernel struct {
	generation uint32          // its count of changes, of all tables
	parts      map[part]string // their texts
}

// text says all that is to be known about a chain, other text for other
// behaviour.
func (c chain) text() string {
	var b strings.Builder
	if c.hook != nil {
		fmt.Fprintf(&b, "filter hook %d device %q priority %d policy %d", *c.hook, c.device, priority, c.policy)
	}
	for _, rule := range c.rules {
		b.WriteString("\n")
		for _, e := range rule {
			writeExpression(&b, e)
		}
	}
	return b.String()
}

func writeExpression(b *strings.Builder, e expr.Any) { fmt.Fprintf(b, "%T%+v ", e, e) }

// readKernel reads the guard's tables as they were at one moment. google/nftables
// reads neither the devices of chains nor the rules of more than one chain at a
// time.
func readKernel() (*kernel, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := buffers(conn); err != nil {
		return nil, err
	}
	k := &kernel{parts: map[part]string{}}
	if k.generation, err = generation(conn); err != nil {
		return nil, err
	}
	for _, family := range []nftables.TableFamily{netdev, inet, arp} {
		if err := k.readFamily(conn, family); err != nil {
			return nil, err
		}
	}
	after, err := generation(conn)
	if err == nil && after != k.generation {
		err = errInterrupted
	}
	return k, err
}

// readFamily reads the guard's table of a family, if there is one.
func (k *kernel) readFamily(conn *netlink.Conn, family nftables.TableFamily) error {
	whole := part{family, aTable, ""}
	for _, listing := range []struct {
		what    string
		message int
		flags   netlink.HeaderFlags
		of      []netlink.Attribute
		read    func(nftables.TableFamily, netlink.Message) error
	}{
		{"table", unix.NFT_MSG_GETTABLE, 0, []netlink.Attribute{text(unix.NFTA_TABLE_NAME, table)}, k.readTable},
		{"chains", unix.NFT_MSG_GETCHAIN, netlink.Dump, []netlink.Attribute{text(unix.NFTA_CHAIN_TABLE, table)}, k.readChain},
		{"rules", unix.NFT_MSG_GETRULE, netlink.Dump, []netlink.Attribute{text(unix.NFTA_RULE_TABLE, table)}, k.readRule},
		{"sets", unix.NFT_MSG_GETSET, netlink.Dump, []netlink.Attribute{text(unix.NFTA_SET_TABLE, table)}, k.readSet},
		{"elements", unix.NFT_MSG_GETSETELEM, netlink.Dump, []netlink.Attribute{
			text(unix.NFTA_SET_ELEM_LIST_TABLE, table), text(unix.NFTA_SET_ELEM_LIST_SET, guarded),
		}, k.readElements},
	} {
		messages, err := ask(conn, listing.message, listing.flags, byte(family), listing.of...)
		if errors.Is(err, unix.ENOENT) {
			continue // no table, or no set
		}
		for _, m := range messages {
			err = errors.Join(err, listing.read(family, m))
		}
		if err != nil {
			return fmt.Errorf("read the %s: %w", listing.what, err)
		}
		if _, there := k.parts[whole]; !there {
			return nil
		}
	}
	return nil
}

// readGeneration returns the kernel's count of changes of its rules.
func readGeneration() (uint32, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	return generation(conn)
}

func generation(conn *netlink.Conn) (uint32, error) {
	messages, err := ask(conn, unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC)
	if errors.Is(err, unix.EINVAL) {
		// The answer of nfnetlink when nf_tables is not there.
		return 0, fmt.Errorf("read the count of changes: %w", unix.EOPNOTSUPP)
	}
	if err != nil {
		return 0, fmt.Errorf("read the count of changes: %w", err)
	}
	for _, m := range messages {
		if m.Header.Type != messageType(unix.NFT_MSG_NEWGEN) {
			continue
		}
		attributes, err := attributesOf(m)
		if err != nil {
			return 0, err
		}
		for attributes.Next() {
			if attributes.Type() == unix.NFTA_GEN_ID {
				return attributes.Uint32(), nil
			}
		}
	}
	return 0, errors.New("read the count of changes: the kernel does not tell it")
}

func (k *kernel) readTable(family nftables.TableFamily, m netlink.Message) error {
	attributes, err := attributesOf(m)
	if err != nil {
		return err
	}
	unlike := ""
	for attributes.Next() {
		if attributes.Type() == unix.NFTA_TABLE_FLAGS && attributes.Uint32() != 0 {
			unlike = fmt.Sprintf("flags 0x%x", attributes.Uint32()) // such as dormant
		}
	}
	k.parts[part{family, aTable, ""}] = unlike
	return attributes.Err()
}

// readSet makes the text of a set, which is empty for one of ifindexes and nothing
// else.
func (k *kernel) readSet(family nftables.TableFamily, m netlink.Message) error {
	attributes, err := attributesOf(m)
	if err != nil {
		return err
	}
	var in, name, unlike string
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_SET_TABLE:
			in = attributes.String()
		case unix.NFTA_SET_NAME:
			name = attributes.String()
		case unix.NFTA_SET_FLAGS:
			if flags := attributes.Uint32(); flags != 0 {
				unlike += fmt.Sprintf("flags 0x%x ", flags)
			}
		case unix.NFTA_SET_KEY_LEN:
			if bytes := attributes.Uint32(); bytes != nftables.TypeIFIndex.Bytes {
				unlike += fmt.Sprintf("keys of %d bytes ", bytes)
			}
		}
	}
	if in == table {
		k.parts[part{family, aSet, name}] = unlike
	}
	return attributes.Err()
}

// readElements reads elements of the set. Their text is empty if there is no more
// to them than an ifindex.
func (k *kernel) readElements(family nftables.TableFamily, m netlink.Message) error {
	attributes, err := attributesOf(m)
	if err != nil {
		return err
	}
	for attributes.Next() {
		if attributes.Type() != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			continue
		}
		attributes.Nested(func(list *netlink.AttributeDecoder) error {
			for list.Next() {
				list.Nested(func(e *netlink.AttributeDecoder) error { return k.readElement(family, e) })
			}
			return nil
		})
	}
	return attributes.Err()
}

func (k *kernel) readElement(family nftables.TableFamily, attributes *netlink.AttributeDecoder) error {
	name, unlike := "without a key", ""
	for attributes.Next() {
		if attributes.Type() != unix.NFTA_SET_ELEM_KEY {
			unlike += fmt.Sprintf("attribute %d ", attributes.Type())
			continue
		}
		attributes.Nested(func(key *netlink.AttributeDecoder) error {
			for key.Next() {
				if value := key.Bytes(); key.Type() == unix.NFTA_DATA_VALUE && len(value) == int(nftables.TypeIFIndex.Bytes) {
					name = strconv.Itoa(int(binaryutil.NativeEndian.Uint32(value)))
				}
			}
			return nil
		})
	}
	k.parts[part{family, anElement, name}] = unlike
	return nil
}

// readChain makes the text of a chain, without its rules. It is in the words of
// chain.text only if there is nothing that one does not have.
func (k *kernel) readChain(family nftables.TableFamily, m netlink.Message) error {
	attributes, err := attributesOf(m)
	if err != nil {
		return err
	}
	var in, name, device, kind, more string
	var hook, priority, policy uint32
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_CHAIN_TABLE:
			in = attributes.String()
		case unix.NFTA_CHAIN_NAME:
			name = attributes.String()
		case unix.NFTA_CHAIN_TYPE:
			kind = attributes.String()
		case unix.NFTA_CHAIN_POLICY:
			policy = attributes.Uint32()
		case chainFlags:
			if flags := attributes.Uint32() &^ chainBase; flags != 0 {
				more = fmt.Sprintf(" flags 0x%x", flags)
			}
		case unix.NFTA_CHAIN_HOOK:
			attributes.Nested(func(hooks *netlink.AttributeDecoder) error {
				for hooks.Next() {
					switch hooks.Type() {
					case unix.NFTA_HOOK_HOOKNUM:
						hook = hooks.Uint32()
					case unix.NFTA_HOOK_PRIORITY:
						priority = hooks.Uint32()
					case unix.NFTA_HOOK_DEV: // absent if there is not just one
						device = hooks.String()
					}
				}
				return nil
			})
		}
	}
	if in != table {
		return attributes.Err()
	}
	description := ""
	if kind != "" {
		description = fmt.Sprintf("%s hook %d device %q priority %d policy %d", kind, hook, device, int32(priority), policy)
	}
	k.parts[part{family, aChain, name}] = description + more
	return attributes.Err()
}

// readRule adds a rule to the text of its chain.
func (k *kernel) readRule(family nftables.TableFamily, m netlink.Message) error {
	attributes, err := attributesOf(m)
	if err != nil {
		return err
	}
	var in, chain string
	var rule strings.Builder
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_RULE_TABLE:
			in = attributes.String()
		case unix.NFTA_RULE_CHAIN:
			chain = attributes.String()
		case unix.NFTA_RULE_EXPRESSIONS:
			attributes.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					list.Nested(func(e *netlink.AttributeDecoder) error { return readExpression(&rule, e) })
				}
				return nil
			})
		}
	}
	if in == table {
		k.parts[part{family, aChain, chain}] += "\n" + rule.String()
	}
	return attributes.Err()
}

// readExpression writes an expression of a kind that the guard uses in full, and
// of others the name.
func readExpression(b *strings.Builder, attributes *netlink.AttributeDecoder) error {
	var name string
	var data []byte
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_EXPR_NAME:
			name = attributes.String()
		case unix.NFTA_EXPR_DATA:
			data = attributes.Bytes()
		}
	}
	var e expr.Any
	switch name {
	case "meta":
		e = &expr.Meta{}
	case "cmp":
		e = &expr.Cmp{}
	case "immediate":
		e = &expr.Verdict{}
	case "lookup":
		e = &expr.Lookup{}
	default:
		b.WriteString(name + " ")
		return nil
	}
	if err := expr.Unmarshal(unix.NFPROTO_NETDEV, data, e); err != nil {
		return fmt.Errorf("read the expression %s: %w", name, err)
	}
	writeExpression(b, e)
	return nil
}

func messageType(message int) netlink.HeaderType {
	return netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | message)
}

func text(kind uint16, value string) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: append([]byte(value), 0)}
}

// headerSize is that of struct nfgenmsg, in bytes.
const headerSize = 4

// ask sends a request of nf_tables and returns the answers.
func ask(conn *netlink.Conn, message int, flags netlink.HeaderFlags, family byte, attributes ...netlink.Attribute) ([]netlink.Message, error) {
	data, err := netlink.MarshalAttributes(attributes)
	if err != nil {
		return nil, err
	}
	return conn.Execute(netlink.Message{
		Header: netlink.Header{Type: messageType(message), Flags: netlink.Request | flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, data...),
	})
}

// attributesOf returns the attributes of an answer of nf_tables.
func attributesOf(m netlink.Message) (*netlink.AttributeDecoder, error) {
	if len(m.Data) < headerSize {
		return nil, errors.New("short message of nf_tables")
	}
	attributes, err := netlink.NewAttributeDecoder(m.Data[headerSize:])
	if err != nil {
		return nil, err
	}
	attributes.ByteOrder = binary.BigEndian
	return attributes, nil
}
