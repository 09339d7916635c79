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

isonetd serves these metrics at ` + "`/metrics`" + ` of its metrics listener, next to those of
the Go runtime, the process and the scrapes themselves (` + "`go_`, `process_`, `promhttp_`" + `).

- **Point of view.** *Receive* is what the network delivered to the attached ports,
  *transmit* is what they sent into it: the view of a virtual machine, as in the oVirt API
  and in libvirt. Open vSwitch counts from the switch's side, so its tx is receive here.
- **Which networks.** Those attached to this host. The label ` + "`network`" + ` is the network's
  name; ` + "`isonet_network_info`" + ` has its other names.
- **Freshness.** Open vSwitch publishes counters every 5 seconds, and only those that
  changed. Take rates over a minute or more: ` + "`rate(isonet_network_receive_bytes_total[1m])`" + `.
  What a port carried after the last publication before its removal is not counted.
- **Counters** of traffic begin at zero with the network's attachment to the host. They never
  fall while ports come and go, or while Open vSwitch, the daemon or the host restarts: they
  are saved every 30 seconds. What a crash can lose is in docs/adr/0005-traffic-that-lasts.md.
- **Created timestamps** of the counters are in the protobuf format, for which Prometheus asks with its feature
  ` + "`created-timestamp-zero-ingestion`" + `. The texts have none: there they would be one more series for each counter.
- **Single ports** have series only with ` + "`--metrics-ports`" + `, chosen by ` + "`--metrics-ports-include`" + ` and
  ` + "`--metrics-ports-exclude`" + `: 11 for each port. Names of ports such as vnet12 are used again for other
  virtual machines; ` + "`isonet_port_info`" + ` says whose port it is:
  ` + "`rate(isonet_port_receive_bytes_total[1m]) * on(instance, network, port) group_left(vm_id) isonet_port_info`" + `.
- **Ages** are for Prometheus to compute: ` + "`time() - isonet_statistics_last_update_timestamp_seconds`" + `. A host
  whose ports carry nothing publishes nothing.
- **Cost.** A scrape takes what is in memory: it asks neither Open vSwitch nor the store, and of the
  system nothing but ` + "`/proc`" + ` of isonetd itself. At most 4 run at once; the next is answered with 503.
- **Names that no metric may have** do not break a scrape: bytes that are not UTF-8 become
  U+FFFD, and networks whose names are the same then have their ids added.
- **Without a connection to OVSDB** the counters stay as they are, and gauges that would
  describe the present are absent. ` + "`isonet_ovsdb_connected`" + ` tells the two cases apart.

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
