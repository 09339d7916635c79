package openflow

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Type is the type of a message (section 7.1.1).
type Type byte

// The types that are used.
const (
	Hello          Type = 0
	ErrorMessage   Type = 1
	EchoRequest    Type = 2
	EchoReply      Type = 3
	configRequest  Type = 7
	ConfigReply    Type = 8
	setConfig      Type = 9
	PortStatus     Type = 12
	flowMod        Type = 14
	groupMod       Type = 15
	portMod        Type = 16
	multipart      Type = 18
	Multipart      Type = 19
	barrier        Type = 20
	Barrier        Type = 21
	setAsync       Type = 28
	meterMod       Type = 29
	RequestForward Type = 32
	bundleControl  Type = 33
	bundleAdd      Type = 34
)

// Reserved numbers of ports, groups, meters and tables (section A.2 of the
// specification's header file).
const (
	any32     = 0xffffffff // OFPP_ANY, OFPG_ANY, OFPM_ALL, OFP_NO_BUFFER
	allGroups = 0xfffffffc // OFPG_ALL
	AnyTable  = 0xff
	// Normal is the port by which a bridge forwards as an ordinary switch.
	Normal = 0xfffffffa
	// Local is the port of the bridge itself.
	Local = 0xfffffffe
)

// Greeting is what a connection begins with, on both sides (section 7.5.1).
func Greeting() Request {
	b := binary.BigEndian.AppendUint16(nil, 1) // OFPHET_VERSIONBITMAP
	b = binary.BigEndian.AppendUint16(b, 8)
	return Request{Type: Hello, Body: binary.BigEndian.AppendUint32(b, 1<<version)}
}

// CheckGreeting returns an *Error unless a Hello is of somebody who speaks OpenFlow
// 1.4. Who does not ends the connection, so that its own error may be lost.
func CheckGreeting(m Message) error {
	speaks := m.Version >= version
	for b := m.Body; len(b) >= 4; {
		kind, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if length < 4 || length > len(b) {
			return errShort("greeting")
		}
		if kind == 1 && length >= 8 {
			speaks = binary.BigEndian.Uint32(b[4:])&(1<<version) != 0
		}
		b = b[min(len(b), (length+7)/8*8):]
	}
	if m.Type != Hello || !speaks {
		return &Error{}
	}
	return nil
}

// SetAsync says what is told unasked: changes of ports, groups and meters by
// others. A frame never is: whoever wants to be told anything must ask for frames
// too (SetConfig), and these are masked out.
func SetAsync() Request {
	var masks []byte
	for _, property := range []struct {
		kind uint16
		mask uint32
	}{
		{0, 0}, {1, 0}, // frames
		{2, 1 << 2}, {3, 1 << 2}, // ports: OFPPR_MODIFY
		{4, 0}, {5, 0}, // expired flows
		{6, 0}, {7, 0}, // roles
		{8, 0}, {9, 0}, // full tables
		{10, 3}, {11, 3}, // requests of others: OFPRFR_GROUP_MOD, OFPRFR_METER_MOD
	} {
		masks = binary.BigEndian.AppendUint16(masks, property.kind)
		masks = binary.BigEndian.AppendUint16(masks, 8)
		masks = binary.BigEndian.AppendUint32(masks, property.mask)
	}
	return Request{Type: setAsync, Body: masks}
}

// SetConfig makes the bridge treat IP fragments as other frames, and this
// connection one that is told things (section 7.3.2).
func SetConfig() Request { return Request{Type: setConfig, Body: []byte{0, 0, 0, 1}} }

// EchoOf answers an echo request.
func EchoOf(m Message) Request { return Request{Type: EchoReply, Body: m.Body} }

// BarrierRequest asks for an answer after all that was sent before was done.
func BarrierRequest() Request { return Request{Type: barrier} }

// ConfigRequest asks for what SetConfig sets.
func ConfigRequest() Request { return Request{Type: configRequest} }

// Fragments returns how a bridge treats IP fragments, by its answer to
// ConfigRequest: 0 is as other frames.
func Fragments(m Message) (int, error) {
	if len(m.Body) < 4 {
		return 0, errShort("configuration")
	}
	return int(binary.BigEndian.Uint16(m.Body)), nil
}

