package ovs_test

import (
	"errors"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// It is Open vSwitch itself that does so, and nothing that isonet could help:
// docs/limits.md says it to operators.
func TestVMsWhileTheDatabaseServerIsDown(t *testing.T) {
	private := ovstest.Start(t, ovstest.InNamespace(ovstest.Namespace(t)))
	private.Vsctl("add-br", "br", "--", "set", "bridge", "br", "datapath_type="+ovstest.Datapath())
	a, b := private.NewVM("vm-a", "10.0.0.1/24"), private.NewVM("vm-b", "10.0.0.2/24")
	late := private.NewVM("vm-c", "10.0.0.3/24")
	for _, vm := range []*ovstest.VM{a, b, late} {
		private.Plug(vm, "br")
	}
	reach := func(vm *ovstest.VM, want bool) func() error {
		return func() error {
			if vm.Pings(b.Address) != want {
				return errors.New("it is not so yet")
			}
			return nil
		}
	}
	ovstest.Eventually(t, "the VMs reach each other", reach(a, true))
	private.StopServer()
	if ovstest.Datapath() == ovstest.Kernel { // which asks threads that need no database
		if !a.Pings(b.Address) || !late.Pings(b.Address) {
			t.Error("the VMs are cut off")
		}
	} else {
		ovstest.Eventually(t, "the VMs are cut off", reach(a, false))
	}
	private.StartServer()
	ovstest.Eventually(t, "the VMs reach each other again", reach(a, true))
	ovstest.Eventually(t, "so does one that has not spoken before", reach(late, true))
}
