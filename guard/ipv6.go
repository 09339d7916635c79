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
// be of a device that exists, so that it is no path. It returns "" for a device
// by the name of a sysctl that is for all devices: the kernel gives such a
// device no sysctl and no IPv6.
func disableIPv6(name string) string {
	if name == "all" || name == "default" {
		return ""
	}
	return filepath.Join("/proc/sys/net/ipv6/conf", name, "disable_ipv6")
}

// hasIPv6 reports whether IPv6 is on for a device. It is off for one that is
// gone, and without IPv6 in the kernel.
func hasIPv6(name string) (bool, error) {
	file := disableIPv6(name)
	if file == "" {
		return false, nil
	}
	value, err := os.ReadFile(file)
	switch {
	case gone(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read whether IPv6 is on: %w", err)
	}
	return strings.TrimSpace(string(value)) == "0", nil
}

func writeDisableIPv6(name, value string) error {
	file := disableIPv6(name)
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0) // never makes a file
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
