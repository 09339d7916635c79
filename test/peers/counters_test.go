package peers

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/isonet/isonet/internal/ovstest"
)

// counters are a network's or a port's, by direction and unit as in the
// metrics' names: receive is to the VM.
type counters map[string]uint64

func (c counters) plus(other counters) counters {
	sum := counters{}
	maps.Copy(sum, c)
	for name, value := range other {
		sum[name] += value
	}
	return sum
}

func (c counters) String() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		list = append(list, fmt.Sprintf("%s %d", name, c[name]))
	}
	return strings.Join(list, ", ")
}

// kernel returns what the kernel counted at the host's end of a VM's cable,
// where its rx is what the VM transmitted.
func (h *host) kernel(vm *ovstest.VM) counters {
	h.Helper()
	out, err := h.Command("ip", "-json", "-stats", "link", "show", vm.Device).Output()
	if err != nil {
		h.Fatalf("the counters of %s: %v", vm.Device, err)
	}
	type direction struct{ Bytes, Packets, Dropped, Errors uint64 }
	var links []struct {
		Stats64 struct{ Rx, Tx direction }
	}
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		h.Fatalf("the counters of %s: %v: %s", vm.Device, err, out)
	}
	sent, got := links[0].Stats64.Rx, links[0].Stats64.Tx
	return counters{
		"transmit_bytes": sent.Bytes, "transmit_packets": sent.Packets, "transmit_drops": sent.Dropped, "transmit_errors": sent.Errors,
		"receive_bytes": got.Bytes, "receive_packets": got.Packets, "receive_drops": got.Dropped, "receive_errors": got.Errors,
	}
}

// datapath returns what the datapath says of a VM's port.
func (h *host) datapath(vm *ovstest.VM) counters {
	h.Helper()
	text := h.OVS.Appctl("dpctl/show", "-s")
	_, text, _ = strings.Cut(text, ": "+vm.Device+"\n")
	match := regexp.MustCompile(`^\s*RX packets:(\d+) errors:(\d+) dropped:(\d+) .*\n` +
		`\s*TX packets:(\d+) errors:(\d+) dropped:(\d+) .*\n.*\n` +
		`\s*RX bytes:(\d+).*TX bytes:(\d+)`).FindStringSubmatch(text)
	if match == nil {
		h.Fatalf("dpctl/show says nothing of %s: %s", vm.Device, text)
	}
	names := []string{
		"transmit_packets", "transmit_errors", "transmit_drops", "receive_packets", "receive_errors", "receive_drops",
		"transmit_bytes", "receive_bytes",
	}
	c := counters{}
	for i, name := range names {
		value, err := strconv.ParseUint(match[i+1], 10, 64)
		if err != nil {
			h.Fatal(err)
		}
		c[name] = value
	}
	return c
}

// ports returns the sum of the kernel's counters of VMs. That the datapath has
// others is an error, which goes by when traffic has stopped.
func (h *host) ports(vms ...*ovstest.VM) (counters, error) {
	h.Helper()
	sum := counters{}
	for _, vm := range vms {
		kernel, datapath := h.kernel(vm), h.datapath(vm)
		if !maps.Equal(kernel, datapath) {
			return nil, fmt.Errorf("%s: the kernel counted %v, the datapath %v", vm.Device, kernel, datapath)
		}
		sum = sum.plus(kernel)
	}
	return sum, nil
}
