package openflow

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// Flow is an entry of a flow table (section 5.2), without what it counted.
type Flow struct {
	Table    uint8
	Priority uint16
	Cookie   uint64
	// Idle and Hard are its timeouts in seconds, 0 is none.
	Idle, Hard uint16
	Flags      uint16
	Match      Match
	// Instructions are as on the wire (section 7.2.4); none drop the frame.
	Instructions string
}

// Match is what a flow matches, as the fields on the wire (OXM, section 7.2.3.2)
// in the order of their bytes: two of equal meaning are equal.
type Match string

// Field is one field to match. A shorter mask than the value matches all of it.
type Field struct {
	number      byte
	value, mask []byte
}

// The numbers of fields (section 7.2.3.7).
const (
	fieldInPort  = 0
	fieldEthDst  = 3
	fieldEthSrc  = 4
	fieldVLANVID = 6

	classBasic = 0x8000
)

// InPort matches frames from a port.
func InPort(port uint32) Field {
	return Field{number: fieldInPort, value: binary.BigEndian.AppendUint32(nil, port)}
}

// EthSrc matches the sender's address, under a mask if there is one.
func EthSrc(address, mask []byte) Field {
	return Field{number: fieldEthSrc, value: address, mask: mask}
}

// EthDst matches the receiver's address, under a mask if there is one.
func EthDst(address, mask []byte) Field {
	return Field{number: fieldEthDst, value: address, mask: mask}
}

// VLAN matches the VLAN's number, with the bit 0x1000 that says that there is a
// tag, under a mask.
func VLAN(vid, mask uint16) Field {
	return Field{number: fieldVLANVID, value: binary.BigEndian.AppendUint16(nil, vid), mask: binary.BigEndian.AppendUint16(nil, mask)}
}

// NewMatch returns what matches all of the fields.
func NewMatch(fields ...Field) Match {
	var all []string
	for _, f := range fields {
		header := uint32(classBasic)<<16 | uint32(f.number)<<9
		if len(f.mask) == 0 {
			b := binary.BigEndian.AppendUint32(nil, header|uint32(len(f.value)))
			all = append(all, string(append(b, f.value...)))
			continue
		}
		b := binary.BigEndian.AppendUint32(nil, header|1<<8|uint32(2*len(f.value)))
		all = append(all, canonical(append(append(b, f.value...), f.mask...)))
	}
	return join(all)
}

func join(fields []string) Match {
	slices.Sort(fields)
	return Match(strings.Join(fields, ""))
}

// canonical writes a field without its mask if that takes in every bit.
func canonical(field []byte) string {
	if field[2]&1 == 0 || binary.BigEndian.Uint16(field) != classBasic {
		return string(field)
	}
	value := field[4:]
	half := len(value) / 2
	all := bytes.Repeat([]byte{0xff}, half)
	if field[2]>>1 == fieldVLANVID {
		all = []byte{0x1f, 0xff} // it has 13 bits
	}
	if !bytes.Equal(value[half:], all) {
		return string(field)
	}
	short := append([]byte(nil), field[:4+half]...)
	short[2], short[3] = short[2]&^1, byte(half)
	return string(short)
}

// IsAddress says that it is what the action Learn makes: one receiver's address,
// and the number of a VLAN with or without a tag.
func (m Match) IsAddress() bool {
	const address, vlan = "\x80\x00\x06\x06", "\x80\x00\x0d\x04"
	return len(m) == 18 && m[:4] == address && m[10:14] == vlan && m[16:] == "\x0f\xff"
}

// appendMatch appends a match as in messages, with padding.
func appendMatch(b []byte, m Match) []byte {
	b = binary.BigEndian.AppendUint16(b, 1) // OFPMT_OXM
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(m)))
	b = append(b, m...)
	return append(b, make([]byte, (8-(4+len(m))%8)%8)...)
}

