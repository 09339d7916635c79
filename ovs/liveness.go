package ovs

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// The parts of OpenFlow that keep a connection alive (OpenFlow 1.4 section 7).
const (
	messageHeader  = 8 // version, type, length of 2 bytes, id of 4 bytes
	version14      = 5
	typeHello      = 0
	typeEchoAsks   = 2
	typeEchoAnswer = 3
)

// accompany holds a connection to a management socket of vswitchd until the
// other side ends it: no event of OVSDB tells that vswitchd died and came back
// without its flows. It calls connected when vswitchd has answered. It returns
// an error in every case.
func accompany(ctx context.Context, socket string, connected func()) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("connect to vswitchd: %w", err)
	}
	// The error of closing says nothing that the reader has not seen.
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write(message(typeHello, [4]byte{}, nil)); err != nil {
		return fmt.Errorf("greet vswitchd: %w", err)
	}
	for {
		header := make([]byte, messageHeader)
		if _, err := io.ReadFull(conn, header); err != nil {
			return fmt.Errorf("listen to vswitchd: %w", err)
		}
		length := int(binary.BigEndian.Uint16(header[2:]))
		if length < messageHeader {
			return fmt.Errorf("vswitchd sent an OpenFlow message of %d bytes, which cannot be", length)
		}
		body := make([]byte, length-messageHeader)
		if _, err := io.ReadFull(conn, body); err != nil {
			return fmt.Errorf("listen to vswitchd: %w", err)
		}
		switch header[1] {
		case typeHello:
			connected()
		case typeEchoAsks:
			if _, err := conn.Write(message(typeEchoAnswer, [4]byte(header[4:]), body)); err != nil {
				return fmt.Errorf("answer vswitchd: %w", err)
			}
		}
	}
}

func message(kind byte, id [4]byte, body []byte) []byte {
	m := []byte{version14, kind}
	m = binary.BigEndian.AppendUint16(m, uint16(messageHeader+len(body))) // echoes a length that was 16 bits
	m = append(m, id[:]...)
	return append(m, body...)
}
