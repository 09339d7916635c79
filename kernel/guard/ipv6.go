package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// From linux/rtnetlink.h, linux/if_link.h and linux/ipv6.h.
	skipStatistics    = 1 << 3 // RTEXT_FILTER_SKIP_STATS
	inet6Conf         = 2      // IFLA_INET6_CONF
	devconfDisable    = 26     // DEVCONF_DISABLE_IPV6
	sizeofDevconfItem = 4

	settings = "/proc/sys/net/ipv6/conf"
)

// device is what the guard needs to know of a network device.
type device struct {
	name     string
	index    int
	loopback bool
	ipv6     bool // not switched off
}

// devices reads all network devices of the namespace: one dump, instead of a
// file below /proc/sys to read for each of thousands of devices.
func devices() ([]device, error) {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics)))
	messages, err := r.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("list network devices: %w", err)
	}
	all := make([]device, 0, len(messages))
	for _, m := range messages {
		if len(m) < unix.SizeofIfInfomsg {
			return nil, errors.New("list network devices: short RTM_NEWLINK")
		}
		info := nl.DeserializeIfInfomsg(m)
		d := device{index: int(info.Index), loopback: info.Flags&unix.IFF_LOOPBACK != 0}
		if name := find(m[unix.SizeofIfInfomsg:], unix.IFLA_IFNAME); name != nil {
			d.name = nl.BytesToString(name)
		}
		// A device without IPv6 has none to switch off.
		conf := find(m[unix.SizeofIfInfomsg:], unix.IFLA_AF_SPEC, unix.AF_INET6, inet6Conf)
		if at := devconfDisable * sizeofDevconfItem; len(conf) >= at+sizeofDevconfItem {
			d.ipv6 = nl.NativeEndian().Uint32(conf[at:]) == 0
		}
		all = append(all, d)
	}
	return all, nil
}

// find returns the value of an attribute by its path through nested ones, nil
// if there is none.
func find(attributes []byte, path ...uint16) []byte {
	parsed, err := nl.ParseRouteAttr(attributes)
	if err != nil {
		return nil
	}
	for _, a := range parsed {
		if a.Attr.Type&^unix.NLA_F_NESTED != path[0] {
			continue
		}
		if len(path) == 1 {
			return a.Value
		}
		return find(a.Value, path[1:]...)
	}
	return nil
}

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
