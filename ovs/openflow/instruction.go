package openflow

import "encoding/binary"

// Instructions are written in the order that Open vSwitch lists them in: a meter,
// actions, a table.

// Actions does things to a frame, in their order. No actions are no instruction.
func Actions(actions ...string) string {
	n := 8
	for _, a := range actions {
		n += len(a)
	}
	if n == 8 {
		return ""
	}
	b := []byte{0, 4} // OFPIT_APPLY_ACTIONS
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, 0, 0, 0, 0)
	for _, a := range actions {
		b = append(b, a...)
	}
	return string(b)
}

// Metered drops what is over the limit of a meter.
func Metered(meter uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte{0, 6, 0, 8}, meter)) // OFPIT_METER
}

// Goto goes on in another table.
func Goto(table uint8) string { return string([]byte{0, 1, 0, 8, table, 0, 0, 0}) } // OFPIT_GOTO_TABLE

// Output is the action that sends a frame out of a port.
func Output(port uint32) string {
	b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 16}, port) // OFPAT_OUTPUT
	return string(append(b, 0, 0, 0, 0, 0, 0, 0, 0))
}

// Learned is a flow that the action Learn makes: frames to the address that this
// one came from go out of the port that it came from, per VLAN.
type Learned struct {
	Table    uint8
	Priority uint16
	Cookie   uint64
	Hard     uint16 // seconds
	// Limit is how many flows with the cookie there may be in the table. What is
	// beyond is not learned.
	Limit uint32
}

// Learn is the action that makes a flow of the frame (NXAST_LEARN2 in Open
// vSwitch's lib/ofp-actions.c).
func Learn(l Learned) string {
	const (
		vendor  = 0x00002320
		subtype = 45
		// What the parts of the flow are made of.
		match, output = 0 << 11, 2 << 11
		inPort        = 0x00000002 // NXM_OF_IN_PORT
		ethDst        = 0x00000206
		ethSrc        = 0x00000406
		vlanTCI       = 0x00000802
	)
	b := binary.BigEndian.AppendUint32([]byte{0xff, 0xff, 0, 0}, vendor)
	b = binary.BigEndian.AppendUint16(b, subtype)
	b = append(b, 0, 0) // idle timeout
	b = binary.BigEndian.AppendUint16(b, l.Hard)
	b = binary.BigEndian.AppendUint16(b, l.Priority)
	b = binary.BigEndian.AppendUint64(b, l.Cookie)
	b = append(b, 0, 0, l.Table, 0, 0, 0, 0, 0) // flags, table, timeouts after FIN
	b = binary.BigEndian.AppendUint32(b, l.Limit)
	b = append(b, 0, 0, 0, 0) // no result
	part := func(bits uint16, fields ...uint32) {
		b = binary.BigEndian.AppendUint16(b, bits)
		for _, f := range fields {
			b = binary.BigEndian.AppendUint32(b, f)
			b = append(b, 0, 0) // from its first bit
		}
	}
	part(match|12, vlanTCI, vlanTCI)
	part(match|48, ethSrc, ethDst)
	part(output|16, inPort)
	b = append(b, make([]byte, (8-len(b)%8)%8)...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return string(b)
}
