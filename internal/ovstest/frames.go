package ovstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// markStart and markEnd enclose a mark in a frame. They are found wherever
	// they are: behind the header of a tunnel, or in a sample of sFlow.
	markStart, markEnd = "<isonet-frame:", ">"
	// room is the socket buffer of a probe, in bytes: it holds what comes while
	// the probe's goroutine waits for a processor.
	room = 64 << 20
	// snap is how much of a frame is looked at, in bytes.
	snap = 2048
)

// Probe sends marked Ethernet frames out of a device and counts the frames that
// pass it, in either direction. It ends with the test.
type Probe struct {
	t    testing.TB
	name string
	// MAC is the device's address.
	MAC net.HardwareAddr

	out, in *os.File

	mu      sync.Mutex
	counts  map[string]int
	first   map[string]time.Time
	last    map[string]time.Time
	watched map[string]func(frame []byte) bool
}

// NewProbe opens packet sockets on a device of a namespace. It needs root.
func NewProbe(t testing.TB, namespace, device string) *Probe {
	t.Helper()
	p := &Probe{
		t: t, name: device + " in " + namespace,
		counts: map[string]int{}, first: map[string]time.Time{}, last: map[string]time.Time{},
		watched: map[string]func([]byte) bool{},
	}
	Inside(t, namespace, func() error {
		i, err := net.InterfaceByName(device)
		if err != nil {
			return fmt.Errorf("%s: %w", device, err)
		}
		p.MAC = i.HardwareAddr
		if p.in, err = packetSocket(i.Index, unix.ETH_P_ALL); err != nil {
			return err
		}
		// A packet socket does not receive what it sent itself, so sending needs
		// another one.
		p.out, err = packetSocket(i.Index, 0)
		return err
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.listen()
	}()
	t.Cleanup(func() {
		_ = p.out.Close() // it was written to; nothing is held back
		_ = p.in.Close()  // it was read only
		<-done
	})
	return p
}

// Probe returns a probe on the VM's own device.
func (vm *VM) Probe() *Probe {
	vm.t.Helper()
	return NewProbe(vm.t, vm.namespace, "eth0")
}

// Namespace returns the name of the VM's network namespace.
func (vm *VM) Namespace() string { return vm.namespace }

func packetSocket(index, protocol int) (*os.File, error) {
	network := binary.NativeEndian.Uint16([]byte{byte(protocol >> 8), byte(protocol)})
	// Of no protocol until it is bound, or it would get the frames of all devices.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "packet socket")
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: index}),
	)
	if err != nil {
		_ = file.Close() // the first error counts
		return nil, fmt.Errorf("bind a packet socket: %w", err)
	}
	return file, nil
}

func (p *Probe) listen() {
	buffer := make([]byte, snap)
	for {
		n, err := p.in.Read(buffer)
		switch {
		case errors.Is(err, unix.ENETDOWN): // told once; the device may come up again
		case err != nil: // the probe is closed, or the device is gone
			return
		default:
			p.count(buffer[:n])
		}
	}
}

func (p *Probe) count(frame []byte) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := func(what string) {
		if p.counts[what] == 0 {
			p.first[what] = now
		}
		p.counts[what]++
		p.last[what] = now
	}
	if _, rest, ok := bytes.Cut(frame, []byte(markStart)); ok {
		if mark, _, ok := bytes.Cut(rest, []byte(markEnd)); ok {
			seen(string(mark))
		}
	}
	for what, match := range p.watched {
		if match(frame) {
			seen(what)
		}
	}
}

