package prove

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// mac is an Ethernet address.
type mac [6]byte

func (m mac) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// station is who sends a frame or is meant by it.
type station struct {
	mac mac
	v4  netip.Addr
	v6  netip.Addr // link-local, unless it is outside
}

// magic marks the frames of one run: they end with it.
type magic [8]byte

// token is the end of a frame: its number and the magic.
func (m magic) token(seq uint32) []byte {
	return append(binary.BigEndian.AppendUint32(nil, seq), m[:]...)
}

// find returns the number of the frame that data holds, whatever was put around
// it on its way.
func (m magic) find(data []byte) (seq uint32, found bool) {
	at := bytes.LastIndex(data, m[:])
	if at < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(data[at-4:]), true
}

// The numbers of the protocols (IANA).
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	etherIPv6 = 0x86dd

	protoHopByHop = 0
	protoICMPv4   = 1
	protoUDP      = 17
	protoICMPv6   = 58
)

// The lengths of headers, in bytes.
const (
	etherLength = 14
	tagLength   = 4
	ipv4Length  = 20
	ipv6Length  = 40
	udpLength   = 8
	echoLength  = 8
)

// minFrame is the least length of an Ethernet frame without its checksum
// (IEEE 802.3).
const minFrame = 60

// probeVLAN is the tag of the tagged frame.
const probeVLAN = 100

