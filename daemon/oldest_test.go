package daemon_test

import (
	"fmt"
	"testing"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
)

// The database of the oldest Open vSwitch has every column that isonet reads or
// writes, in all that it does.
func TestOldestOpenVSwitch(t *testing.T) {
	h := newHost(t, func(o *daemon.Options) { o.MetricsPorts = "true" }, ovstest.Oldest())
	d := h.start()
	h.network(`{"name":"red","mtu":"1400","data_center":{"name":"Default"}}`)
	h.network(`{"name":"locked","strict":"true","mac_lock":"true","broadcast_limit":"100","port_isolation":"true","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red", "locked"))
	h.ovs.Vsctl("add-port", "red", "vm1", "--", "add-port", "red", "vm2", "--", "add-port", "locked", "vm3")
	h.broadcast()
	h.awaitMetric(d, `isonet_network_receive_packets_total{network="red"} 1`)
	h.awaitMetric(d, `isonet_network_ready{network="locked"} 1`)

	// Everything that is put back.
	h.ovs.Vsctl("set", "bridge", "red", "stp_enable=true", "fail_mode=secure", "--", "clear", "port", "red", "trunks",
		"--", "set", "interface", "red", "mtu_request=1500", "--", "set", "interface", "vm1", "lldp:enable=true",
		"--", "set-controller", "red", "tcp:127.0.0.1:6653",
		"--", "--id=@m", "create", "mirror", "name=m", "select_all=true", "output_vlan=1", "--", "set", "bridge", "red", "mirrors=@m",
		"--", "--id=@n", "create", "netflow", `targets="127.0.0.1:1"`, "--", "set", "bridge", "red", "netflow=@n",
		"--", "--id=@s", "create", "sflow", `targets="127.0.0.1:2"`, "--", "set", "bridge", "red", "sflow=@s",
		"--", "--id=@i", "create", "ipfix", `targets="127.0.0.1:3"`, "--", "set", "bridge", "red", "ipfix=@i")
	ovstest.Eventually(t, "all is put back", func() error {
		have := h.ovs.Vsctl("get", "bridge", "red", "stp_enable", "fail_mode", "controller", "mirrors", "netflow", "sflow", "ipfix",
			"--", "get", "port", "red", "trunks", "--", "get", "interface", "red", "mtu_request", "--", "get", "interface", "vm1", "lldp")
		if have != "false\n[]\n[]\n[]\n[]\n[]\n[]\n[4095]\n1400\n{}" {
			return fmt.Errorf("it is %q", have)
		}
		return nil
	})
	h.must("POST", h.path()+"/setupnetworks?force=true", `{"removed_network_attachments":{"network_attachment":[]}}`)
}
