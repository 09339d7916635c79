package nic

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
)

// kernel is what the kernel tells of a network namespace.
type kernel interface {
	// links lists all links. That takes some 10 ms per 1,000 of them.
	links() ([]netlink.Link, error)
	// link asks for one link, which takes some 20 µs.
	link(index int) (netlink.Link, error)
	addresses() ([]netlink.Addr, error)
	// speed returns the bits per second of a link; 0 is unknown.
	speed(name string) uint64
}

// rtnetlink asks the real kernel.
type rtnetlink struct {
	handle *netlink.Handle
	sysfs  fs.FS // /sys/class/net, see sysfs(5)
}

func (k rtnetlink) links() ([]netlink.Link, error) { return dump(k.handle.LinkList) }

func (k rtnetlink) link(index int) (netlink.Link, error) { return k.handle.LinkByIndex(index) }

func (k rtnetlink) addresses() ([]netlink.Addr, error) {
	return dump(func() ([]netlink.Addr, error) { return k.handle.AddrList(nil, netlink.FAMILY_ALL) })
}

// speed reads megabits per second. A link without carrier and some virtual ones
// answer with an error or with -1.
func (k rtnetlink) speed(name string) uint64 {
	text, err := fs.ReadFile(k.sysfs, name+"/speed")
	if err != nil {
		return 0
	}
	megabits, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 32)
	if err != nil || megabits < 0 {
		return 0
	}
	return uint64(megabits) * 1e6
}

// attempts is how often a list is asked for that changes meanwhile.
const attempts = 3

// dump asks for a list until nothing changes meanwhile. On a host where that
// never happens it takes the list as it is: another one follows soon.
func dump[T any](list func() ([]T, error)) ([]T, error) {
	var items []T
	var err error
	for range attempts {
		if items, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return items, err
		}
	}
	return items, nil
}
