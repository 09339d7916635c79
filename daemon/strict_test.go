package daemon_test

import (
	"fmt"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// TestTurningStrictLosesNoFrame makes a network strict and ordinary again while its
// VMs send each other a thousand frames in a second, and counts them at the
// receiver. As in TestAdoptionAndReleaseLoseNoFrame, one round without any loss
// shows that a change loses none by itself.
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
	for _, strict := range []string{"true", "false"} {
		back := map[string]string{"true": "false", "false": "true"}[strict]
		for round := 1; ; round++ {
			h.must("PUT", "/networks/"+id, fmt.Sprintf(`{"strict":%q}`, back))
			name := fmt.Sprintf("strict %s, round %d, ", strict, round)
			streams := []*stream{newStream(t, name+"a to b", probes[0], probes[1]), newStream(t, name+"b to a", probes[1], probes[0])}
			streams[0].flow()
			h.must("PUT", "/networks/"+id, fmt.Sprintf(`{"strict":%q}`, strict))
			streams[0].flow()
			lost := 0
			for _, s := range streams {
				sent, wrong := s.end()
				t.Logf("%s: of %d frames these have not come once: %v", s.name, sent, wrong)
				lost += len(wrong)
			}
			if lost == 0 {
				break
			}
			if round == rounds {
				t.Fatalf("frames are lost in each of %d rounds", rounds)
			}
		}
	}
}
