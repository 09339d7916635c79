package prove

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// reach tries what the probes of the network must be able to do.
func (l *lab) reach(ctx context.Context) error {
	if slices.Contains(l.mute, l.Target.Name) {
		l.reached = append(l.reached, Check{
			Name: "probes reach each other", Sent: "echo requests", Result: Failed,
			Seen: "none arrived: is the network's bridge as isonetd wants it?",
		})
		return nil
	}
	broad, group := netip.AddrFrom4([4]byte{255, 255, 255, 255}), netip.AddrFrom4([4]byte{239, 255, 0, 1})
	for _, k := range []struct {
		text     string
		optional bool
		build    func(from, to station, token []byte) []byte
	}{
		{"ARP request", false, func(from, to station, token []byte) []byte { return arpRequest(from, to.v4, token) }},
		{"IPv4 echo", false, func(from, to station, token []byte) []byte { return echo(from, to.mac, to.v4, 0, token) }},
		// The userspace datapath does not know the MTU of a device that was moved
		// away, and takes 1500 bytes from it.
		{fmt.Sprintf("IPv4 echo of %d bytes", l.Target.MTU), l.Via == Internal && l.Target.MTU > 1500, func(from, to station, token []byte) []byte {
			return echo(from, to.mac, to.v4, l.Target.MTU, token)
		}},
		{"IPv4 broadcast", false, func(from, _ station, token []byte) []byte { return datagram(from, broadcast(), broad, 9, token) }},
		{"IPv4 multicast", false, func(from, _ station, token []byte) []byte {
			return datagram(from, multicastMAC(group), group, 9, token)
		}},
		{"IPv6 neighbour solicitation", false, func(from, to station, token []byte) []byte { return solicitation(from, to.v6, token) }},
		{"IPv6 link-local echo", false, func(from, to station, token []byte) []byte { return echo(from, to.mac, to.v6, 0, token) }},
		{"IPv6 echo to all nodes", false, func(from, _ station, token []byte) []byte {
			return echo(from, multicastMAC(allNodes()), allNodes(), 0, token)
		}},
		{fmt.Sprintf("IPv4 echo with VLAN tag %d", probeVLAN), true, func(from, to station, token []byte) []byte {
			return tagged(echo(from, to.mac, to.v4, 0, token), probeVLAN)
		}},
	} {
		check := Check{Name: "probes reach each other", Sent: k.text + ", each way", Result: OK, Seen: "arrived"}
		for _, way := range [][2]*probe{{l.pairs[0][0], l.pairs[0][1]}, {l.pairs[0][1], l.pairs[0][0]}} {
			arrived, err := l.deliver(ctx, way[0], way[1], k.text, func(token []byte) []byte {
				return k.build(way[0].station, way[1].station, token)
			})
			if err != nil {
				return err
			}
			if !arrived && k.optional {
				check.Seen = "did not arrive; it need not"
			} else if !arrived {
				check.Result, check.Seen = Failed, "did not arrive"
			}
		}
		l.reached = append(l.reached, check)
	}
	return nil
}

// shot is a frame that must not have an effect.
type shot struct {
	text  string
	build build
}

// tryHost sends from a probe of the network what the host would react to.
func (l *lab) tryHost(ctx context.Context) error {
	if err := l.host.look(); err != nil {
		return err
	}
	src := l.pairs[0][0].station
	arp, ipv6 := l.questions(src)
	ends := map[string]mac{}
	for _, name := range []string{l.pairs[0][0].name, l.Target.Bridge} {
		if m, has := l.host.hardwareAddress(name); has {
			ends[name] = m
		}
	}
	direct, forward := l.directs(src, ends)
	l.asked[checkARP] = fmt.Sprintf("ARP requests for the host's %s", count(len(arp), "IPv4 address", "IPv4 addresses"))
	l.asked[checkIPv6] = fmt.Sprintf("echo and MLD query to all nodes, neighbour solicitations for %s", count(len(ipv6)-2, "address", "addresses"))
	l.asked[checkIP] = fmt.Sprintf("echo requests and UDP datagrams to %s of the host, through %s",
		count(len(l.host.addresses), "address", "addresses"), count(len(ends), "device", "devices"))
	l.asked[checkForward] = fmt.Sprintf("UDP datagrams to %s and %s, through the same", l.outside.v4, l.outside.v6)
	for _, shots := range [][]shot{arp, ipv6, direct, forward} {
		if err := l.fire(ctx, l.pairs[0], shots); err != nil {
			return err
		}
	}
	return nil
}

