package prove

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/net/icmp"
	netipv4 "golang.org/x/net/ipv4"
	netipv6 "golang.org/x/net/ipv6"
	"pgregory.net/rapid"
)

func sender() station {
	return station{
		mac: mac{0x0a, 1, 2, 3, 4, 5}, v4: netip.MustParseAddr("198.18.0.1"), v6: netip.MustParseAddr("fe80::1"),
	}
}

func runMagic() magic { return magic{0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x04} }

// sample is one frame of every kind, with what describe says of it.
func sample(token []byte) map[string][]byte {
	src, to := sender(), mac{0xfe, 1, 2, 3, 4, 5}
	v4, v6 := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fe80::2")
	return map[string][]byte{
		"ARP request for 10.1.2.3":                            arpRequest(src, v4, token),
		"ICMP echo request from 198.18.0.1":                   echo(src, to, v4, 0, token),
		"ICMPv6 echo request from fe80::1":                    echo(src, to, v6, 0, token),
		"neighbour solicitation from fe80::1":                 solicitation(src, v6, token),
		"ICMPv6 type 130 from fe80::1":                        listenerQuery(src, token),
		"a UDP datagram from 198.18.0.1 to 10.1.2.3":          datagram(src, to, v4, 7, token),
		"a UDP datagram from fe80::1":                         datagram(src, to, v6, 7, token),
		"ICMP echo request from 198.18.0.1 with VLAN tag 100": tagged(echo(src, to, v4, 0, token), 100),
	}
}

func TestFrames(t *testing.T) {
	m := runMagic()
	for want, frame := range sample(m.token(77)) {
		if got := describe(frame); got.text != want || got.family != "" {
			t.Errorf("described as %+v, want %q and no answer", got, want)
		}
		if len(frame) < minFrame {
			t.Errorf("%s: %d bytes", want, len(frame))
		}
		if !strings.HasSuffix(string(frame), string(m[:])) {
			t.Errorf("%s does not end with the magic: % x", want, frame)
		}
		if seq, found := m.find(frame); !found || seq != 77 {
			t.Errorf("%s: number %d, %t", want, seq, found)
		}
		if got := source(frame); got != sender().mac {
			t.Errorf("%s: from %s", want, got)
		}
		if seq, found := (magic{1, 1, 2, 3, 5, 8, 13, 21}).find(frame); found {
			t.Errorf("%s: another run's number %d", want, seq)
		}
	}
}

// A wrong checksum would make every host deaf to a frame, and so every host
// look isolated. Others compute them here.
func TestChecksums(t *testing.T) {
	src, to := sender(), mac{0xfe}
	v4, v6 := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fe80::2")
	token := runMagic().token(1)
	for _, size := range []int{0, 1500, 1501, 9000} {
		frame := echo(src, to, v4, size, token)
		if size > 0 && len(frame) != etherLength+size {
			t.Errorf("IPv4 echo of %d bytes: the frame has %d", size, len(frame))
		}
		header, err := netipv4.ParseHeader(frame[etherLength:])
		if err != nil || header.TotalLen != len(frame)-etherLength {
			t.Fatalf("header %v: %v", header, err)
		}
		if sum := checksum(frame[etherLength : etherLength+ipv4Length]); sum != 0 {
			t.Errorf("the IPv4 header sums up to %x", sum)
		}
		same(t, frame[etherLength+ipv4Length:], netipv4.ICMPTypeEcho, nil)

		frame = echo(src, to, v6, size, token)
		if size > 0 && len(frame) != etherLength+size {
			t.Errorf("IPv6 echo of %d bytes: the frame has %d", size, len(frame))
		}
		same(t, frame[etherLength+ipv6Length:], netipv6.ICMPTypeEchoRequest, icmp.IPv6PseudoHeader(src.v6.AsSlice(), v6.AsSlice()))
	}
	frame := datagram(src, to, v4, 7, token)
	segment := frame[etherLength+ipv4Length:]
	if sum := checksum(pseudo(src.v4, v4, protoUDP, len(segment)), segment); sum != 0 {
		t.Errorf("UDP over IPv4 sums up to %x", sum)
	}
	// The example of RFC 1071 section 3.
	if sum := checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); sum != ^uint16(0xddf2) {
		t.Errorf("checksum %x", sum)
	}
}

// same checks an ICMP message against one that another library makes.
func same(t *testing.T, message []byte, kind icmp.Type, pseudoHeader []byte) {
	t.Helper()
	want, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{
		ID: int(binary.BigEndian.Uint16(message[4:])), Seq: int(binary.BigEndian.Uint16(message[6:])), Data: message[8:],
	}}).Marshal(pseudoHeader)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(want, message) {
		t.Errorf("ICMP message:\ngot  % x\nwant % x", message[:8], want[:8])
	}
}

func TestMulticastAddresses(t *testing.T) {
	for group, want := range map[string]string{
		"239.255.0.1": "01:00:5e:7f:00:01", "ff02::1": "33:33:00:00:00:01",
		solicited(netip.MustParseAddr("fe80::1234:5678")).String(): "33:33:ff:34:56:78",
	} {
		if got := multicastMAC(netip.MustParseAddr(group)).String(); got != want {
			t.Errorf("%s is at %s, want %s", group, got, want)
		}
	}
}

