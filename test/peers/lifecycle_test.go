package peers

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// exchange lets two VMs send each other frames, once they reach each other.
func exchange(t *testing.T, a, b *ovstest.VM) {
	t.Helper()
	ovstest.Eventually(t, a.Device+" reaches "+b.Device, func() error {
		if !a.Pings(b.Address) {
			return errors.New("no answer")
		}
		return nil
	})
	send(t, a, b, flow{frames: 300, size: 700, perSecond: 1000})
	send(t, b, a, flow{frames: 100, size: 1400, perSecond: 1000})
}

// TestCountersOutlive lets everything come and go that the counters depend on.
// After each, once traffic has stopped, Prometheus has what the kernel's devices
// and the datapath counted, to the byte.
func TestCountersOutlive(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.addNetwork()
	vm1, vm2 := h.newVM("vm1", "10.0.0.1/24"), h.newVM("vm2", "10.0.0.2/24")
	h.OVS.Plug(vm1, "red")
	h.OVS.Plug(vm2, "red")
	s := newServer(h, asItIs)
	exchange(t, vm1, vm2)
	s.settles("of the first traffic", nil, vm1, vm2)

	// A port leaves and comes back: its device counts on.
	h.OVS.Vsctl("del-port", vm2.Device)
	h.OVS.Plug(vm2, "red")
	exchange(t, vm1, vm2)
	s.settles("after a port left and came back", nil, vm1, vm2)

	// A VM goes, and another one comes with a device of the same name.
	gone, err := h.ports(vm2)
	if err != nil {
		t.Fatal(err)
	}
	h.remove(vm2)
	vm2 = h.newVM("vm2", "10.0.0.3/24") // vm1 remembers the hardware address of the old one
	h.OVS.Plug(vm2, "red")
	exchange(t, vm1, vm2)
	s.settles("after a VM was replaced", gone, vm1, vm2)

	h.OVS.StopServer()
	s.holds(`isonet_ovsdb_connected == 0`)
	s.holds(`ALERTS{alertname="IsonetOVSDBDisconnected"}`)
	h.OVS.StartServer()
	exchange(t, vm1, vm2)
	s.settles("after a restart of ovsdb-server", gone, vm1, vm2)
	s.holds(`isonet_ovsdb_reconnects_total > 0`)

	h.OVS.StopVSwitchd()
	h.OVS.StartVSwitchd()
	exchange(t, vm1, vm2)
	s.settles("after a restart of ovs-vswitchd", gone, vm1, vm2)

	h.Stop()
	h.Start()
	s.holds(`isonet_networks{state="active"} == 1`)
	exchange(t, vm1, vm2)
	s.settles("after a restart of isonetd", gone, vm1, vm2)

	h.Kill()
	h.Start()
	s.holds(`isonet_networks{state="active"} == 1`)
	exchange(t, vm1, vm2)
	s.settles("after a crash of isonetd", gone, vm1, vm2)

	// None of this looked like a new beginning.
	for _, direction := range []string{"receive", "transmit"} {
		if fell, err := s.value("resets(isonet_network_"+direction+"_bytes_total[10m])", now); err != nil || fell != 0 {
			t.Errorf("the counter of the bytes to %s fell %v times (%v)", direction, fell, err)
		}
	}

	h.remove(vm1)
	h.remove(vm2)
	if err := h.Answer(http.MethodDelete, "/networks/"+id, "").Err(); err != nil {
		t.Fatal(err)
	}
	s.holds(`isonet_networks{state="active"} == 0`)
	if got, err := s.network(); err != nil || len(got) != 0 {
		t.Errorf("a network that is gone has the counters %v (%v)", got, err)
	}
	again := h.addNetwork()
	vm1, vm2 = h.newVM("vm1", "10.0.0.1/24"), h.newVM("vm2", "10.0.0.2/24")
	h.OVS.Plug(vm1, "red")
	h.OVS.Plug(vm2, "red")
	exchange(t, vm1, vm2)
	s.settles("of a new network with the old name", nil, vm1, vm2)
	s.holds(fmt.Sprintf(`isonet_network_info{network="red", network_id=%q}`, again))
	if info, err := s.query(fmt.Sprintf(`isonet_network_info{network_id=%q}`, id), now); err != nil || len(info) != 0 {
		t.Errorf("the old network is still there: %v (%v)", info, err)
	}
}
