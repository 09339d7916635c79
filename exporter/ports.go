package exporter

import (
	"regexp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// Ports turns on the series of single ports: 11 for each, and 2 more on strict networks.
type Ports struct {
	// Traffic is what the ports have carried, by the UUID of their Interface
	// row. It is called as the functions of Sources are.
	Traffic func() map[string]model.PortTraffic
	// A port is left out if Exclude, or not Include, matches its name or that
	// of its network; nil is not asked.
	Include, Exclude *regexp.Regexp
}

// selects says whether a port of a network gets series.
func (p *Ports) selects(network, port string) bool {
	matches := func(r *regexp.Regexp) bool { return r.MatchString(port) || r.MatchString(network) }
	return (p.Include == nil || matches(p.Include)) && (p.Exclude == nil || !matches(p.Exclude))
}

// port is an interface of one of the networks' endpoints.
type port struct {
	report.Interface
	labels  []string // network and port
	traffic model.PortTraffic
	counted bool
	// denied is what the port was denied on a network that limits it.
	denied  report.Drops
	limited bool
}

// portsOf returns the selected ports, by network.
func (v view) portsOf(p *Ports) []port {
	if p == nil {
		return nil
	}
	var ports []port
	carried := p.Traffic()
	for _, n := range v.networks {
		for _, endpoint := range n.bridge.Ports {
			for _, i := range endpoint.Interfaces {
				if !p.selects(n.Name, i.Name) {
					continue
				}
				traffic, counted := carried[i.UUID]
				denied, limited := n.verdict.Isolation.Denied.Ports[i.UUID]
				ports = append(ports, port{i, []string{n.label, i.Name}, traffic, counted && traffic.Network == n.ID, denied, limited})
			}
		}
	}
	return ports
}

// livePorts returns the ports if what is known of them is the present.
func (v view) livePorts() []port {
	if !v.connected() {
		return nil
	}
	return v.ports
}

func portFamilies() []family {
	return []family{
		{
			Metric{
				"isonet_port_info", gauge,
				[]string{"network", "port", "type", "mac", "vm_id", "iface_id"},
				"Whose port it is: its OVS Interface type and external_ids attached-mac, vm-id and iface-id, as libvirt sets them; always 1. Each interface of a bond is a port. Only with --metrics-ports.",
			},
			func(v view, emit func(sample)) {
				for _, p := range v.ports {
					emit(one(p.labels[0], p.labels[1], p.Type, p.MAC, p.VMID, p.IfaceID))
				}
			},
		},
		{
			Metric{
				"isonet_port_link_up", gauge,
				[]string{"network", "port"},
				"Whether the port's link is up (1) or down (0) (OVS Interface link_state). Absent for a port whose device was moved to another network namespace, and without a connection to OVSDB. Only with --metrics-ports.",
			},
			func(v view, emit func(sample)) {
				for _, p := range v.livePorts() {
					if !p.Elsewhere {
						emit(sample{value: boolean(p.LinkUp), labels: p.labels})
					}
				}
			},
		},
		{
			Metric{
				"isonet_port_mtu_bytes", gauge,
				[]string{"network", "port"},
				"MTU in bytes in effect on the port (OVS Interface mtu). Absent while it is not known and without a connection to OVSDB. Only with --metrics-ports.",
			},
			func(v view, emit func(sample)) {
				for _, p := range v.livePorts() {
					if p.MTU > 0 {
						emit(sample{value: float64(p.MTU), labels: p.labels})
					}
				}
			},
		},
		portDenied("isonet_port_mac_lock_drops_total", "Frames of the port from other addresses than it may use that the network's MAC lock dropped.", wrongMAC),
		portDenied("isonet_port_broadcast_limit_drops_total", "Broadcast and multicast frames of the port over the network's broadcast limit that were dropped.", overLimit),
		portTraffic("isonet_port_receive_bytes_total", "Bytes delivered to the port (OVS Interface statistics tx_bytes).",
			func(c model.Counters) uint64 { return c.ReceivedBytes }),
		portTraffic("isonet_port_receive_packets_total", "Packets delivered to the port (OVS Interface statistics tx_packets).",
			func(c model.Counters) uint64 { return c.ReceivedPackets }),
		portTraffic("isonet_port_receive_drops_total", "Packets for the port that were dropped (OVS Interface statistics tx_dropped).",
			func(c model.Counters) uint64 { return c.ReceivedDrops }),
		portTraffic("isonet_port_receive_errors_total", "Errors delivering packets to the port (OVS Interface statistics tx_errors).",
			func(c model.Counters) uint64 { return c.ReceivedErrors }),
		portTraffic("isonet_port_transmit_bytes_total", "Bytes sent by the port (OVS Interface statistics rx_bytes).",
			func(c model.Counters) uint64 { return c.TransmittedBytes }),
		portTraffic("isonet_port_transmit_packets_total", "Packets sent by the port (OVS Interface statistics rx_packets).",
			func(c model.Counters) uint64 { return c.TransmittedPackets }),
		portTraffic("isonet_port_transmit_drops_total", "Packets sent by the port that were dropped (OVS Interface statistics rx_dropped).",
			func(c model.Counters) uint64 { return c.TransmittedDrops }),
		portTraffic("isonet_port_transmit_errors_total", "Errors taking packets from the port (OVS Interface statistics rx_errors).",
			func(c model.Counters) uint64 { return c.TransmittedErrors }),
	}
}

// portTraffic makes a counter of the ports' traffic.
func portTraffic(name, help string, value func(model.Counters) uint64) family {
	return family{
		Metric{name, counter, []string{"network", "port"}, help + " Only with --metrics-ports."},
		func(v view, emit func(sample)) {
			for _, p := range v.ports {
				if p.counted {
					emit(sample{float64(value(p.traffic.Total)), p.labels, p.traffic.Created})
				}
			}
		},
	}
}
