package peers

import (
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
)

// flow is a stream of frames of one size from one VM to another.
type flow struct {
	frames, size int
	perSecond    int // a burst would be lost in part
}

// send sends the frames of a flow. It returns when it began.
func send(t testing.TB, from, to *ovstest.VM, f flow) (start time.Time) {
	t.Helper()
	frame := make([]byte, f.size)
	copy(frame, hardwareAddress(t, to))
	copy(frame[6:], hardwareAddress(t, from))
	frame[12], frame[13] = 0x88, 0xb5 // IEEE 802, Local Experimental Ethertype 1
	err := <-from.Go(func() error {
		device, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket) //nolint:errcheck // nothing is buffered
		to := &unix.SockaddrLinklayer{Ifindex: device.Index}
		start = time.Now()
		for n := range f.frames {
			// The pace is that of a schedule: a late frame delays no other.
			time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(f.perSecond))))
			if err := unix.Sendto(socket, frame, 0, to); err != nil {
				return fmt.Errorf("frame %d: %w", n, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("send from %s: %v", from.Device, err)
	}
	return start
}

func hardwareAddress(t testing.TB, vm *ovstest.VM) (address net.HardwareAddr) {
	t.Helper()
	err := <-vm.Go(func() error {
		device, err := net.InterfaceByName("eth0")
		if err == nil {
			address = device.HardwareAddr
		}
		return err
	})
	if err != nil {
		t.Fatalf("the address of %s: %v", vm.Device, err)
	}
	return address
}
