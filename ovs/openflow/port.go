package openflow

import "encoding/binary"

// Port is a port of a bridge (section 7.2.1), as far as OpenFlow can change it.
type Port struct {
	Number uint32
	Name   string
	// Refuses are the bits of its configuration that say which frames it drops.
	Refuses uint32
	address [6]byte
}

// The bits of Port.Refuses: frames from the port, and frames to it. That a port is
// down is not among them, because Open vSwitch tells so of every device that is.
const (
	NoReceive uint32 = 1 << 2
	NoForward uint32 = 1 << 5
)

// PortsRequest asks for all ports. Its answer is parts of the kind PortDesc.
func PortsRequest() Request { return ask(PortDesc, nil) }

// DecodePorts calls each with the ports of a part of the kind PortDesc.
func DecodePorts(body []byte, each func(Port)) error {
	return entries("port", body, 4, 40, func(b []byte) error {
		name := b[16:32]
		for i, c := range name {
			if c == 0 {
				name = name[:i]
				break
			}
		}
		each(Port{
			Number: binary.BigEndian.Uint32(b), Name: string(name),
			Refuses: binary.BigEndian.Uint32(b[32:]) & (NoReceive | NoForward), address: [6]byte(b[8:14]),
		})
		return nil
	})
}

// ChangedPort returns the port that a PortStatus message is about (section
// 7.4.3).
func ChangedPort(m Message) (Port, error) {
	if len(m.Body) < 8 {
		return Port{}, errShort("port")
	}
	var port Port
	err := DecodePorts(m.Body[8:], func(p Port) { port = p })
	return port, err
}

// OpenPort makes a port take and give all frames (section 7.3.4.3).
func OpenPort(p Port) Request {
	b := binary.BigEndian.AppendUint32(nil, p.Number)
	b = append(b, 0, 0, 0, 0)
	b = append(b, p.address[:]...)
	b = append(b, 0, 0, 0, 0, 0, 0) // padding, configuration
	return Request{Type: portMod, Body: binary.BigEndian.AppendUint32(b, NoReceive|NoForward)}
}

// GroupsRequest asks for all groups. Its answer is parts of the kind GroupDesc.
func GroupsRequest() Request { return ask(GroupDesc, nil) }

// DecodeGroups calls each with the ids of the groups of a part of the kind
// GroupDesc.
func DecodeGroups(body []byte, each func(id uint32)) error {
	return entries("group", body, 0, 8, func(b []byte) error {
		each(binary.BigEndian.Uint32(b[4:]))
		return nil
	})
}

// DeleteGroups removes all groups, and the flows that name them.
func DeleteGroups() Request {
	b := binary.BigEndian.AppendUint32([]byte{0, 2, 0, 0}, allGroups) // OFPGC_DELETE
	return Request{Type: groupMod, Body: b}
}