func errShort(what string) error {
	return fmt.Errorf("an OpenFlow message of Open vSwitch ends too early: %s", what)
}

// Error is an error that the other side sent (section 7.4.4).
type Error struct {
	Type, Code uint16
	// Text is what the other side says in words, if it does.
	Text string
}

// Error says what was wrong.
func (e *Error) Error() string {
	switch {
	case e.Type == 0 && e.Code == 0:
		return "the bridge does not speak OpenFlow 1.4: see its column protocols ('ovs-vsctl get Bridge NAME protocols'; 'ovs-vsctl clear Bridge NAME protocols' allows all)"
	case e.Text != "":
		return fmt.Sprintf("Open vSwitch refused an OpenFlow request: error type %d, code %d: %q", e.Type, e.Code, e.Text)
	}
	return fmt.Sprintf("Open vSwitch refused an OpenFlow request: error type %d, code %d", e.Type, e.Code)
}

// DecodeError reads an ErrorMessage.
func DecodeError(m Message) error {
	if len(m.Body) < 4 {
		return errShort("error")
	}
	e := &Error{Type: binary.BigEndian.Uint16(m.Body), Code: binary.BigEndian.Uint16(m.Body[2:])}
	if e.Type == 0 { // of a greeting comes with text
		e.Text = string(m.Body[4:min(len(m.Body), 4+256)])
	}
	return e
}

// IsRefusal reports whether err is an *Error: the connection goes on.
func IsRefusal(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// Part is a part of the answer to a multipart request (section 7.3.5).
type Part struct {
	Kind Kind
	More bool
	Body []byte
}

// Kind is what a multipart message is about.
type Kind uint16

// The kinds that are used.
const (
	FlowStats      Kind = 1
	AggregateStats Kind = 2
	GroupDesc      Kind = 7
	MeterStats     Kind = 9
	MeterConfig    Kind = 10
	PortDesc       Kind = 13
	FlowMonitors   Kind = 16
)

// DecodePart reads a Multipart message.
func DecodePart(m Message) (Part, error) {
	if len(m.Body) < 8 {
		return Part{}, errShort("multipart")
	}
	return Part{
		Kind: Kind(binary.BigEndian.Uint16(m.Body)), More: m.Body[3]&1 != 0, Body: m.Body[8:],
	}, nil
}

func ask(kind Kind, body []byte) Request {
	b := binary.BigEndian.AppendUint16(nil, uint16(kind))
	b = append(b, 0, 0, 0, 0, 0, 0)
	return Request{Type: multipart, Body: append(b, body...)}
}

// entries calls each with the entries of a body, which have their length in two
// bytes at an offset, and at least so many bytes.
func entries(what string, body []byte, offset, least int, each func(entry []byte) error) error {
	for len(body) > 0 {
		if len(body) < offset+2 {
			return errShort(what)
		}
		length := int(binary.BigEndian.Uint16(body[offset:]))
		if length < least || length > len(body) {
			return fmt.Errorf("an OpenFlow message of Open vSwitch has an entry of %d bytes, which cannot be: %s", length, what)
		}
		if err := each(body[:length:length]); err != nil {
			return err
		}
		body = body[length:]
	}
	return nil
}

// Bundle returns requests that take effect at once, or not at all (section 6.9):
// no frame meets a part of them. The last one is the commit; its answer comes
// when they have.
func Bundle(id uint32, requests ...Request) []Request {
	const atomicOrdered = 3
	control := func(kind uint16) Request {
		b := binary.BigEndian.AppendUint32(nil, id)
		b = binary.BigEndian.AppendUint16(b, kind)
		return Request{Type: bundleControl, Body: binary.BigEndian.AppendUint16(b, atomicOrdered)}
	}
	const open, commit = 0, 4
	bundle := []Request{control(open)}
	for _, r := range requests {
		b := binary.BigEndian.AppendUint32(nil, id)
		bundle = append(bundle, Request{Type: bundleAdd, Body: append(b, 0, 0, 0, atomicOrdered), within: &r})
	}
	return append(bundle, control(commit))
}
