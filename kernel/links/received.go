package links

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/isonet/isonet/model/plan"
)

// Open vSwitch's userspace datapath sets IFF_PROMISC on a device that it opens, and
// receives from it by a packet socket (packet(7)). Two things come between the two:
// a device that leaves for another network namespace loses the socket and comes back
// with the flag, and anybody can switch the flag on and off. The kernel tells of
// flags and not of sockets, so it is asked about sockets when a flag has changed.

// How soon the kernel is asked again while a flag and the sockets differ: Open
// vSwitch sets the flag first.
const (
	firstAsk = 5 * time.Millisecond
	maxAsk   = 250 * time.Millisecond
)

// allProtocols is ETH_P_ALL as the kernel writes it.
const allProtocols = "0003"

// doubts are devices, by ifindex, of which the flag does not tell whether they are
// received from.
type doubts struct {
	devices map[int]plan.Sockets
	pause   time.Duration
}

func newDoubts() *doubts { return &doubts{devices: map[int]plan.Sockets{}} }

func (d *doubts) add(index int) {
	d.devices[index], d.pause = plan.ReceiveNothing, firstAsk
}

// ask finds out which of the devices in doubt are received from. Those of which the
// flag and the sockets say the same are not in doubt any more.
func (d *doubts) ask(t *table) {
	if len(d.devices) == 0 {
		return
	}
	received, err := receivers()
	for index, before := range d.devices {
		now := plan.ReceiveNothing
		if received[index] {
			now = plan.Receive
		}
		if now != before {
			t.touch(index)
		}
		d.devices[index] = now
		// Where nobody can be asked, the flag counts.
		if l, there := t.links[index]; err != nil || !there || received[index] == l.device.Promiscuous {
			delete(d.devices, index)
			t.touch(index)
		}
	}
}

// next returns when to ask again.
func (d *doubts) next() time.Duration {
	pause := d.pause
	d.pause = min(2*pause, maxAsk)
	return pause
}

// receivers returns the ifindexes of the devices of which packet sockets receive
// every frame.
func receivers() (map[int]bool, error) {
	text, err := os.ReadFile("/proc/thread-self/net/packet")
	if err != nil {
		return nil, fmt.Errorf("read which devices packet sockets receive from: %w", err)
	}
	received := map[int]bool{}
	for line := range bytes.Lines(text) {
		// sk RefCnt Type Proto Iface R Rmem User Inode
		fields := bytes.Fields(line)
		if len(fields) < 5 || string(fields[3]) != allProtocols {
			continue
		}
		if index, err := strconv.Atoi(string(fields[4])); err == nil && index > 0 {
			received[index] = true
		}
	}
	return received, nil
}
