package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// disableIPv6 returns the file of net.ipv6.conf.NAME.disable_ipv6. The name must
// be of a device that exists: then it is no path, and neither "all" nor
// "default", which the kernel gives to no device.
func disableIPv6(name string) string {
	return filepath.Join("/proc/sys/net/ipv6/conf", name, "disable_ipv6")
}

// hasIPv6 reports whether IPv6 is on for a device. It is off for one that is
// gone, and without IPv6 in the kernel.
func hasIPv6(name string) (bool, error) {
	value, err := os.ReadFile(disableIPv6(name))
	switch {
	case gone(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read whether IPv6 is on: %w", err)
	}
	return strings.TrimSpace(string(value)) == "0", nil
}

func writeDisableIPv6(name, value string) error {
	f, err := os.OpenFile(disableIPv6(name), os.O_WRONLY, 0) // never makes a file
	if err == nil {
		_, err = f.WriteString(value)
		err = errors.Join(err, f.Close())
	}
	if err != nil && !gone(err) {
		return err
	}
	return nil
}

// gone says that the device is not there any more. ENODEV and EINVAL are of a
// device that is on its way out.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}
