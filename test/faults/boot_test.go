package faults

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// TestVSwitchdStartsWithTheKernel starts ovs-vswitchd in the first seconds of the
// kernel. Open vSwitch 3.1.0 then forwards nothing on the kernel's datapath until
// its next start: it has no threads at first, and has them later in vain. Whatever
// it is, isonet and the frames between two VMs must agree.
func TestVSwitchdStartsWithTheKernel(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red")
	h.Attach("red")
	a, b := h.OVS.NewVM("vm-a", "10.0.0.1/24"), h.OVS.NewVM("vm-b", "10.0.0.2/24")
	h.OVS.Plug(a, "red")
	h.OVS.Plug(b, "red")
	ovstest.Eventually(t, "the VMs reach each other, and isonet says so", func() error { return agree(h, a, b, true) })

	h.OVS.StopVSwitchd()
	h.OVS.StartVSwitchdAtBoot()
	ovstest.Eventually(t, "isonet agrees with the frames", func() error { return agree(h, a, b, a.Pings(b.Address)) })
	ovstest.Eventually(t, "ovs-vswitchd has its threads", func() error {
		if got := h.OVS.Appctl("upcall/show"); !strings.Contains(got, "(keys ") {
			return errors.New(got)
		}
		return nil
	})
	ovstest.Eventually(t, "isonet agrees with the frames again", func() error { return agree(h, a, b, a.Pings(b.Address)) })

	h.OVS.StopVSwitchd()
	h.OVS.StartVSwitchd()
	ovstest.Eventually(t, "the VMs reach each other again, and isonet says so", func() error { return agree(h, a, b, true) })
}

// agree says that two VMs reach each other and the network red is active, or that
// they do not and it is unknown, with that cause.
func agree(h *hosttest.Host, a, b *ovstest.VM, reach bool) error {
	status, err := h.Status()
	if err != nil {
		return err
	}
	missing := len(status.Missing) > 0 && status.Missing[0].Ground == "vswitchd" && strings.Contains(status.Missing[0].Cause, "forwards nothing new")
	active := len(status.Networks) == 1 && status.Networks[0].State == "active"
	if active != reach || missing == reach || a.Pings(b.Address) != reach {
		return fmt.Errorf("they reach each other: %v, and isonet says %+v", reach, status)
	}
	return nil
}
