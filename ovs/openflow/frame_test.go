package openflow

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pair returns a connection and the other side of it.
func pair(t *testing.T) (*Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	c := NewConn(near)
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), far.Close()); err != nil {
			t.Error(err)
		}
	})
	return c, far
}

// sent returns the messages that requests become.
func sent(requests ...Request) []byte {
	var b []byte
	for i, r := range requests {
		b = r.append(b, uint32(i+1))
	}
	return b
}

// TestReceiveByteByByte interrupts the receiver before each byte, and sends short
// and very long messages.
func TestReceiveByteByByte(t *testing.T) {
	c, far := pair(t)
	long := make([]byte, 60_000)
	for i := range long {
		long[i] = byte(i)
	}
	want := []Request{{Type: Hello}, {Type: EchoRequest, Body: []byte("abc")}, {Type: Multipart, Body: long}, {Type: Barrier}, {Type: EchoReply, Body: long[:3000]}}
	go func() {
		for i, b := range sent(want...) {
			if i%997 == 0 {
				_ = c.Interrupt()
			}
			if _, err := far.Write([]byte{b}); err != nil {
				return
			}
		}
	}()
	for i, r := range want {
		m, err := c.Receive()
		for errors.Is(err, os.ErrDeadlineExceeded) {
			if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			m, err = c.Receive()
		}
		if err != nil {
			t.Fatal(err)
		}
		got := Message{Version: version, Type: r.Type, ID: uint32(i + 1), Body: r.Body}
		if len(m.Body) == 0 {
			m.Body = nil
		}
		if diff := cmp.Diff(got, m); diff != "" {
			t.Fatalf("message %d (-want +got):\n%.500s", i, diff)
		}
	}
	if n := cap(c.buffer); n > 1<<16 {
		t.Errorf("the buffer has %d bytes", n)
	}
}

func TestAMessageThatCannotBe(t *testing.T) {
	c, far := pair(t)
	go func() { _, _ = far.Write([]byte{version, 0, 0, 7, 0, 0, 0, 0}) }()
	if _, err := c.Receive(); err == nil {
		t.Error("a message of 7 bytes is received")
	}
}

func TestARequestThatIsTooLong(t *testing.T) {
	c, _ := pair(t)
	var ports []string
	for port := range uint32(5000) {
		ports = append(ports, Output(port))
	}
	if _, err := c.Send(Bundle(1, Add(Flow{Instructions: Actions(ports...)}))...); err == nil {
		t.Error("a flow with 5000 ports is sent")
	}
}

// FuzzReceive feeds a connection what no program should send.
func FuzzReceive(f *testing.F) {
	f.Add(sent(Greeting(), SetAsync(), SetConfig(), FlowMonitor(), BarrierRequest()))
	f.Add([]byte{version, 19, 0xff, 0xff, 0, 0, 0, 0})
	f.Add([]byte{version, 19, 0, 3, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		c := NewConn(near)
		go func() {
			_, _ = far.Write(b)
			_ = far.Close()
		}()
		total := 0
		for {
			m, err := c.Receive()
			if err != nil {
				break
			}
			total += headerLength + len(m.Body)
			_ = DecodeError(m)
			_ = CheckGreeting(m)
			_, _ = Fragments(m)
			_, _ = ChangedPort(m)
			if body, is := OldUpdates(m); is {
				decodeAll(body)
			}
			if part, err := DecodePart(m); err == nil {
				decodeAll(part.Body)
			}
		}
		if total > len(b) {
			t.Errorf("%d bytes of %d were received", total, len(b))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// decodeAll decodes a body as everything that it could be.
func decodeAll(body []byte) {
	_ = DecodeFlows(body, func(Flow, uint64) {})
	_ = DecodeUpdates(body, func(Event, Flow) {})
	_ = DecodeOldUpdates(body, func(Event, Flow) {})
	_ = DecodeMeters(body, func(Meter) {})
	_ = DecodeMeterStats(body, func(uint32, uint64) {})
	_ = DecodePorts(body, func(Port) {})
	_ = DecodeGroups(body, func(uint32) {})
}

func FuzzDecode(f *testing.F) {
	flow := Flow{
		Table: 3, Priority: 7, Cookie: 1 << 60, Idle: 5, Hard: 6, Flags: 1,
		Match:        NewMatch(InPort(3), EthSrc([]byte{2, 0, 0, 0, 0, 1}, nil), VLAN(5, 0xfff)),
		Instructions: Metered(3) + Actions(Learn(Learned{20, 100, 7, 300, 9}), Output(Normal)) + Goto(20),
	}
	f.Add(statsOf(flow))
	f.Add(updateOf(Added, flow))
	f.Add(AddMeter(PacketMeter(3, 100)).Body)
	f.Fuzz(func(t *testing.T, body []byte) {
		decodeAll(body)
		// What is decoded is the same when it is written and read again.
		_ = DecodeFlows(body, func(f Flow, _ uint64) {
			if len(f.Match)+len(f.Instructions) > 60_000 {
				return
			}
			again := 0
			err := DecodeFlows(statsOf(f), func(g Flow, _ uint64) {
				again++
				if f != g {
					t.Errorf("%+v became %+v", f, g)
				}
			})
			if err != nil || again != 1 {
				t.Errorf("%+v: %d flows, %v", f, again, err)
			}
		})
	})
}

// statsOf returns a body of the kind FlowStats.
func statsOf(f Flow) []byte {
	b := make([]byte, 48)
	b[2] = f.Table
	binary.BigEndian.PutUint16(b[12:], f.Priority)
	binary.BigEndian.PutUint16(b[14:], f.Idle)
	binary.BigEndian.PutUint16(b[16:], f.Hard)
	binary.BigEndian.PutUint16(b[18:], f.Flags)
	binary.BigEndian.PutUint64(b[24:], f.Cookie)
	b = append(appendMatch(b, f.Match), f.Instructions...)
	binary.BigEndian.PutUint16(b, uint16(len(b)))
	return b
}

// updateOf returns a body of the kind FlowMonitors.
func updateOf(e Event, f Flow) []byte {
	b := make([]byte, 24)
	binary.BigEndian.PutUint16(b[2:], uint16(e))
	b[4] = f.Table
	binary.BigEndian.PutUint16(b[6:], f.Idle)
	binary.BigEndian.PutUint16(b[8:], f.Hard)
	binary.BigEndian.PutUint16(b[10:], f.Priority)
	binary.BigEndian.PutUint64(b[16:], f.Cookie)
	b = append(appendMatch(b, f.Match), f.Instructions...)
	binary.BigEndian.PutUint16(b, uint16(len(b)))
	return b
}