// decodeMatch reads a match with its padding, and returns what follows it.
func decodeMatch(b []byte) (Match, []byte, error) {
	if len(b) < 4 {
		return "", nil, errShort("match")
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	padded := (length + 7) / 8 * 8
	if length < 4 || padded > len(b) {
		return "", nil, errShort("match")
	}
	m, err := decodeFields(b[4:length])
	return m, b[padded:], err
}

func decodeFields(b []byte) (Match, error) {
	var fields []string
	for len(b) > 0 {
		if len(b) < 4 {
			return "", errShort("field of a match")
		}
		length := 4 + int(b[3])
		if length > len(b) {
			return "", errShort("field of a match")
		}
		fields = append(fields, canonical(b[:length]))
		b = b[length:]
	}
	return join(fields), nil
}

// What a change does to flows (section 7.3.4.1).
const (
	commandAdd          = 0
	commandDelete       = 3
	commandDeleteStrict = 4
)

// Add puts a flow into its table. It replaces one with the same priority and
// match.
func Add(f Flow) Request { return modify(f, commandAdd, 0) }

// Delete removes the flow with the table, priority and match of another.
func Delete(f Flow) Request { return modify(f, commandDeleteStrict, 0) }

// DeleteAll removes flows from all tables whose cookie is that one in the bits of
// a mask.
func DeleteAll(cookie, mask uint64) Request {
	return modify(Flow{Table: AnyTable, Cookie: cookie}, commandDelete, mask)
}

func modify(f Flow, command byte, cookieMask uint64) Request {
	b := binary.BigEndian.AppendUint64(nil, f.Cookie)
	b = binary.BigEndian.AppendUint64(b, cookieMask)
	b = append(b, f.Table, command)
	b = binary.BigEndian.AppendUint16(b, f.Idle)
	b = binary.BigEndian.AppendUint16(b, f.Hard)
	b = binary.BigEndian.AppendUint16(b, f.Priority)
	for range 3 { // no buffered frame, of any port and group
		b = binary.BigEndian.AppendUint32(b, any32)
	}
	b = binary.BigEndian.AppendUint16(b, f.Flags)
	b = append(b, 0, 0) // importance
	b = appendMatch(b, f.Match)
	return Request{Type: flowMod, Body: append(b, f.Instructions...)}
}

// FlowsRequest asks for the flows whose cookie is that one in the bits of a mask.
// Its answer is parts of the kind FlowStats.
func FlowsRequest(cookie, mask uint64) Request {
	return flowsRequest(FlowStats, AnyTable, cookie, mask)
}

// CountRequest asks how many flows of a table have a cookie. Its answer is parts of
// the kind AggregateStats.
func CountRequest(table uint8, cookie uint64) Request {
	return flowsRequest(AggregateStats, table, cookie, ^uint64(0))
}

// Count reads a part of the kind AggregateStats (section 7.3.5.3).
func Count(body []byte) (flows int, err error) {
	if len(body) < 24 {
		return 0, errShort("number of flows")
	}
	return int(binary.BigEndian.Uint32(body[16:])), nil
}

func flowsRequest(kind Kind, table uint8, cookie, mask uint64) Request {
	b := []byte{table, 0, 0, 0}
	b = binary.BigEndian.AppendUint32(b, any32)
	b = binary.BigEndian.AppendUint32(b, any32)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, cookie)
	b = binary.BigEndian.AppendUint64(b, mask)
	return ask(kind, appendMatch(b, ""))
}

// DecodeFlows calls each with the flows of a part of the kind FlowStats, and with
// how many frames they matched (section 7.3.5.2).
func DecodeFlows(body []byte, each func(f Flow, frames uint64)) error {
	const fixed = 48
	return entries("flow", body, 0, fixed+4, func(b []byte) error {
		match, rest, err := decodeMatch(b[fixed:])
		if err != nil {
			return err
		}
		each(Flow{
			Table: b[2], Priority: binary.BigEndian.Uint16(b[12:]),
			Idle: binary.BigEndian.Uint16(b[14:]), Hard: binary.BigEndian.Uint16(b[16:]),
			Flags: binary.BigEndian.Uint16(b[18:]), Cookie: binary.BigEndian.Uint64(b[24:]),
			Match: match, Instructions: string(rest),
		}, known(binary.BigEndian.Uint64(b[32:])))
		return nil
	})
}

// known makes 0 of a counter that the other side does not have.
func known(counter uint64) uint64 {
	if counter == math.MaxUint64 {
		return 0
	}
	return counter
}
