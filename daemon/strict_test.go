package daemon_test

import (
	"fmt"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// TestTurningStrictLosesNoFrame makes a strict network ordinary and strict again while
// its VMs send each other a thousand frames in a second.
func TestTurningStrictLosesNoFrame(t *testing.T) {
	const rounds = 8
	h := newHost(t, nil)
	namespace := ovstest.Namespace(t)
	h.ovs = ovstest.Start(h, ovstest.InNamespace(namespace))
	h.isonetd(program(t), namespace)
	id := h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	var probes []*ovstest.Probe
	for i, name := range []string{"vm-a", "vm-b"} {
		vm := h.ovs.NewVM(name, fmt.Sprintf("10.0.0.%d/24", i+1))
		h.ovs.Plug(vm, "red")
		h.ovs.OFPort(name)
		probes = append(probes, vm.Probe())
	}
	h.guarded()
	losesNoFrame(t, "strict", probes[0], probes[1], rounds, func(_ int, flow func()) {
		for _, strict := range []string{"false", "true"} { // it was made a strict one
			flow()
			h.must("PUT", "/networks/"+id, fmt.Sprintf(`{"strict":%q}`, strict))
		}
		flow()
	})
}
