package nic

import (
	"io/fs"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
)

// kernel is what the kernel tells of a single link.
type kernel interface {
	// link asks for one link, which takes some 20 µs.
	link(index int) (netlink.Link, error)
	// speed returns the bits per second of a link; 0 is unknown.
	speed(name string) uint64
}

// rtnetlink asks the real kernel.
type rtnetlink struct {
	handle *netlink.Handle
	sysfs  fs.FS // /sys/class/net, see sysfs(5)
}

func (k rtnetlink) link(index int) (netlink.Link, error) { return k.handle.LinkByIndex(index) }

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
