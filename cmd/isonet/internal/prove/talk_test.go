package prove

import "testing"

// The kernel's own form of the counters (proc_net_snmp in the kernel's sources).
func TestChecksumErrors(t *testing.T) {
	const snmp = "Ip: Forwarding InReceives\nIp: 1 9\n" +
		"Tcp: RtoAlgorithm MaxConn InErrs InCsumErrors\nTcp: 1 -1 5 3\n" +
		"Udp: InDatagrams InCsumErrors IgnoredMulti\nUdp: 7 2 9\nUdpLite: InDatagrams InCsumErrors\nUdpLite: 8 8\n"
	const snmp6 = "Ip6InReceives                   \t4\nUdp6InCsumErrors                \t6\n"
	for text, want := range map[string]int{snmp: 5, snmp6: 6, snmp + snmp6: 11, "": 0, "Tcp:\nTcp:\nUdp6InCsumErrors many\n": 0} {
		if got := checksumErrors(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