// questions are frames that ask everybody.
func (l *lab) questions(src station) (arp, ipv6 []shot) {
	for _, a := range l.host.addresses {
		if a.Is4() {
			arp = append(arp, shot{"ARP request for " + a.String(), func(token []byte) []byte { return arpRequest(src, a, token) }})
		} else {
			ipv6 = append(ipv6, shot{"neighbour solicitation for " + a.String(), func(token []byte) []byte { return solicitation(src, a, token) }})
		}
	}
	return arp, append(
		ipv6,
		shot{"echo request to all nodes", func(token []byte) []byte { return echo(src, multicastMAC(allNodes()), allNodes(), 0, token) }},
		shot{"MLD query", func(token []byte) []byte { return listenerQuery(src, token) }},
	)
}

// directs are frames to the devices that the host has on the network.
func (l *lab) directs(src station, ends map[string]mac) (direct, forward []shot) {
	port := l.host.port()
	routed := src // a link-local source is not forwarded
	routed.v6 = netip.MustParseAddr("2001:db8:1::1")
	for name, m := range ends {
		for _, a := range l.host.addresses {
			direct = append(
				direct,
				shot{fmt.Sprintf("echo request to %s at %s", a, name), func(token []byte) []byte { return echo(src, m, a, 0, token) }},
				shot{fmt.Sprintf("UDP datagram to %s at %s", a, name), func(token []byte) []byte { return datagram(src, m, a, port, token) }},
			)
		}
		for _, a := range []netip.Addr{l.outside.v4, l.outside.v6} {
			forward = append(forward, shot{
				fmt.Sprintf("UDP datagram to %s at %s", a, name),
				func(token []byte) []byte { return datagram(routed, m, a, port, token) },
			})
		}
	}
	return direct, forward
}

// fire sends frames from the first probe of a network, with markers between.
func (l *lab) fire(ctx context.Context, pair [2]*probe, shots []shot) error {
	for i, s := range shots {
		if _, err := l.transmit(pair[0], s.text, s.build); err != nil {
			return err
		}
		if (i+1)%batch == 0 || i == len(shots)-1 {
			if err := l.mark(ctx, pair); err != nil {
				return err
			}
		}
	}
	return nil
}

// tryOthers sends frames from the network to each other one, and from each
// other one to the network.
func (l *lab) tryOthers(ctx context.Context) error {
	for _, other := range l.pairs[1:] {
		for _, way := range [][2][2]*probe{{l.pairs[0], other}, {other, l.pairs[0]}} {
			if err := l.fire(ctx, way[0], across(way[0][0].station, way[1])); err != nil {
				return err
			}
		}
	}
	return nil
}

// across are frames for the probes of another network, by broadcast, multicast
// and to their addresses.
func across(src station, to [2]*probe) []shot {
	var shots []shot
	for _, p := range to {
		shots = append(
			shots,
			shot{"ARP request", func(token []byte) []byte { return arpRequest(src, p.v4, token) }},
			shot{"neighbour solicitation", func(token []byte) []byte { return solicitation(src, p.v6, token) }},
			shot{"IPv4 echo request", func(token []byte) []byte { return echo(src, p.mac, p.v4, 0, token) }},
			shot{"IPv6 echo request", func(token []byte) []byte { return echo(src, p.mac, p.v6, 0, token) }},
		)
	}
	return append(shots, shot{"IPv6 echo request to all nodes", func(token []byte) []byte {
		return echo(src, multicastMAC(allNodes()), allNodes(), 0, token)
	}})
}
