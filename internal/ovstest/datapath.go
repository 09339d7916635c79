package ovstest

import (
	"os"
	"strings"
)

// The datapaths that tests run on, as Open vSwitch calls them (datapath_type in
// ovs-vswitchd.conf.db(5)).
const (
	Userspace = "netdev"
	Kernel    = "system"
)

// datapathVariable chooses one of them for all tests. The kernel's needs the
// module openvswitch.
const datapathVariable = "ISONET_TEST_DATAPATH"

// Datapath returns the datapath_type of the bridges whose frames a test looks at:
// what the environment says, or the userspace one.
func Datapath() string {
	if chosen := os.Getenv(datapathVariable); chosen != "" {
		return chosen
	}
	return Userspace
}

// checkDatapath fails a test whose environment names no datapath.
func (o *OVS) checkDatapath() {
	o.t.Helper()
	if d := Datapath(); d != Userspace && d != Kernel {
		o.t.Fatalf("%s is %q: set it to %s or %s", datapathVariable, d, Userspace, Kernel)
	}
}

// removeDatapath removes what vswitchd leaves in the kernel when it ends: its
// datapath would go on forwarding, and belongs to the namespace.
func (o *OVS) removeDatapath() {
	o.t.Helper()
	if o.namespace == "" || Datapath() != Kernel {
		return
	}
	const name = "system@ovs-system" // the one datapath of all bridges of that type
	dpctl := func(args ...string) string {
		return o.run("ip", append([]string{"netns", "exec", o.namespace, "ovs-dpctl"}, args...)...)
	}
	if strings.Contains(dpctl("dump-dps"), name) {
		dpctl("del-dp", name)
	}
}
