package ovs_test

import (
	"errors"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// It is Open vSwitch itself that does so, and nothing that isonet could help:
// README says it to operators.
func TestUserspaceDatapathNeedsItsDatabase(t *testing.T) {
	private := ovstest.Start(t, ovstest.InNamespace(ovstest.Namespace(t)))
	private.Vsctl("add-br", "br", "--", "set", "bridge", "br", "datapath_type="+ovstest.Datapath())
	a, b := private.NewVM("vm-a", "10.0.0.1/24"), private.NewVM("vm-b", "10.0.0.2/24")
	private.Plug(a, "br")
	private.Plug(b, "br")
	reachable := func(want bool) func() error {
		return func() error {
			if a.Pings(b.Address) != want {
				return errors.New("it is not so yet")
			}
			return nil
		}
	}
	ovstest.Eventually(t, "the VMs reach each other", reachable(true))
	private.StopServer()
	ovstest.Eventually(t, "the VMs are cut off", reachable(false))
	private.StartServer()
	ovstest.Eventually(t, "the VMs reach each other again", reachable(true))
}