// The host's packet socket must let through all that tells of the run, and
// nothing else of the host's traffic.
func TestHostFilter(t *testing.T) {
	m := runMagic()
	outside := station{v4: netip.MustParseAddr("198.18.7.250")}
	v6 := netip.MustParseAddr("2001:db8::").As16()
	copy(v6[8:], m[:])
	outside.v6 = netip.AddrFrom16(v6)
	raw, err := hostFilter(m, outside)
	if err != nil {
		t.Fatal(err)
	}
	program, whole := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(program)
	if err != nil || !whole {
		t.Fatal(err)
	}
	passes := func(frame []byte) bool {
		n, err := vm.Run(frame)
		return err == nil && n > 0
	}
	token, foreign := m.token(5), magic{9}.token(5)
	for name, frame := range sample(token) {
		if !passes(frame) {
			t.Errorf("%s is not seen", name)
		}
		if tunnelled := append(make([]byte, 50), frame...); !passes(tunnelled) {
			t.Errorf("%s in a tunnel is not seen", name)
		}
	}
	for name, frame := range sample(foreign) {
		if passes(frame) {
			t.Errorf("%s of somebody else is seen", name)
		}
	}
	if !passes(arpRequest(sender(), outside.v4, foreign)) || !passes(solicitation(sender(), outside.v6, foreign)) {
		t.Error("the host's question for a neighbour is not seen")
	}
	if seq, _ := m.find(solicitation(sender(), outside.v6, foreign)); seq != 0 {
		t.Errorf("the host's question has the number %d", seq)
	}
	if passes([]byte{1, 2, 3}) || passes(make([]byte, 60)) {
		t.Error("a frame without anything is seen")
	}
}

func TestDescribeAnswers(t *testing.T) {
	reply := arpRequest(sender(), netip.MustParseAddr("10.1.2.3"), runMagic().token(1))
	reply[etherLength+7] = 2
	pong := echo(sender(), mac{}, netip.MustParseAddr("10.1.2.3"), 0, runMagic().token(1))
	pong[etherLength+ipv4Length] = 0
	advertisement := solicitation(sender(), netip.MustParseAddr("fe80::2"), runMagic().token(1))
	advertisement[etherLength+ipv6Length] = 136
	for _, tt := range []struct {
		frame []byte
		want  kind
	}{
		{reply, kind{"ARP reply for 198.18.0.1", "arp"}},
		{pong, kind{"ICMP echo reply from 198.18.0.1", "ipv4"}},
		{advertisement, kind{"neighbour advertisement from fe80::1", "ipv6"}},
		{tagged(reply, 7), kind{"ARP reply for 198.18.0.1 with VLAN tag 7", "arp"}},
		{make([]byte, 60), kind{text: "a frame of type 0x0000"}},
		{make([]byte, 3), kind{text: "a short frame"}},
	} {
		if got := describe(tt.frame); got != tt.want {
			t.Errorf("got %+v, want %+v", got, tt.want)
		}
	}
}

// Whatever VMs send, it is described.
func FuzzDescribe(f *testing.F) {
	for _, frame := range sample(runMagic().token(1)) {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if describe(frame).text == "" {
			t.Errorf("% x has no description", frame)
		}
	})
}

// TestAnyFrame: whatever the addresses and the length are, others read the frame, and
// its number is found, whatever is put around it.
func TestAnyFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := func(n int, what string) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, what) }
		m, seq := magic(bytes(8, "magic")), rapid.Uint32().Draw(t, "number")
		src := station{mac: mac(bytes(6, "from")), v4: netip.AddrFrom4([4]byte(bytes(4, "v4"))), v6: netip.AddrFrom16([16]byte(bytes(16, "v6")))}
		v4, v6 := netip.AddrFrom4([4]byte(bytes(4, "to v4"))), netip.AddrFrom16([16]byte(bytes(16, "to v6")))
		if v6.Is4In6() || src.v6.Is4In6() {
			t.Skip("not an IPv6 address")
		}
		size, to := rapid.IntRange(0, 9000).Draw(t, "size"), mac(bytes(6, "to"))
		overIPv4 := func(frame []byte) []byte {
			if sum := checksum(frame[etherLength : etherLength+ipv4Length]); sum != 0 {
				t.Errorf("the IPv4 header sums up to %x", sum)
			}
			return frame[etherLength+ipv4Length:]
		}
		ping, ping6 := echo(src, to, v4, size, m.token(seq)), echo(src, to, v6, size, m.token(seq))
		udp, udp6 := datagram(src, to, v4, 7, m.token(seq)), datagram(src, to, v6, 7, m.token(seq))
		for name, sum := range map[string]uint16{
			"ICMP":   checksum(overIPv4(ping)),
			"ICMPv6": checksum(pseudo(src.v6, v6, protoICMPv6, len(ping6)-etherLength-ipv6Length), ping6[etherLength+ipv6Length:]),
			"UDP":    checksum(pseudo(src.v4, v4, protoUDP, len(udp)-etherLength-ipv4Length), overIPv4(udp)),
			"UDPv6":  checksum(pseudo(src.v6, v6, protoUDP, len(udp6)-etherLength-ipv6Length), udp6[etherLength+ipv6Length:]),
		} {
			if sum != 0 {
				t.Errorf("%s sums up to %x", name, sum)
			}
		}
		before := bytes(rapid.IntRange(0, 60).Draw(t, "around"), "before")
		for _, frame := range [][]byte{
			ping, ping6, udp, udp6, arpRequest(src, v4, m.token(seq)), solicitation(src, v6, m.token(seq)), listenerQuery(src, m.token(seq)),
		} {
			if got, found := m.find(slices.Concat(before, tagged(frame, 7))); !found || got != seq {
				t.Errorf("number %d, %t in % x", got, found, frame)
			}
			if source(frame) != src.mac || len(frame) < minFrame {
				t.Errorf("from %s, %d bytes", source(frame), len(frame))
			}
		}
	})
}
