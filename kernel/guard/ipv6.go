package guard

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const settings = "/proc/sys/net/ipv6/conf"

// writeDisableIPv6 writes net.ipv6.conf.NAME.disable_ipv6. The name must be of a
// device that exists: then it is no path, and neither "all" nor "default",
// which the kernel gives to no device.
func writeDisableIPv6(name, value string) error {
	// Without O_CREATE, since the device may be gone.
	f, err := os.OpenFile(filepath.Join(settings, name, "disable_ipv6"), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(value)
		err = errors.Join(err, f.Close())
	}
	if errors.Is(err, os.ErrNotExist) {
		if _, missing := os.Stat(settings); missing != nil {
			return missing // not the device, but all of them
		}
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) {
		return nil // the device is gone, or on its way out
	}
	return err
}
