package openflow

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"time"
)

// version is that of OpenFlow 1.4 on the wire.
const version = 5

const (
	headerLength = 8 // version, type, length of 2 bytes, id of 4 bytes
	// bufferSize is what a connection at rest keeps to receive into, in bytes.
	bufferSize = 2 << 10
	// sendTimeout bounds how long a message waits for room in the socket: vswitchd
	// may be busy with very many bridges.
	sendTimeout = 30 * time.Second
)

// Message is one message of the other side (section 7.1). Its body is valid until
// the next one is received.
type Message struct {
	Version byte
	Type    Type
	ID      uint32
	Body    []byte
}

// Request is one message to the other side, without its header.
type Request struct {
	Type Type
	Body []byte
	// within is a request that is a part of this one, with the same id.
	within *Request
}

func (r Request) length() int {
	n := headerLength + len(r.Body)
	if r.within != nil {
		n += r.within.length()
	}
	return n
}

// append appends the request with its header.
func (r Request) append(b []byte, id uint32) []byte {
	b = append(b, version, byte(r.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(r.length())) // Send refuses what is longer
	b = binary.BigEndian.AppendUint32(b, id)
	b = append(b, r.Body...)
	if r.within != nil {
		b = r.within.append(b, id)
	}
	return b
}

// Conn sends and receives messages. One goroutine may receive and send; others
// may Interrupt it and Close.
type Conn struct {
	conn net.Conn
	// buffer holds what was received; all before start was returned.
	buffer []byte
	start  int
	id     uint32
}

// NewConn returns a Conn on a stream. It sends nothing.
func NewConn(conn net.Conn) *Conn { return &Conn{conn: conn} }

// Close closes the stream. Whoever receives gets an error.
func (c *Conn) Close() error { return c.conn.Close() }

// SetDeadline is when Receive gives up, with an error that wraps
// os.ErrDeadlineExceeded. It can be called again after that: nothing is lost.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// Interrupt makes Receive give up now, as if its deadline had come.
func (c *Conn) Interrupt() error { return c.conn.SetReadDeadline(time.Unix(1, 0)) }

// Send sends requests in one write, with ids that count up, and returns the id of
// the last one.
func (c *Conn) Send(requests ...Request) (last uint32, err error) {
	var b []byte
	for _, r := range requests {
		if n := r.length(); n > math.MaxUint16 {
			return c.id, fmt.Errorf("an OpenFlow message of %d bytes is too long: the bridge has too many ports for a strict network", n)
		}
		c.id++
		b = r.append(b, c.id)
	}
	return c.id, c.write(b)
}

// Answer sends a request with the id of the message that it answers.
func (c *Conn) Answer(m Message, r Request) error { return c.write(r.append(nil, m.ID)) }

func (c *Conn) write(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return fmt.Errorf("send over OpenFlow: %w", err)
	}
	if _, err := c.conn.Write(b); err != nil {
		return fmt.Errorf("send over OpenFlow: %w", err)
	}
	return nil
}

// Receive returns the next message. It waits for one, until the deadline.
func (c *Conn) Receive() (Message, error) {
	for {
		m, length, err := next(c.buffer[c.start:])
		if err != nil {
			return Message{}, err
		}
		if length > 0 && len(c.buffer)-c.start >= length {
			c.start += length
			return m, nil
		}
		c.room(max(length, headerLength))
		n, err := c.conn.Read(c.buffer[len(c.buffer):cap(c.buffer)])
		c.buffer = c.buffer[:len(c.buffer)+n]
		if n == 0 && err != nil {
			return Message{}, fmt.Errorf("listen to Open vSwitch over OpenFlow: %w", err)
		}
	}
}

// room makes the buffer hold a message of a length, and lets go of one that was
// needed for a longer message only.
func (c *Conn) room(length int) {
	rest := c.buffer[c.start:]
	size := bufferSize
	if length > size {
		size = 1 << 16
	}
	if c.start == 0 && cap(c.buffer) >= length && len(rest) > 0 || c.start > 0 && cap(c.buffer) == size {
		c.buffer = append(c.buffer[:0], rest...)
	} else {
		c.buffer = append(make([]byte, 0, max(size, len(rest))), rest...)
	}
	c.start = 0
}

// next returns the message that b begins with, and its length; 0 is unknown yet.
// The message is whole if b has as many bytes.
func next(b []byte) (Message, int, error) {
	if len(b) < headerLength {
		return Message{}, 0, nil
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length < headerLength {
		return Message{}, 0, fmt.Errorf("an OpenFlow message of %d bytes from Open vSwitch, which cannot be", length)
	}
	m := Message{Version: b[0], Type: Type(b[1]), ID: binary.BigEndian.Uint32(b[4:])}
	if len(b) >= length {
		m.Body = b[headerLength:length:length]
	}
	return m, length, nil
}
