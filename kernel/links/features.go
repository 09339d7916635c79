package links

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/model/plan"
)

// askFeatures finds out what rtnetlink does not tell of devices: it says only that a
// feature changed. Each question waits for what the kernel does to any device, so
// none is asked without need.
func (s *subscription) askFeatures(t *table) error {
	if len(t.featured) == 0 {
		return nil
	}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	err = raw.Control(func(fd uintptr) {
		for index := range t.featured {
			if l, there := t.links[index]; there {
				l.device.NoTSO = noTSO(fd, l.device)
				t.links[index] = l
			}
		}
	})
	if err != nil {
		return fmt.Errorf("ask for the features of network devices: %w", err)
	}
	clear(t.featured)
	return nil
}

// noTSO asks by the ioctl of ethtool(8), with a socket of any kind. A device that
// went, or has another name by now, is told of by a message that is on its way.
func noTSO(fd uintptr, d plan.Device) bool {
	value := struct{ command, data uint32 }{command: unix.ETHTOOL_GTSO}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // struct ifreq is larger
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], d.Name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	return errno == 0 && value.data == 0
}
