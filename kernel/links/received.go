package links

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Open vSwitch's userspace datapath sets IFF_PROMISC on a device that it opens, and
// receives from it by a packet socket (packet(7)). Two things come between the two:
// a device that leaves for another network namespace loses the socket and comes back
// with the flag, and anybody can switch the flag off. The kernel tells of flags and
// not of sockets, so it is asked about sockets where the flag is in doubt.

// askAgain is how often the kernel is asked while a flag and the sockets differ.
const askAgain = 250 * time.Millisecond

// allProtocols is ETH_P_ALL as the kernel writes it.
const allProtocols = "0003"

// doubtFlag notes a device whose flag does not tell whether it is received from: it
// appeared with the flag, which no new device has, or lost it.
func (t *table) doubtFlag(index int, before link, known bool, now link) {
	if known == before.device.Promiscuous && now.device.Promiscuous != known {
		t.unsure[index] = before.device.Promiscuous
	}
}

// askSockets finds out which of the devices in doubt are received from. Those of
// which flag and sockets say the same are not in doubt any more.
func (t *table) askSockets() error {
	if len(t.unsure) == 0 {
		return nil
	}
	received, err := receivers()
	if err != nil {
		return err
	}
	for index, before := range t.unsure {
		l, there := t.links[index]
		now := received[index]
		if now != before {
			t.touch(index)
		}
		t.unsure[index] = now
		if !there || now == l.device.Promiscuous {
			delete(t.unsure, index)
			t.touch(index)
		}
	}
	return nil
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