func broadcast() mac { return mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// multicastMAC is where Ethernet takes an IP multicast address to (RFC 1112
// section 6.4, RFC 2464 section 7).
func multicastMAC(group netip.Addr) mac {
	if group.Is4() {
		b := group.As4()
		return mac{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	b := group.As16()
	return mac{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

func allNodes() netip.Addr { return netip.MustParseAddr("ff02::1") }

// solicited is the multicast group that an address listens to for neighbour
// solicitations (RFC 4291 section 2.7.1).
func solicited(a netip.Addr) netip.Addr {
	b, group := a.As16(), netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(group[13:], b[13:])
	return netip.AddrFrom16(group)
}

// ethernet puts the header before a payload and, if the token is not in the
// payload, padding with the token after it.
func ethernet(dst, src mac, kind uint16, payload, trailer []byte) []byte {
	frame := slices.Concat(dst[:], src[:], binary.BigEndian.AppendUint16(nil, kind), payload)
	if missing := minFrame - len(trailer) - len(frame); missing > 0 && len(trailer) > 0 {
		frame = append(frame, make([]byte, missing)...)
	}
	return append(frame, trailer...)
}

// tagged puts a VLAN tag into a frame (IEEE 802.1Q).
func tagged(frame []byte, vlan uint16) []byte {
	tag := binary.BigEndian.AppendUint16(nil, etherVLAN)
	return slices.Concat(frame[:12], binary.BigEndian.AppendUint16(tag, vlan), frame[12:])
}

// arpRequest asks everybody for an IPv4 address (RFC 826).
func arpRequest(src station, target netip.Addr, token []byte) []byte {
	from, to := src.v4.As4(), target.As4()
	payload := slices.Concat([]byte{0, 1, 8, 0, 6, 4, 0, 1}, src.mac[:], from[:], make([]byte, 6), to[:])
	return ethernet(broadcast(), src.mac, etherARP, payload, token)
}

// ipv4 is a packet that must not be fragmented (RFC 791).
func ipv4(src, dst netip.Addr, proto byte, payload []byte) []byte {
	from, to := src.As4(), dst.As4()
	header := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, proto, 0, 0}
	binary.BigEndian.PutUint16(header[2:], uint16(ipv4Length+len(payload))) //nolint:gosec // an MTU bounds it
	header = slices.Concat(header, from[:], to[:])
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return append(header, payload...)
}

// ipv6 is a packet with the hop limit that neighbour discovery asks for
// (RFC 4861 section 4).
func ipv6(src, dst netip.Addr, next byte, payload []byte) []byte {
	from, to := src.As16(), dst.As16()
	header := []byte{0x60, 0, 0, 0, 0, 0, next, 255}
	binary.BigEndian.PutUint16(header[4:], uint16(len(payload))) //nolint:gosec // an MTU bounds it
	return slices.Concat(header, from[:], to[:], payload)
}

// pseudo is the pseudo-header of transport checksums (RFC 768, RFC 8200 section
// 8.1).
func pseudo(src, dst netip.Addr, proto byte, length int) []byte {
	end := binary.BigEndian.AppendUint32(nil, uint32(length)) //nolint:gosec // an MTU bounds it
	return slices.Concat(src.AsSlice(), dst.AsSlice(), end, []byte{0, 0, 0, proto})
}

// checksum is that of RFC 1071.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, part := range parts {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
		if len(part)%2 == 1 {
			sum += uint32(part[len(part)-1]) << 8
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum) //nolint:gosec // folded to 16 bits
}

// echo is an ICMP echo request over IPv4 or IPv6, by what dst is. Its data are
// filled up to a packet of size bytes.
func echo(src station, dstMAC mac, dst netip.Addr, size int, token []byte) []byte {
	header := ipv4Length
	if dst.Is6() {
		header = ipv6Length
	}
	size = max(size, minFrame-etherLength, header+echoLength+len(token))
	data := append(make([]byte, size-header-echoLength-len(token)), token...)
	message := append([]byte{8, 0, 0, 0, 0x15, 0x0e, 0, 1}, data...)
	if dst.Is4() {
		binary.BigEndian.PutUint16(message[2:], checksum(message))
		return ethernet(dstMAC, src.mac, etherIPv4, ipv4(src.v4, dst, protoICMPv4, message), nil)
	}
	message[0] = 128
	return ethernet(dstMAC, src.mac, etherIPv6, ipv6(src.v6, dst, protoICMPv6, icmpv6(src.v6, dst, message)), nil)
}

// icmpv6 fills in the checksum.
func icmpv6(src, dst netip.Addr, message []byte) []byte {
	binary.BigEndian.PutUint16(message[2:], checksum(pseudo(src, dst, protoICMPv6, len(message)), message))
	return message
}

// solicitation asks who has an IPv6 address (RFC 4861 section 4.3).
func solicitation(src station, target netip.Addr, token []byte) []byte {
	group, wanted := solicited(target), target.As16()
	message := slices.Concat([]byte{135, 0, 0, 0, 0, 0, 0, 0}, wanted[:], []byte{1, 1}, src.mac[:])
	packet := ipv6(src.v6, group, protoICMPv6, icmpv6(src.v6, group, message))
	return ethernet(multicastMAC(group), src.mac, etherIPv6, packet, token)
}

// listenerQuery asks everybody at once for their multicast groups (RFC 3810
// section 5.1).
func listenerQuery(src station, token []byte) []byte {
	group := allNodes()
	message := icmpv6(src.v6, group, append([]byte{130, 0, 0, 0, 0, 1, 0, 0}, make([]byte, 20)...))
	// A router alert (RFC 2711) and padding, without which nobody answers.
	options := []byte{protoICMPv6, 0, 5, 2, 0, 0, 1, 0}
	packet := ipv6(src.v6, group, protoHopByHop, append(options, message...))
	packet[7] = 1 // hop limit
	return ethernet(multicastMAC(group), src.mac, etherIPv6, packet, token)
}

// datagram is a UDP datagram over IPv4 or IPv6, by what dst is.
func datagram(src station, dstMAC mac, dst netip.Addr, port uint16, token []byte) []byte {
	data := append(make([]byte, 8), token...)
	message := make([]byte, udpLength, udpLength+len(data))
	binary.BigEndian.PutUint16(message, 9) // the discard service
	binary.BigEndian.PutUint16(message[2:], port)
	binary.BigEndian.PutUint16(message[4:], uint16(udpLength+len(data))) //nolint:gosec // a few bytes
	message = append(message, data...)
	from := src.v4
	if dst.Is6() {
		from = src.v6
	}
	sum := checksum(pseudo(from, dst, protoUDP, len(message)), message)
	if sum == 0 { // which would mean that there is none
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(message[6:], sum)
	if dst.Is4() {
		return ethernet(dstMAC, src.mac, etherIPv4, ipv4(from, dst, protoUDP, message), nil)
	}
	return ethernet(dstMAC, src.mac, etherIPv6, ipv6(from, dst, protoUDP, message), nil)
}

// source returns the address that a frame says it is from.
func source(frame []byte) mac { return mac(frame[6:12]) }

// kind is a sort of frame, as people know it.
type kind struct {
	// text describes the frame.
	text string
	// family is what a host answers with it: "arp", "ipv4", "ipv6", or "" when
	// it is not an answer.
	family string
}

// describe says what a frame is, under at most two VLAN tags.
func describe(frame []byte) kind { return describeUnder(frame, 2) }

func describeUnder(frame []byte, tags int) kind {
	if len(frame) < etherLength {
		return kind{text: "a short frame"}
	}
	ether, payload := binary.BigEndian.Uint16(frame[12:]), frame[etherLength:]
	if (ether == etherVLAN || ether == etherQinQ) && len(payload) >= tagLength && tags > 0 {
		inner := describeUnder(slices.Concat(frame[:12], payload[2:]), tags-1)
		return kind{fmt.Sprintf("%s with VLAN tag %d", inner.text, binary.BigEndian.Uint16(payload)&0xfff), inner.family}
	}
	switch {
	case ether == etherARP && len(payload) >= 28:
		return describeARP(payload)
	case ether == etherIPv4 && len(payload) >= ipv4Length:
		return describeIPv4(payload)
	case ether == etherIPv6 && len(payload) >= ipv6Length:
		return describeIPv6(payload)
	default:
		return kind{text: fmt.Sprintf("a frame of type 0x%04x", ether)}
	}
}

func describeARP(payload []byte) kind {
	sender, target := netip.AddrFrom4([4]byte(payload[14:])), netip.AddrFrom4([4]byte(payload[24:]))
	if payload[7] == 2 {
		return kind{fmt.Sprintf("ARP reply for %s", sender), "arp"}
	}
	return kind{text: fmt.Sprintf("ARP request for %s", target)}
}

func describeIPv4(payload []byte) kind {
	src, dst := netip.AddrFrom4([4]byte(payload[12:])), netip.AddrFrom4([4]byte(payload[16:]))
	header := int(payload[0]&0xf) * 4
	if payload[9] != protoICMPv4 || len(payload) <= header {
		return kind{text: fmt.Sprintf("%s from %s to %s", protocol(payload[9]), src, dst)}
	}
	names := map[byte]string{0: "ICMP echo reply", 3: "ICMP destination unreachable", 8: "ICMP echo request", 11: "ICMP time exceeded"}
	name, known := names[payload[header]]
	if !known {
		name = fmt.Sprintf("ICMP type %d", payload[header])
	}
	k := kind{text: fmt.Sprintf("%s from %s", name, src)}
	if payload[header] != 8 {
		k.family = "ipv4"
	}
	return k
}

func protocol(n byte) string {
	names := map[byte]string{2: "IGMP", 6: "a TCP segment", protoUDP: "a UDP datagram"}
	if name, known := names[n]; known {
		return name
	}
	return fmt.Sprintf("IP protocol %d", n)
}

func describeIPv6(payload []byte) kind {
	src, next, message := netip.AddrFrom16([16]byte(payload[8:])), payload[6], payload[ipv6Length:]
	if next == protoHopByHop && len(message) >= 8 {
		next, message = message[0], message[min(len(message), 8+int(message[1])*8):]
	}
	if next != protoICMPv6 || len(message) == 0 {
		return kind{text: fmt.Sprintf("%s from %s", protocol(next), src)}
	}
	names := map[byte]string{
		1: "ICMPv6 destination unreachable", 128: "ICMPv6 echo request", 129: "ICMPv6 echo reply", 131: "MLDv1 report",
		133: "router solicitation", 134: "router advertisement", 135: "neighbour solicitation",
		136: "neighbour advertisement", 137: "ICMPv6 redirect", 143: "MLDv2 report",
	}
	name, known := names[message[0]]
	if !known {
		name = fmt.Sprintf("ICMPv6 type %d", message[0])
	}
	k := kind{text: fmt.Sprintf("%s from %s", name, src)}
	if slices.Contains([]byte{1, 129, 136}, message[0]) {
		k.family = "ipv6"
	}
	return k
}