// Watch counts, from now on, the frames that match, under a name like that of a
// mark. Match must not keep the frame.
func (p *Probe) Watch(what string, match func(frame []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched[what] = match
}

// Count returns how many frames with a mark have passed.
func (p *Probe) Count(mark string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[mark]
}

// Span returns when the first and the last frame with a mark passed, as the
// probe read them. Both are zero if none did.
func (p *Probe) Span(mark string) (first, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first[mark], p.last[mark]
}

// Await waits until a frame with a mark has passed.
func (p *Probe) Await(mark string) {
	p.t.Helper()
	Eventually(p.t, "the frame "+mark+" at "+p.name, func() error {
		if p.Count(mark) == 0 {
			return errors.New("it has not come")
		}
		return nil
	})
}

// Broadcast sends frames to everybody.
func (p *Probe) Broadcast(mark string, frames int) {
	p.t.Helper()
	p.SendTo(broadcastMAC(), mark, frames)
}

// SendTo sends frames to an address.
func (p *Probe) SendTo(to net.HardwareAddr, mark string, frames int) {
	p.t.Helper()
	for range frames {
		p.Send(p.Frame(to, mark))
	}
}

// Send sends a frame as it is.
func (p *Probe) Send(frame []byte) {
	p.t.Helper()
	if _, err := p.out.Write(frame); err != nil {
		p.t.Fatalf("send from %s: %v", p.name, err)
	}
}

// Pace broadcasts frames at a rate until ctx ends, and returns how many.
func (p *Probe) Pace(ctx context.Context, mark string, perSecond int) (int, error) {
	frame := p.Frame(broadcastMAC(), mark)
	return p.pace(ctx, func(int) []byte { return frame }, perSecond)
}

// Stream sends frames to an address at a rate until ctx ends, each with the mark
// of its number, and returns how many.
func (p *Probe) Stream(ctx context.Context, to net.HardwareAddr, mark func(number int) string, perSecond int) (int, error) {
	return p.pace(ctx, func(number int) []byte { return p.Frame(to, mark(number)) }, perSecond)
}

// Flood sends broadcasts at a rate until ctx ends, each from another address, and
// returns how many.
func (p *Probe) Flood(ctx context.Context, perSecond int) (int, error) {
	frame := p.Frame(broadcastMAC(), "flood")
	return p.pace(ctx, func(number int) []byte {
		from := binary.BigEndian.AppendUint32([]byte{2, 0}, uint32(number)) // a local address that is no group's
		copy(frame[6:12], from)
		return frame
	}, perSecond)
}

func (p *Probe) pace(ctx context.Context, frame func(number int) []byte, perSecond int) (int, error) {
	const tick = time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	start, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return sent, nil
		case now := <-ticker.C: // a late tick sends what is due
			for due := int(now.Sub(start).Seconds() * float64(perSecond)); sent < due; sent++ {
				if _, err := p.out.Write(frame(sent)); err != nil {
					return sent, fmt.Errorf("send from %s: %w", p.name, err)
				}
			}
		}
	}
}

func broadcastMAC() net.HardwareAddr { return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// The addresses in the frames of a probe: of the range for tests of network
// devices (RFC 2544), so that no VM has them.
func frameAddresses() (from, to [4]byte) { return [4]byte{198, 18, 0, 1}, [4]byte{198, 18, 0, 2} }

// FrameSource returns the IPv4 address that marked frames come from.
func FrameSource() net.IP {
	from, _ := frameAddresses()
	return from[:]
}

// Frame returns an Ethernet frame from the probe's device with a mark: an UDP
// datagram, because flow exports tell of IP only.
func (p *Probe) Frame(to net.HardwareAddr, mark string) []byte {
	from := p.MAC
	if len(from) != len(to) { // of a tun device
		from = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	}
	const discard = 9
	payload := []byte(markStart + mark + markEnd)
	sender, receiver := frameAddresses()
	if bytes.Equal(to, broadcastMAC()) {
		receiver = [4]byte{255, 255, 255, 255}
	}
	return bytes.Join([][]byte{EthernetHeader(from, to, unix.ETH_P_IP), UDP(sender, receiver, discard, payload)}, nil)
}

// EthernetHeader returns the header of a frame.
func EthernetHeader(from, to net.HardwareAddr, etherType uint16) []byte {
	return binary.BigEndian.AppendUint16(append(append([]byte{}, to...), from...), etherType)
}

// IPv4 returns a packet of a protocol with a payload.
func IPv4(from, to [4]byte, protocol byte, payload []byte) []byte {
	const headerLength = 20
	header := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
	binary.BigEndian.PutUint16(header[2:], uint16(headerLength+len(payload)))
	header = append(append(header, from[:]...), to[:]...)
	var sum uint32
	for i := 0; i < headerLength; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(header[10:], ^uint16(sum))
	return append(header, payload...)
}

// UDP returns an IPv4 packet with a datagram from and to a port.
func UDP(from, to [4]byte, port uint16, payload []byte) []byte {
	header := binary.BigEndian.AppendUint16(nil, port)
	header = binary.BigEndian.AppendUint16(header, port)
	header = binary.BigEndian.AppendUint16(header, uint16(8+len(payload)))
	header = append(header, 0, 0) // no checksum
	return IPv4(from, to, unix.IPPROTO_UDP, append(header, payload...))
}
