package model

import (
	"reflect"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MTU bounds in bytes. 68 is the least MTU of IPv4 (RFC 791) and of the oVirt
// engine; 65521 is the most that a tap device takes, which is what the bridges
// of the userspace datapath are made of.
const (
	DefaultMTU = 1500
	MinMTU     = 68
	MaxMTU     = 65521
)

// Text limits in characters. 256 is the oVirt engine's limit for names; the
// others keep one network within one small OVSDB row.
const (
	MaxName        = 256
	MaxDescription = 4000
	MaxLabel       = 256
)

// MaxBroadcastLimit is more broadcasts than 100 Gb/s carry in a second.
const MaxBroadcastLimit = 200_000_000

// maxLabels bounds the labels of a host: each change looks at all of them.
const maxLabels = 1000

// Network is a logical network of the data center. On a host that it is
// attached to it is one bridge without physical ports.
type Network struct {
	ID          ID
	Name        string // unique
	Description string
	Comment     string
	// MTU in bytes; 0 means DefaultMTU, as in the oVirt engine.
	MTU int
	// Label attaches the network to every host that has it; "" means none.
	Label string
	// VdsmName is the bridge's name on every host. It is fixed when the network
	// is made and survives a renaming, so that a new name moves no VM's port.
	VdsmName string
	// PortIsolation keeps the network's ports from reaching each other. Those
	// that the host's operator exempts, such as a gateway's, are reached by all.
	PortIsolation bool
	// Isolation is the policy about what breaks the isolation; "" means
	// PolicyEnforce. EffectiveIsolation tells which one is in force.
	Isolation Policy
	// Strict forwards frames between known ports only, so that not even a
	// moment's leak is possible.
	Strict bool
	// MACLock holds every port to its own MAC address. It needs Strict.
	MACLock bool
	// BroadcastLimit is how many broadcast and multicast frames a port may send
	// in a second; 0 is no limit. It needs Strict.
	BroadcastLimit int
	// Revision counts the changes of this network.
	Revision int64
}

// Apply sets fields of the network to the members of settings that have their names: a
// struct of pointers, of which a nil one changes nothing. Validate judges the values.
func (n *Network) Apply(settings any) {
	policy, effective := n.Isolation, n.EffectiveIsolation()
	from, to := reflect.ValueOf(settings), reflect.ValueOf(n).Elem()
	for i := range from.NumField() {
		if member := from.Field(i); !member.IsNil() {
			field := to.FieldByName(from.Type().Field(i).Name)
			field.Set(member.Elem().Convert(field.Type()))
		}
	}
	if n.Isolation == effective {
		n.Isolation = policy // the default needs not be said
	}
}

// Show sets the members of settings to the fields of the network that have their names.
// Settings points to a struct of pointers, as Apply takes.
func (n Network) Show(settings any) {
	n.Isolation = n.EffectiveIsolation()
	from, to := reflect.ValueOf(n), reflect.ValueOf(settings).Elem()
	for i := range to.NumField() {
		member := reflect.New(to.Field(i).Type().Elem())
		member.Elem().Set(from.FieldByName(to.Type().Field(i).Name).Convert(member.Type().Elem()))
		to.Field(i).Set(member)
	}
}

// EffectiveMTU returns the MTU in bytes that the network's ports must have.
func (n Network) EffectiveMTU() int {
	if n.MTU == 0 {
		return DefaultMTU
	}
	return n.MTU
}

// reservedPattern matches the names that no bridge can have, or that others need:
//   - default and all are directories beside those of devices in /proc/sys/net,
//     and bonding_masters a file beside them in /sys/class/net;
//   - the devices that the kernel makes itself when it loads a module, which it
//     could not load any more;
//   - what Open vSwitch calls its datapaths, and its tunnels of the kernel
//     (netdev_is_reserved_name);
//   - what commands would take for an option.
var reservedPattern = regexp.MustCompile(`^(default|all|bonding_masters|lo|` +
	`(tunl|gre|gretap|erspan|ip_vti|ip6_vti|sit|ip6tnl|ip6gre|teql|dummy|ifb)[0-9]|` +
	`ovs-(system|netdev|dummy)|[0-9a-z]+_sys(_[0-9]+)?|` +
	`(genev|gre|vxlan|lisp|stt|erspan|ip6erspan|ip6gre|gtpu|udp|srv6)_sys.*|-.*)$`)

var vdsmNamePattern = regexp.MustCompile(`^[0-9a-zA-Z_-]{1,15}$`)

// VdsmName returns the bridge name of a new network by oVirt's rule: the name
// itself if it can be a Linux device's name, else "on" and the first 13
// hexadecimal digits of the id.
func VdsmName(id ID, name string) string {
	if vdsmNamePattern.MatchString(name) && !reservedPattern.MatchString(name) {
		return name
	}
	return "on" + strings.ReplaceAll(string(id), "-", "")[:13]
}

// Validate checks what can be checked of a network alone, and returns all that
// is wrong.
func (n Network) Validate() error {
	var wrong []error
	if id, ok := ParseID(string(n.ID)); !ok || id != n.ID {
		wrong = append(wrong, Invalidf("Network id '%s' is not a UUID.", n.ID))
	}
	if n.MTU != 0 && (n.MTU < MinMTU || n.MTU > MaxMTU) {
		wrong = append(wrong, Invalidf("MTU %d is not valid: use 0 for the default (%d) or a value from %d to %d bytes.",
			n.MTU, DefaultMTU, MinMTU, MaxMTU))
	}
	if n.Label != "" {
		wrong = append(wrong, ValidateLabel(n.Label))
	}
	if !vdsmNamePattern.MatchString(n.VdsmName) {
		wrong = append(wrong, Invalidf("'%s' cannot name a bridge: use 1 to 15 English letters, digits, hyphens or underscores.", n.VdsmName))
	}
	return Join(append(wrong, validateName(n.Name), n.validateIsolation(),
		validateText("Network description", n.Description, MaxDescription, true),
		validateText("Network comment", n.Comment, MaxDescription, true))...)
}

func validateName(name string) error {
	if name == "" {
		return Invalidf("Network name must not be empty.")
	}
	if strings.TrimSpace(name) != name {
		return Invalidf("Bad network name, it must not begin or end with a blank.")
	}
	if err := validateText("Network name", name, MaxName, false); err != nil {
		return err
	}
	if len(name) >= 4 && strings.EqualFold(name[:4], "bond") {
		return Invalidf("Bad network name, network cannot start with 'bond'")
	}
	return nil
}

// hiddenPattern matches characters by which a name looks like another text than it is:
// those that nobody sees, and those that turn the direction of what follows. Joiners and
// marks of direction stay, which Persian, emoji and mixed names need.
var hiddenPattern = regexp.MustCompile(`[\x{00AD}\x{200B}\x{202A}-\x{202E}\x{2060}-\x{2069}\x{FEFF}\x{E0000}-\x{E007F}]`)

// visible refuses a new name with hidden characters. One that a network has already
// stays.
func visible(name string) error {
	if found := hiddenPattern.FindString(name); found != "" {
		return Invalidf("Bad network name, it has the hidden character %U: leave it out.", []rune(found)[0])
	}
	return nil
}

// validateText refuses what OVSDB, XML or a log line could not carry: an OVSDB
// server closes the connection on a NUL character, and XML has no sign for
// others. Limit is in characters.
func validateText(field, text string, limit int, lines bool) error {
	if !utf8.ValidString(text) {
		return Invalidf("%s is not valid UTF-8.", field)
	}
	if n := utf8.RuneCountInString(text); n > limit {
		return Invalidf("%s has %d characters; the limit is %d.", field, n, limit)
	}
	for _, r := range text {
		if lines && (r == '\n' || r == '\t' || r == '\r') {
			continue
		}
		if unicode.IsControl(r) || r == unicode.ReplacementChar || r == 0xFFFE || r == 0xFFFF {
			return Invalidf("%s must not have the character %U.", field, r)
		}
	}
	return nil
}

var labelPattern = regexp.MustCompile(`^[0-9a-zA-Z_-]+$`)

// ValidateLabel checks the form of a label, with the oVirt engine's pattern
// and text (NETWORK_LABEL_FORMAT_INVALID).
func ValidateLabel(label string) error {
	if !labelPattern.MatchString(label) {
		return Invalidf("Network label must be formed only from: English letters, numbers, hyphen or underscore.")
	}
	if len(label) > MaxLabel {
		return Invalidf("Network label has %d characters; the limit is %d.", len(label), MaxLabel)
	}
	return nil
}
