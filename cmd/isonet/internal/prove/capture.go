package prove

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"unsafe"

	"github.com/mdlayher/socket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// bufferSize is how much a socket may hold until it is read, in bytes.
const bufferSize = 16 << 20

// maxFrame is the length of the longest frame that is read whole, in bytes.
const maxFrame = 1 << 16

// capture is a packet socket (packet(7)) that is read all the time.
type capture struct {
	conn *socket.Conn
	raw  syscall.RawConn // of conn, whose own calls start a goroutine each
	done chan struct{}
}

// sighting is a frame that a packet socket saw.
type sighting struct {
	frame []byte // valid until the callback returns
	// device is the index of the network device.
	device int
	// outgoing says that the kernel sent the frame out of the device, and not
	// that it came in.
	outgoing bool
}

// openCapture opens a packet socket in the network namespace of the calling
// thread, for one device or, with 0, for all of them. The filter may be nil.
// Until start is called it only collects.
func openCapture(device int, filter []bpf.RawInstruction) (*capture, error) {
	// Nothing is received before the filter is there and bind says what.
	conn, err := socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "packet", nil)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	if len(filter) > 0 {
		err = conn.SetBPF(filter)
	}
	err = errors.Join(
		err,
		conn.SetReadBuffer(bufferSize),
		// The kernel takes VLAN tags out of frames and tells them beside.
		conn.SetsockoptInt(unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
	)
	if err == nil {
		err = conn.Bind(&unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: device})
	}
	raw, failed := conn.SyscallConn()
	if err := errors.Join(err, failed); err != nil {
		return nil, errors.Join(fmt.Errorf("set up a packet socket: %w", err), conn.Close())
	}
	return &capture{conn: conn, raw: raw, done: make(chan struct{})}, nil
}

func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// start hands every frame to see until close is called.
func (c *capture) start(see func(sighting)) {
	go func() {
		defer close(c.done)
		buffer, control := make([]byte, maxFrame), make([]byte, 256)
		for {
			var n, controlled int
			var from unix.Sockaddr
			var err error
			closed := c.raw.Read(func(fd uintptr) bool {
				n, controlled, _, from, err = unix.Recvmsg(int(fd), buffer, control, 0)
				return !errors.Is(err, unix.EAGAIN)
			})
			if closed != nil {
				return
			}
			link, ok := from.(*unix.SockaddrLinklayer)
			if err != nil || !ok || n < etherLength {
				continue // a device went down, or has no Ethernet
			}
			see(sighting{
				frame:    withTag(buffer[:n], control[:controlled]),
				device:   link.Ifindex,
				outgoing: link.Pkttype == unix.PACKET_OUTGOING,
			})
		}
	}()
}

// withTag puts the VLAN tag back into a frame.
func withTag(frame, control []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return frame
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA ||
			len(m.Data) < int(unsafe.Sizeof(unix.TpacketAuxdata{})) {
			continue
		}
		// struct tpacket_auxdata: status at 0, vlan_tci at 16, vlan_tpid at 18.
		if binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID == 0 {
			return frame
		}
		tag := binary.BigEndian.AppendUint16(nil, binary.NativeEndian.Uint16(m.Data[18:]))
		tag = binary.BigEndian.AppendUint16(tag, binary.NativeEndian.Uint16(m.Data[16:]))
		return slices.Concat(frame[:12], tag, frame[12:])
	}
	return frame
}

// send sends a frame out of the device that the socket is bound to.
func (c *capture) send(frame []byte) error {
	_, err := c.conn.Write(frame)
	return err
}

// lost returns how many frames came faster than they were read, since the last
// call.
func (c *capture) lost() (int, error) {
	stats, err := c.conn.GetsockoptTpacketStats(unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("ask a packet socket what it lost: %w", err)
	}
	return int(stats.Drops), nil
}

// close ends the socket and returns when no frame is handed out any more. It
// must have been started.
func (c *capture) close() error {
	err := c.conn.Close()
	<-c.done
	return err
}

// hostFilter lets through what tells something of a run: frames that end with
// the magic, which forwarding and tunnels keep at the end, and questions of the
// host for the neighbours to whom it would forward.
func hostFilter(m magic, outside station) ([]bpf.RawInstruction, error) {
	high, low := binary.BigEndian.Uint32(m[:4]), binary.BigEndian.Uint32(m[4:])
	v4, v6 := outside.v4.As4(), outside.v6.As16()
	const arp, neighbour, accept, reject = 10, 13, 19, 20
	program := []bpf.Instruction{
		0: bpf.LoadExtension{Num: bpf.ExtLen},
		1: bpf.ALUOpConstant{Op: bpf.ALUOpSub, Val: uint32(len(m))},
		2: bpf.TAX{},
		3: bpf.LoadIndirect{Off: 0, Size: 4},
		4: bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: high, SkipTrue: 2},
		5: bpf.LoadIndirect{Off: 4, Size: 4},
		6: bpf.JumpIf{Cond: bpf.JumpEqual, Val: low, SkipTrue: accept - 7},
		7: bpf.LoadAbsolute{Off: 12, Size: 2},
		8: bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherARP, SkipTrue: arp - 9},
		9: bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherIPv6, SkipTrue: neighbour - 10, SkipFalse: reject - 10},
		// ARP: the target's address.
		arp: bpf.LoadAbsolute{Off: etherLength + 24, Size: 4},
		11:  bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(v4[:]), SkipTrue: accept - 12},
		12:  bpf.Jump{Skip: reject - 13},
		// A neighbour solicitation: the last half of the target's address.
		neighbour: bpf.LoadAbsolute{Off: etherLength + ipv6Length, Size: 1},
		14:        bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 135, SkipTrue: reject - 15},
		15:        bpf.LoadAbsolute{Off: etherLength + ipv6Length + 16, Size: 4},
		16:        bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(v6[8:]), SkipTrue: reject - 17},
		17:        bpf.LoadAbsolute{Off: etherLength + ipv6Length + 20, Size: 4},
		18:        bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(v6[12:]), SkipTrue: reject - 19},
		accept:    bpf.RetConstant{Val: maxFrame},
		reject:    bpf.RetConstant{Val: 0},
	}
	return bpf.Assemble(program)
}
