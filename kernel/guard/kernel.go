package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
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

// kernel is what the kernel has of the guard's table.
type kernel struct {
	generation uint32 // its count of changes, of all tables
	exists     bool
	flags      uint32            // of the table, such as dormant
	chains     map[string]string // their texts by name
}

// text says all that is to be known about a chain, other text for other
// behaviour.
func (c chain) text() string {
	var b strings.Builder
	if c.hook != nil {
		fmt.Fprintf(&b, "filter hook %d device %q priority %d policy %d", *c.hook, c.device, priority, nftables.ChainPolicyDrop)
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

// readKernel reads the guard's table as it was at one moment. google/nftables
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
	k := &kernel{chains: map[string]string{}}
	if k.generation, err = generation(conn); err != nil {
		return nil, err
	}
	if err := k.readTable(conn); err != nil {
		return nil, fmt.Errorf("read the table: %w", err)
	}
	if k.exists {
		if err := k.readChains(conn); err != nil {
			return nil, fmt.Errorf("read the chains: %w", err)
		}
		if err := k.readRules(conn); err != nil {
			return nil, fmt.Errorf("read the rules: %w", err)
		}
	}
	after, err := generation(conn)
	if err == nil && after != k.generation {
		err = errInterrupted
	}
	return k, err
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

func (k *kernel) readTable(conn *netlink.Conn) error {
	messages, err := ask(conn, unix.NFT_MSG_GETTABLE, 0, unix.NFPROTO_NETDEV, text(unix.NFTA_TABLE_NAME, table))
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	k.exists = true
	for _, m := range messages {
		attributes, err := attributesOf(m)
		if err != nil {
			return err
		}
		for attributes.Next() {
			if attributes.Type() == unix.NFTA_TABLE_FLAGS {
				k.flags = attributes.Uint32()
			}
		}
	}
	return nil
}

func (k *kernel) readChains(conn *netlink.Conn) error {
	messages, err := ask(conn, unix.NFT_MSG_GETCHAIN, netlink.Dump, unix.NFPROTO_NETDEV, text(unix.NFTA_CHAIN_TABLE, table))
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := k.readChain(m); err != nil {
			return err
		}
	}
	return nil
}

// readChain makes the text of a chain, without its rules. It is in the words of
// chain.text only if there is nothing that one does not have.
func (k *kernel) readChain(m netlink.Message) error {
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
	k.chains[name] = description + more
	return attributes.Err()
}

func (k *kernel) readRules(conn *netlink.Conn) error {
	messages, err := ask(conn, unix.NFT_MSG_GETRULE, netlink.Dump, unix.NFPROTO_NETDEV, text(unix.NFTA_RULE_TABLE, table))
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := k.readRule(m); err != nil {
			return err
		}
	}
	return nil
}

// readRule adds a rule to the text of its chain.
func (k *kernel) readRule(m netlink.Message) error {
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
		k.chains[chain] += "\n" + rule.String()
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
