package links

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Remove removes the network devices with these ifindexes, all at once, from the
// namespace of the thread. The kernel waits for all its processors whenever a
// device has been removed: so it does that once, and not once for each. A device
// that is gone already is no error. It needs CAP_NET_ADMIN.
func Remove(indexes ...int) error {
	// What can be removed at once is a group (ip-link(8)); other devices must not
	// be in it.
	group := nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(1<<31|rand.Uint32()))
	for _, index := range indexes {
		if err := tell(unix.RTM_SETLINK, index, group); err != nil {
			return fmt.Errorf("put network device %d into a group: %w", index, err)
		}
	}
	const all = 0
	if err := tell(unix.RTM_DELLINK, all, group); err != nil {
		return fmt.Errorf("remove network devices %v: %w", indexes, err)
	}
	return nil
}

// tell has the kernel do something with a device that is there.
func tell(what, index int, attribute *nl.RtAttr) error {
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	r := nl.NewNetlinkRequest(what, unix.NLM_F_ACK)
	r.AddData(header)
	r.AddData(attribute)
	if _, err := r.Execute(unix.NETLINK_ROUTE, 0); !errors.Is(err, unix.ENODEV) {
		return err
	}
	return nil
}
