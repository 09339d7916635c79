package ovs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kernel's interface to its datapath (linux/openvswitch.h).
const (
	datapathFamily   = "ovs_datapath"
	kernelName       = "ovs-system" // what ovs-vswitchd calls the only one that it makes
	datapathHeaders  = 8            // struct genlmsghdr and struct ovs_header
	getDatapath      = 3            // OVS_DP_CMD_GET
	datapathName     = 1            // OVS_DP_ATTR_NAME
	datapathFeatures = 5            // OVS_DP_ATTR_USER_FEATURES
	datapathSockets  = 8            // OVS_DP_ATTR_PER_CPU_PIDS
	// tellingAttribute is OVS_DP_ATTR_IFINDEX: a kernel that knows it (Linux 6.1) tells
	// the sockets.
	tellingAttribute = 9
	perProcessor     = 1 << 3 // OVS_DP_F_DISPATCH_UPCALL_PER_CPU
)

// HasKernelDatapath reports whether the kernel has Open vSwitch's datapath. Asking
// for it makes the kernel load the module if it can.
func HasKernelDatapath() bool {
	_, err := netlink.GenlFamilyGet(datapathFamily)
	return err == nil
}

// nobodyListens says that the kernel's datapath has no socket, or one that is gone,
// for frames that no flow of it knows, on some processor. That ovs-vswitchd has
// threads for them does not tell: they may listen to nothing. It is false where
// the kernel does not say.
func nobodyListens() (bool, error) {
	family, err := netlink.GenlFamilyGet(datapathFamily)
	if err != nil {
		return false, fmt.Errorf("look for the kernel's datapath: %w", err)
	}
	request := nl.NewNetlinkRequest(int(family.ID), 0)
	request.AddData(&nl.Genlmsg{Command: getDatapath, Version: uint8(family.Version)})
	request.AddRawData(append(make([]byte, 4), nl.NewRtAttr(datapathName, nl.ZeroTerminated(kernelName)).Serialize()...))
	replies, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return false, fmt.Errorf("ask the kernel for its datapath: %w", err)
	}
	if len(replies) != 1 || len(replies[0]) < datapathHeaders {
		return false, errors.New("ask the kernel for its datapath: it does not say one thing")
	}
	attributes, err := nl.ParseRouteAttrAsMap(replies[0][datapathHeaders:])
	if err != nil {
		return false, fmt.Errorf("read what the kernel says of its datapath: %w", err)
	}
	features, sockets := attributes[datapathFeatures].Value, attributes[datapathSockets].Value
	switch {
	case len(features) != 4 || binary.NativeEndian.Uint32(features)&perProcessor == 0 || family.MaxAttr < tellingAttribute:
		return false, nil
	case len(sockets) == 0:
		return true, nil
	}
	there, err := genericSockets()
	if err != nil {
		return false, err
	}
	for ; len(sockets) >= 4; sockets = sockets[4:] {
		if !there[binary.NativeEndian.Uint32(sockets)] {
			return true, nil
		}
	}
	return false, nil
}

// genericSockets returns the port ids of the sockets of generic netlink in this
// network namespace. The first thread of a process may be in another one than those
// that run its goroutines.
func genericSockets() (map[uint32]bool, error) {
	text, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		return nil, fmt.Errorf("look for netlink sockets: %w", err)
	}
	there := map[uint32]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // sk, Eth and Pid are the first
		if len(fields) < 3 || fields[1] != strconv.Itoa(unix.NETLINK_GENERIC) {
			continue
		}
		if port, err := strconv.ParseUint(fields[2], 10, 32); err == nil && port != 0 { // 0 is the kernel's
			there[uint32(port)] = true
		}
	}
	return there, nil
}
