package prove

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Result is the outcome of a check or of a run.
type Result string

// The results.
const (
	// OK says that all is as it must be.
	OK Result = "ok"
	// Leak says that a frame was where it must not be.
	Leak Result = "leak"
	// Failed says that it could not be shown: what must arrive did not.
	Failed Result = "failed"
	// Impaired says that the isolation holds, and that VMs of the network cannot
	// use it as they should.
	Impaired Result = "impaired"
)

// Report is what a run found.
type Report struct {
	Network string `json:"network"`
	Bridge  string `json:"bridge"`
	Via     Via    `json:"via"`
	// Others are the networks that had probes too.
	Others []string `json:"others"`
	// Skipped are the other networks of the host.
	Skipped []string `json:"skipped"`
	Result  Result   `json:"result"`
	Checks  []Check  `json:"checks"`
}

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"check"`
	Result Result `json:"result"`
	// Sent is what the probes sent for it, Seen what came of it.
	Sent string `json:"sent"`
	Seen string `json:"seen"`
	// Remedy says what helps against a leak.
	Remedy string `json:"remedy"`
}

// The checks of the host.
const (
	checkARP       = "host answers no ARP"
	checkIPv6      = "host answers no IPv6"
	checkIP        = "host takes no packet"
	checkForward   = "host forwards nothing"
	checkDevice    = "host sees nothing elsewhere"
	checkNeighbour = "host learns no neighbour"
	checkSpeak     = "host sends nothing"
)

// The remedies.
const (
	remedyPort  = "keep the host's stack off the ports: look with 'isonet status' what the host guard says, and see that it is not off (option host-guard)"
	remedyLocal = "the bridge's local port must carry nothing: isonetd keeps it at vlan_mode=trunk and trunks=4095 as long as it runs; " +
		"take the device down and its addresses away"
	remedyOther = "something joins the network to another one or to the host: look for patch, tunnel, uplink and internal ports with 'ovs-vsctl show', for veth devices between two bridges, and for mirrors"
	remedyMute  = "look with 'isonet status' and in the log of ovs-vswitchd why the network carries no frames"
)

// findings are what the checks have against the network.
type findings struct {
	seen     map[string][]string
	remedies map[string][]string
}

func (f *findings) add(check, remedy, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(f.seen[check], text) {
		f.seen[check] = append(f.seen[check], text)
	}
	if !slices.Contains(f.remedies[check], remedy) {
		f.remedies[check] = append(f.remedies[check], remedy)
	}
}

// report judges what was seen.
func (l *lab) report(ctx context.Context) (Report, error) {
	members, err := l.members(ctx)
	if err != nil {
		return Report{}, err
	}
	lost, err := l.lost()
	if err != nil {
		return Report{}, err
	}
	return l.judge(l.journal.events(), members, lost), nil
}

// judge makes the report of what happened, of which network each port belongs to and
// of how many frames were not seen.
func (l *lab) judge(e events, members map[string]*Network, lost int) Report {
	f := &findings{seen: map[string][]string{}, remedies: map[string][]string{}}
	l.judgeArrivals(e, f)
	l.judgeStrangers(e, f, members)
	l.judgePassages(e, f, members)
	for seq := range e.datagrams {
		f.add(checkIP, l.remedyFor(e.sent[seq].text), "a UDP socket of the host received the %s", e.sent[seq].text)
	}
	for _, n := range l.neighbours {
		f.add(checkNeighbour, remedyPort, "the host's neighbour table has %s", n)
	}
	r := Report{Network: l.Target.Name, Bridge: l.Target.Bridge, Via: l.Via, Others: []string{}, Skipped: []string{}, Checks: l.checks(f, lost)}
	for _, n := range l.Others {
		r.Others = append(r.Others, n.Name)
	}
	r.Result = worst(r.Checks)
	return r
}

// worst returns the result of a run: one leak counts more than what failed, and
// that more than what is impaired.
func worst(checks []Check) Result {
	order := []Result{OK, Impaired, Failed, Leak}
	result := OK
	for _, c := range checks {
		if slices.Index(order, c.Result) > slices.Index(order, result) {
			result = c.Result
		}
	}
	return result
}

// members returns the network that each port belongs to: those that were
// plugged in when the run began, and those of now.
func (l *lab) members(ctx context.Context) (map[string]*Network, error) {
	status, err := l.daemon.Status(ctx)
	if err != nil {
		return nil, err
	}
	members := map[string]*Network{}
	for _, pair := range l.pairs {
		n := pair[0].network
		for _, port := range n.Ports {
			members[port] = n
		}
		for _, now := range status.Networks {
			if now.Bridge != n.Bridge {
				continue
			}
			for _, port := range now.Ports {
				members[port.Name] = n
			}
		}
	}
	for _, p := range l.probes() {
		members[p.name] = p.network
	}
	return members, nil
}

// between names the check of two networks, of which one is the target.
func (l *lab) between(a, b *Network) string {
	if a == l.Target {
		a = b
	}
	return fmt.Sprintf("apart from network '%s'", a.Name)
}

// judgeArrivals looks for frames that arrived in another network.
func (l *lab) judgeArrivals(e events, f *findings) {
	for _, seq := range slices.Sorted(maps.Keys(e.arrived)) {
		from := e.sent[seq].from.network
		for p := range e.arrived[seq] {
			// Two of the others are their own runs' concern.
			if p.network != from && (p.network == l.Target || from == l.Target) {
				f.add(l.between(p.network, from), remedyOther, "%s from network '%s' arrived in network '%s'", e.sent[seq].text, from.Name, p.network.Name)
			}
		}
	}
}

// judgeStrangers looks for frames that the host sent into the network.
func (l *lab) judgeStrangers(e events, f *findings, members map[string]*Network) {
	own := map[mac]*Network{}
	for _, p := range l.probes() {
		own[p.mac] = p.network
	}
	for s := range e.strangers {
		devices := l.host.senders(s.from)
		network, probe := own[s.from]
		switch {
		case s.at.network != l.Target || (probe && network == l.Target):
		case len(devices) > 0 && !probe:
			check := map[string]string{"arp": checkARP, "ipv4": checkIP, "ipv6": checkIPv6}[s.kind.family]
			if check == "" {
				check = checkSpeak
			}
			f.add(check, l.remedyFor(devices...), "%s from the host's %s", s.kind.text, strings.Join(devices, " or "))
		case probe:
			f.add(l.between(network, l.Target), remedyOther, "%s from a probe in network '%s' arrived changed", s.kind.text, network.Name)
		case !l.shared(members): // else VMs speak, and answer probes too
			f.add(checkSpeak, remedyOther, "%s from %s, which is nobody in the network", s.kind.text, s.from)
		}
	}
}

// shared says that the network has members other than the probes. What they
// send is not the host's.
func (l *lab) shared(members map[string]*Network) bool {
	for name, n := range members {
		if n == l.Target && !slices.Contains(l.names(), name) {
			return true
		}
	}
	return false
}

// judgePassages looks for frames on devices of the host that are no members of
// the network that they are from.
func (l *lab) judgePassages(e events, f *findings, members map[string]*Network) {
	for p := range e.passages {
		device := l.host.device(p.device)
		where := members[device]
		way := "came to the host on"
		if p.outgoing {
			way = "left the host on"
		}
		switch {
		case p.sent == nil:
			f.add(checkForward, remedyPort, "%s of the host's on %s: it looks for whom to forward to", p.text, device)
		case where == l.Target && where == p.sent.network:
			l.judgeMember(p, f)
		case where == p.sent.network:
		case where != nil && (where == l.Target || p.sent.network == l.Target):
			f.add(l.between(where, p.sent.network), remedyOther, "%s from network '%s' %s %s", p.text, p.sent.network.Name, way, device)
		case p.sent.network != l.Target:
		case device == l.Target.Bridge:
			f.add(checkDevice, remedyLocal, "%s %s %s, the bridge's local port", p.text, way, device)
		case p.outgoing:
			f.add(checkForward, l.remedyFor(p.shot), "%s %s %s", p.text, way, device)
		default:
			f.add(checkDevice, remedyOther, "%s %s %s", p.text, way, device)
		}
	}
}

// judgeMember looks whether a member of the network is one that leads on, or is
// the host's own. What a VM or a container has leads nowhere else, and Open
// vSwitch sends to it: a frame comes in there only from the probe itself.
func (l *lab) judgeMember(p passage, f *findings) {
	d := l.host.devices[p.device]
	switch kind := "of the kind " + d.kind; {
	case !p.outgoing && p.original && d.name != p.sent.name:
		f.add(checkDevice, remedyOther, "%s came to the host on %s, an internal port that is left on the host or one that loops", p.text, d.name)
	case p.outgoing && !slices.Contains([]string{"tuntap", "veth", "netkit", "openvswitch"}, d.kind):
		if d.kind == "device" {
			kind = "of hardware"
		}
		f.add(checkForward, remedyOther, "%s left the host on %s, a device %s that is plugged into the network", p.text, d.name, kind)
	}
}

// remedyFor is the remedy against a leak through one of the devices, or through
// one that a text ends with.
func (l *lab) remedyFor(devices ...string) string {
	for _, d := range devices {
		if d == l.Target.Bridge || strings.HasSuffix(d, " at "+l.Target.Bridge) {
			return remedyLocal
		}
	}
	return remedyPort
}

// checks makes the list of all checks, those of the host with what is against
// them.
func (l *lab) checks(f *findings, lost int) []Check {
	list := slices.Concat(l.reached, l.talked)
	whole := "everything here"
	l.asked[checkDevice], l.asked[checkNeighbour] = whole, whole
	l.asked[checkSpeak] = "the links of the probes went up"
	if l.Via == Veth {
		l.asked[checkSpeak] += ", one down and up again"
	}
	for _, name := range []string{checkARP, checkIPv6, checkIP, checkForward, checkDevice, checkNeighbour, checkSpeak} {
		list = append(list, l.check(f, name, l.asked[name], lost, l.Target))
	}
	for _, n := range l.Others {
		sent := "broadcasts, multicasts and frames to the other's addresses, both ways"
		list = append(list, l.check(f, l.between(l.Target, n), sent, lost, l.Target, n))
	}
	return list
}

// check makes one check. Nothing seen means something only in networks that
// carry frames.
func (l *lab) check(f *findings, name, sent string, lost int, networks ...*Network) Check {
	c := Check{Name: name, Sent: sent, Result: OK, Seen: "nothing"}
	if seen := f.seen[name]; len(seen) > 0 {
		slices.Sort(seen)
		const most = 4
		c.Result, c.Remedy = Leak, strings.Join(f.remedies[name], "; ")
		c.Seen = strings.Join(seen[:min(len(seen), most)], "; ")
		if more := len(seen) - most; more > 0 {
			c.Seen += fmt.Sprintf("; and %d more", more)
		}
		return c
	}
	for _, n := range networks {
		if slices.Contains(l.mute, n.Name) {
			c.Result, c.Remedy = Failed, remedyMute
			c.Seen = fmt.Sprintf("nothing, but the probes in network '%s' do not reach each other either", n.Name)
		}
	}
	if lost > 0 {
		c.Result, c.Remedy = Failed, "run it again when the host has less to do"
		c.Seen = fmt.Sprintf("nothing, but %s came too fast to look at", count(lost, "frame", "frames"))
	}
	return c
}

// lost counts the frames that were not seen because there were too many.
func (l *lab) lost() (int, error) {
	sum, err := l.host.capture.lost()
	for _, p := range l.probes() {
		n, failed := p.capture.lost()
		if failed != nil {
			err = failed
		}
		sum += n
	}
	return sum, err
}

// count writes a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
