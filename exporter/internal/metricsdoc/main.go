// Command metricsdoc writes the list of isonet's metrics as Markdown to the
// file that it is given.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/isonet/isonet/exporter"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: metricsdoc FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(document(exporter.Metrics())), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "metricsdoc:", err)
		os.Exit(1)
	}
}

const head = `<!-- Written by "go generate ./exporter". Change the texts in exporter/metrics.go. -->

# Metrics

isonetd serves these metrics at ` + "`/metrics`" + ` of its metrics listener, together with those of
the Go runtime, the process and the scrapes themselves (` + "`go_`, `process_`, `promhttp_`" + `).

- **Point of view.** *Receive* is what the network delivered to the attached ports,
  *transmit* is what they sent into it. That is the view of a VM, as in the oVirt API
  and in libvirt. Open vSwitch counts from the switch's side, so its tx is receive here.
- **Which networks.** Those attached to this host. The label ` + "`network`" + ` is the network's
  name; ` + "`isonet_network_info`" + ` has its other names.
- **Freshness.** Open vSwitch publishes counters every 5 seconds, and only those that
  changed. Take rates over a minute or more: ` + "`rate(isonet_network_receive_bytes_total[1m])`" + `.
  What a port carried after the last publication before its removal is not counted.
- **Counters** of traffic begin at zero when the network is attached to the host. They never
  fall when ports come and go, or when Open vSwitch, isonetd or the host restarts. isonetd
  saves them every 30 seconds. [ADR 5](adr/0005-traffic-that-lasts.md) says what a crash can lose.
- **Created timestamps** of the counters are in the protobuf format, which Prometheus requests with its feature
  ` + "`created-timestamp-zero-ingestion`" + `. The text formats have none: there each would be one more series for each counter.
- **Single ports** have series only with ` + "`--metrics-ports`" + `: 11 to 13 for each port. ` + "`--metrics-ports-include`" + ` and
  ` + "`--metrics-ports-exclude`" + ` select ports. Names of ports such as vnet12 are reused for other
  VMs. ` + "`isonet_port_info`" + ` says whose port it is:
  ` + "`rate(isonet_port_receive_bytes_total[1m]) * on(instance, network, port) group_left(vm_id) isonet_port_info`" + `.
- **Ages.** Compute them in Prometheus: ` + "`time() - isonet_statistics_last_update_timestamp_seconds`" + `. A host
  whose ports carry no traffic publishes nothing.
- **Cost.** A scrape reads memory only. It queries neither Open vSwitch nor the store, and reads only
  ` + "`/proc`" + ` of isonetd itself from the system. At most 4 scrapes run at once; the next gets 503.
- **Names that no label may have** do not break a scrape. Bytes that are not UTF-8 become
  U+FFFD. Networks whose names are then equal get their ids appended.
- **Without a connection to OVSDB** the counters stay as they are, and gauges that would
  describe the present are absent. ` + "`isonet_ovsdb_connected`" + ` says which is the case.

`

// document returns the text of the whole file.
func document(metrics []exporter.Metric) string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, m := range metrics {
		labels := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(labels, ", "), m.Help)
	}
	return b.String()
}
