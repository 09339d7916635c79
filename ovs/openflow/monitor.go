package openflow

import (
	"encoding/binary"
	"fmt"
)

// Event is what happened to a flow (section 7.3.5.17).
type Event uint16

// The events. Of what this connection did itself there is none.
const (
	Added    Event = 1
	Removed  Event = 2
	Modified Event = 3

	abbreviated Event = 4
	paused      Event = 5
	resumed     Event = 6
)

// FlowMonitor asks to be told of every change of a flow that others make, from now
// on, with the flows as they are then.
func FlowMonitor() Request {
	b := binary.BigEndian.AppendUint32(nil, 1) // its id
	b = binary.BigEndian.AppendUint32(b, any32)
	b = binary.BigEndian.AppendUint32(b, any32)
	const addRemoveModifyInstructions = 0b11110
	b = binary.BigEndian.AppendUint16(b, addRemoveModifyInstructions)
	return ask(FlowMonitors, appendMatch(append(b, AnyTable, 0), ""))
}

// OldFlowMonitor asks for the same in the way of Open vSwitch 2.17, which takes
// the fields of its own extension under the number of the standard's, and refuses
// FlowMonitor because of its flags (lib/ofp-monitor.c, branch-2.17).
func OldFlowMonitor() Request {
	b := binary.BigEndian.AppendUint32(nil, 1) // its id
	const addDeleteModify, none = 0b1110, 0xffff
	b = binary.BigEndian.AppendUint16(b, addDeleteModify)
	b = binary.BigEndian.AppendUint16(b, none)
	return ask(FlowMonitors, append(b, 0, 0, AnyTable, 0, 0, 0, 0, 0))
}

// OldUpdates returns the body for DecodeOldUpdates of a message that is the answer
// to OldFlowMonitor, which is one of OpenFlow 1.0 (NXST_FLOW_MONITOR).
func OldUpdates(m Message) (body []byte, is bool) {
	const (
		version10  = 1
		statistics = 17
		header     = "\xff\xff"                                                   // OFPST_VENDOR
		kind       = "\x00\x00\x23\x20" + "\x00\x00\x00\x02" + "\x00\x00\x00\x00" // Nicira's, padding
	)
	if m.Version != version10 || m.Type != statistics || len(m.Body) < 16 || string(m.Body[:2]) != header || string(m.Body[4:16]) != kind {
		return nil, false
	}
	return m.Body[16:], true
}

// DecodeOldUpdates calls each with the events of OldUpdates. The flows are without
// match and instructions.
func DecodeOldUpdates(body []byte, each func(Event, Flow)) error {
	return entries("flow update", body, 0, 8, func(b []byte) error {
		kind := binary.BigEndian.Uint16(b[2:])
		events := []Event{Added, Removed, Modified}
		if int(kind) >= len(events) {
			return nil // abbreviated
		}
		if len(b) < 24 {
			return errShort("flow update")
		}
		each(events[kind], Flow{
			Priority: binary.BigEndian.Uint16(b[6:]), Idle: binary.BigEndian.Uint16(b[8:]), Hard: binary.BigEndian.Uint16(b[10:]),
			Table: b[14], Cookie: binary.BigEndian.Uint64(b[16:]),
		})
		return nil
	})
}

// DecodeUpdates calls each with the events of a part of the kind FlowMonitors. A
// flow that was removed is without instructions, and none has flags.
//
// An event that says that events are paused is none: Open vSwitch tells of what
// was added and changed meanwhile when it goes on (nicira-ext.h, "Buffer
// Management").
func DecodeUpdates(body []byte, each func(Event, Flow)) error {
	return entries("flow update", body, 0, 8, func(b []byte) error {
		const fixed = 24
		switch event := Event(binary.BigEndian.Uint16(b[2:])); event {
		case abbreviated, paused, resumed:
			return nil
		case Added, Removed, Modified:
			if len(b) < fixed+4 {
				return errShort("flow update")
			}
			match, rest, err := decodeMatch(b[fixed:])
			if err != nil {
				return err
			}
			each(event, Flow{
				Table: b[4], Idle: binary.BigEndian.Uint16(b[6:]), Hard: binary.BigEndian.Uint16(b[8:]),
				Priority: binary.BigEndian.Uint16(b[10:]), Cookie: binary.BigEndian.Uint64(b[16:]),
				Match: match, Instructions: string(rest),
			})
			return nil
		default:
			return fmt.Errorf("an OpenFlow message of Open vSwitch tells of something unknown that happened to a flow: %d", event)
		}
	})
}
