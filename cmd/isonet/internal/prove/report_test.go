package prove

import (
	"cmp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// scene is a run in the networks red, which is proved, blue and green, with what
// happened in it.
type scene struct {
	*lab
	events
	red, blue, green *Network
	members          map[string]*Network
	lost             int
}

// The frames of a scene, one from the first probe of each network.
const (
	fromRed = iota + 1
	fromBlue
	fromGreen
)

// The devices of a scene's host.
const (
	localPort = iota + 10
	uplink
	vm
	internal
	nic
	blueVM
)

func newScene() *scene {
	s := &scene{
		lab:   &lab{asked: map[string]string{}, journal: newJournal(runMagic()), host: &host{}},
		red:   &Network{Name: "red", Bridge: "red", MTU: 1500},
		blue:  &Network{Name: "blue", Bridge: "blue", MTU: 1500},
		green: &Network{Name: "green", Bridge: "green", MTU: 1500},
	}
	s.Via, s.Target, s.Others = Veth, s.red, []*Network{s.blue, s.green}
	for i, n := range []*Network{s.red, s.blue, s.green} {
		s.pairs = append(s.pairs, [2]*probe{newProbe(2*i, n, [2]byte{}), newProbe(2*i+1, n, [2]byte{})})
	}
	s.host.devices = map[int]device{
		localPort: {name: "red", kind: "openvswitch", mac: mac{2, 1}, up: true},
		uplink:    {name: "eth1", kind: "device"},
		vm:        {name: "vnet0", kind: "tuntap", mac: mac{2, 3}, up: true},
		internal:  {name: "int0", kind: "openvswitch"},
		nic:       {name: "eth0", kind: "device"},
		blueVM:    {name: "vnet9", kind: "tuntap"},
	}
	s.members = map[string]*Network{"vnet0": s.red, "eth1": s.red, "int0": s.red, "vnet9": s.blue}
	for _, p := range s.probes() {
		s.members[p.name] = p.network
	}
	s.events = events{
		sent: map[uint32]frame{}, arrived: map[uint32]map[*probe]bool{}, strangers: map[stranger]int{},
		passages: map[passage]int{}, datagrams: map[uint32]int{},
	}
	for i, pair := range s.pairs {
		s.sent[uint32(i+1)] = frame{from: pair[0], text: "UDP datagram to 10.0.0.1 at " + pair[0].network.Bridge}
	}
	return s
}

// passes has the host see a frame on a device.
func (s *scene) passes(seq uint32, p passage) {
	p.sent, p.shot, p.text = s.sent[seq].from, s.sent[seq].text, "a frame"
	s.passages[p]++
}

func (s *scene) strange(at *probe, from mac, k kind) {
	s.strangers[stranger{at: at, from: from, kind: k}]++
}

func TestJudge(t *testing.T) {
	const blue, green = "apart from network 'blue'", "apart from network 'green'"
	for _, test := range []struct {
		name   string
		happen func(s *scene)
		// Of the only check that is not OK; "" if all are.
		check        string
		result       Result
		seen, remedy string
	}{
		{name: "nothing", happen: func(*scene) {}},
		{name: "a frame arrives where it should", happen: func(s *scene) {
			s.arrived[fromRed] = map[*probe]bool{s.pairs[0][1]: true}
		}},
		{name: "a frame arrives in another network", happen: func(s *scene) {
			s.arrived[fromRed] = map[*probe]bool{s.pairs[1][0]: true}
		}, check: blue, result: Leak, seen: "UDP datagram to 10.0.0.1 at red from network 'red' arrived in network 'blue'", remedy: remedyOther},
		{name: "a frame arrives from another network", happen: func(s *scene) {
			s.arrived[fromGreen] = map[*probe]bool{s.pairs[0][0]: true}
		}, check: green, result: Leak, seen: "UDP datagram to 10.0.0.1 at green from network 'green' arrived in network 'red'", remedy: remedyOther},
		{name: "two other networks", happen: func(s *scene) { s.arrived[fromGreen] = map[*probe]bool{s.pairs[1][0]: true} }},

		{name: "the host answers ARP", happen: func(s *scene) {
			s.strange(s.pairs[0][0], mac{2, 3}, kind{"ARP reply for 10.0.0.1", "arp"})
		}, check: checkARP, result: Leak, seen: "ARP reply for 10.0.0.1 from the host's vnet0", remedy: remedyPort},
		{name: "the host answers through the local port", happen: func(s *scene) {
			s.strange(s.pairs[0][0], mac{2, 1}, kind{"neighbour advertisement from fe80::1", "ipv6"})
		}, check: checkIPv6, result: Leak, seen: "neighbour advertisement from fe80::1 from the host's red", remedy: remedyLocal},
		{name: "the host answers IPv4", happen: func(s *scene) {
			s.strange(s.pairs[0][1], mac{2, 3}, kind{"ICMP echo reply from 10.0.0.1", "ipv4"})
		}, check: checkIP, result: Leak, seen: "ICMP echo reply from 10.0.0.1 from the host's vnet0", remedy: remedyPort},
		{name: "the host speaks by itself", happen: func(s *scene) {
			s.strange(s.pairs[0][0], mac{2, 3}, kind{text: "router solicitation from fe80::1"})
		}, check: checkSpeak, result: Leak, seen: "router solicitation from fe80::1 from the host's vnet0", remedy: remedyPort},
		{name: "a frame of another network's probe arrives changed", happen: func(s *scene) {
			s.strange(s.pairs[0][0], s.pairs[1][0].mac, kind{text: "ICMP echo request from 1.1.1.1"})
		}, check: blue, result: Leak, seen: "ICMP echo request from 1.1.1.1 from a probe in network 'blue' arrived changed", remedy: remedyOther},
		{name: "strangers in another network", happen: func(s *scene) { s.strange(s.pairs[1][0], mac{2, 3}, kind{"ARP reply", "arp"}) }},
		{name: "a VM speaks", happen: func(s *scene) { s.strange(s.pairs[0][0], mac{9}, kind{"ARP reply", "arp"}) }},
		{name: "somebody speaks where no VM is", happen: func(s *scene) {
			for _, name := range []string{"vnet0", "eth1", "int0"} {
				delete(s.members, name)
			}
			s.strange(s.pairs[0][0], mac{9}, kind{"ARP reply for 10.0.0.1", "arp"})
		}, check: checkSpeak, result: Leak, seen: "ARP reply for 10.0.0.1 from 09:00:00:00:00:00, which is nobody in the network", remedy: remedyOther},

		{name: "the host looks for whom to forward to", happen: func(s *scene) {
			s.passes(0, passage{device: nic, outgoing: true})
		}, check: checkForward, result: Leak, seen: "a frame of the host's on eth0: it looks for whom to forward to", remedy: remedyPort},
		{name: "the host forwards", happen: func(s *scene) {
			s.passes(fromRed, passage{device: nic, outgoing: true})
		}, check: checkForward, result: Leak, seen: "a frame left the host on eth0", remedy: remedyLocal}, // it was sent to the local port
		{name: "the local port has frames", happen: func(s *scene) {
			s.passes(fromRed, passage{device: localPort})
		}, check: checkDevice, result: Leak, seen: "a frame came to the host on red, the bridge's local port", remedy: remedyLocal},
		{name: "another device has frames", happen: func(s *scene) {
			s.passes(fromRed, passage{device: nic})
		}, check: checkDevice, result: Leak, seen: "a frame came to the host on eth0", remedy: remedyOther},
		{name: "a device that is gone has frames", happen: func(s *scene) {
			s.passes(fromRed, passage{device: 99})
		}, check: checkDevice, result: Leak, seen: "a frame came to the host on device 99", remedy: remedyOther},
		{name: "frames of another network on a device of the host", happen: func(s *scene) { s.passes(fromBlue, passage{device: nic, outgoing: true}) }},
		{name: "a member of another network has frames", happen: func(s *scene) {
			s.passes(fromRed, passage{device: blueVM, outgoing: true})
		}, check: blue, result: Leak, seen: "a frame from network 'red' left the host on vnet9", remedy: remedyOther},
		{name: "a VM has frames", happen: func(s *scene) { s.passes(fromRed, passage{device: vm, outgoing: true, original: true}) }},
		{name: "another network's VM has its frames", happen: func(s *scene) { s.passes(fromBlue, passage{device: blueVM, outgoing: true}) }},
		{name: "an uplink", happen: func(s *scene) {
			s.passes(fromRed, passage{device: uplink, outgoing: true})
		}, check: checkForward, result: Leak, seen: "a frame left the host on eth1, a device of hardware that is plugged into the network", remedy: remedyOther},
		{name: "a VLAN as an uplink", happen: func(s *scene) {
			s.host.devices[uplink] = device{name: "eth1", kind: "vlan"}
			s.passes(fromRed, passage{device: uplink, outgoing: true})
		}, check: checkForward, result: Leak, seen: "a frame left the host on eth1, a device of the kind vlan that is plugged into the network", remedy: remedyOther},
		{name: "an internal port", happen: func(s *scene) {
			s.passes(fromRed, passage{device: internal, original: true})
		}, check: checkDevice, result: Leak, seen: "a frame came to the host on int0, an internal port that is left on the host or one that loops", remedy: remedyOther},

		{name: "a socket of the host", happen: func(s *scene) {
			s.datagrams[fromRed]++
		}, check: checkIP, result: Leak, seen: "a UDP socket of the host received the UDP datagram to 10.0.0.1 at red", remedy: remedyLocal},
		{name: "a neighbour", happen: func(s *scene) {
			s.neighbours = []string{"10.0.0.1 at 02:00:00:00:00:00 on vnet0"}
		}, check: checkNeighbour, result: Leak, seen: "the host's neighbour table has 10.0.0.1 at 02:00:00:00:00:00 on vnet0", remedy: remedyPort},
		{name: "another network is mute", happen: func(s *scene) {
			s.mute = []string{"blue"}
		}, check: blue, result: Failed, seen: "nothing, but the probes in network 'blue' do not reach each other either", remedy: remedyMute},
		{name: "a leak in a mute network", happen: func(s *scene) {
			s.mute = []string{"blue"}
			s.arrived[fromBlue] = map[*probe]bool{s.pairs[0][0]: true}
		}, check: blue, result: Leak, seen: "UDP datagram to 10.0.0.1 at blue from network 'blue' arrived in network 'red'", remedy: remedyOther},
		{name: "much at once", happen: func(s *scene) {
			for i, text := range []string{"e", "a", "d", "b", "f", "c"} {
				s.sent[uint32(10+i)] = frame{from: s.pairs[0][0], text: text}
				s.datagrams[uint32(10+i)]++
			}
		}, check: checkIP, result: Leak, remedy: remedyPort, seen: "a UDP socket of the host received the a; a UDP socket of the host received the b; " +
			"a UDP socket of the host received the c; a UDP socket of the host received the d; and 2 more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScene()
			test.happen(s)
			r := s.judge(s.events, s.members, s.lost)
			want := Check{Name: test.check, Result: test.result, Seen: test.seen, Remedy: test.remedy}
			for _, c := range r.Checks {
				if c.Result == OK && c.Name != test.check && c.Seen == "nothing" && c.Remedy == "" {
					continue
				}
				c.Sent = ""
				if diff := gocmp.Diff(want, c); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if r.Result != cmp.Or(test.result, OK) {
				t.Errorf("the result is %q", r.Result)
			}
		})
	}
}

// TestEveryCheckIsInTheReport, in the order in which people read them.
func TestEveryCheckIsInTheReport(t *testing.T) {
	s := newScene()
	s.reached = []Check{{Name: "probes reach each other", Result: OK}}
	s.talked = []Check{{Name: checkTalk, Result: Impaired}}
	s.lost = 3
	r := s.judge(s.events, s.members, s.lost)
	var names []string
	for _, c := range r.Checks {
		names = append(names, c.Name)
		if c.Name != checkTalk && c.Name != s.reached[0].Name && (c.Result != Failed || !strings.Contains(c.Seen, "3 frames came too fast")) {
			t.Errorf("frames were lost: %+v", c)
		}
	}
	want := []string{
		"probes reach each other", checkTalk, checkARP, checkIPv6, checkIP, checkForward, checkDevice, checkNeighbour, checkSpeak,
		"apart from network 'blue'", "apart from network 'green'",
	}
	if diff := gocmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]string{"blue", "green"}, r.Others); diff != "" || r.Network != "red" || r.Bridge != "red" || r.Via != Veth {
		t.Errorf("%+v", r)
	}
}

func TestWorst(t *testing.T) {
	for _, test := range []struct {
		results []Result
		want    Result
	}{
		{nil, OK},
		{[]Result{OK, OK}, OK},
		{[]Result{OK, Impaired, OK}, Impaired},
		{[]Result{Failed, Impaired}, Failed},
		{[]Result{Impaired, Leak, Failed}, Leak},
	} {
		var checks []Check
		for _, r := range test.results {
			checks = append(checks, Check{Result: r})
		}
		if got := worst(checks); got != test.want {
			t.Errorf("%v: %q, want %q", test.results, got, test.want)
		}
	}
}
