package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	red1  = vm{name: "red1", bridge: "red", ip: "10.9.0.1"}
	red2  = vm{name: "red2", bridge: "red", ip: "10.9.0.2"}
	blue1 = vm{name: "blue1", bridge: "blue", ip: "10.9.0.3"}
	blue2 = vm{name: "blue2", bridge: "blue", ip: "10.9.0.4"}
)

// hostIP is an address of the host in the VMs' subnet. Linux answers for it on
// every device where somebody asks.
const hostIP = "10.9.0.254"

func TestOnlyTheSameNetworkIsInReach(t *testing.T) {
	h := newHost(t)
	h.network("red", "blue")
	h.plug(red1, red2, blue1, blue2)

	h.reaches(red1, red2.ip)
	h.reaches(blue2, blue1.ip)
	h.isolated(red1, blue1.ip)
	h.isolated(blue2, red2.ip)

	h.transfers(red1, red2)
}

// transfers asserts that a file goes over TCP from one VM to another unharmed.
func (h *host) transfers(from, to vm) {
	h.t.Helper()
	h.run(fmt.Sprintf(`
		mkdir -p /srv/%[1]s && cd /srv/%[1]s && head -c 20000000 /dev/urandom >file
		ip netns exec %[1]s python3 -m http.server --bind %[2]s 8000 >/dev/null 2>&1 &
		trap "kill $!" EXIT
		ip netns exec %[3]s curl -sS --retry 100 --retry-delay 0 --retry-connrefused --max-time 30 \
			-o /tmp/file http://%[2]s:8000/file
		cmp file /tmp/file`, from.name, from.ip, to.name))
}

// What floods a network must flood that network only: broadcasts, and frames
// to an address that nobody there has.
func TestFloodsStayInTheirNetwork(t *testing.T) {
	const frames = 200
	h := newHost(t)
	h.network("red", "blue")
	h.plug(red1, red2, blue1, blue2)

	mac := strings.TrimSpace(h.run(`ip netns exec blue1 cat /sys/class/net/eth0/address`))
	h.run(`ip -n red1 neigh add ` + blue1.ip + ` lladdr ` + mac + ` dev eth0`)
	red, blue := h.received(red2), h.received(blue1)+h.received(blue2)
	// ping exits with 1 because nobody answers.
	for _, target := range []string{"-b 10.9.0.255", blue1.ip} {
		if code, out := h.exec(t.Context(), fmt.Sprintf(`ip netns exec red1 ping -n -q -i 0.002 -c %d -W 1 %s`, frames, target)); code != 1 {
			t.Fatalf("ping %s: exit code %d: %s", target, code, out)
		}
	}

	if got := h.received(red2) - red; got < 2*frames {
		t.Errorf("red2 received %d frames, want all %d", got, 2*frames)
	}
	if got := h.received(blue1) + h.received(blue2) - blue; got != 0 {
		t.Errorf("the VMs of the other network received %d frames", got)
	}
}

// received returns how many frames a VM's device has received.
func (h *host) received(v vm) int {
	h.t.Helper()
	return h.statistic(v, "rx_packets")
}

// statistic returns a counter of a VM's device.
func (h *host) statistic(v vm, name string) int {
	h.t.Helper()
	out := h.run(`ip netns exec ` + v.name + ` cat /sys/class/net/eth0/statistics/` + name)
	n, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestHostIsOutOfReach(t *testing.T) {
	h := newHost(t)
	h.network("red")
	h.plug(red1, red2)
	h.run(`ip addr add ` + hostIP + `/32 dev lo`)

	guards := h.run(`nft list ruleset`)
	if tables := regexp.MustCompile(`(?m)^table .*\{$`).FindAllString(guards, -1); len(tables) != 1 || tables[0] != "table netdev e2e_guard {" {
		t.Fatalf("the fixture's guard must be the only one:\n%s", guards)
	}
	h.isolated(red1, hostIP)

	// Somebody sets the bridge's own device up and gives it an address.
	h.run(`ip link set red up && ip addr add 10.9.0.253/24 dev red`)
	h.isolated(red1, "10.9.0.253")
	h.isolated(red1, hostIP)
	if code, out := h.exec(t.Context(), `ping -n -q -c 3 -i 0.2 -w 2 -I red `+red1.ip); code != 1 {
		t.Errorf("the host reaches a VM through the bridge's device: exit code %d: %s", code, out)
	}
	h.reaches(red1, red2.ip)

	// The same probe notices a host that can be reached: without the guard the
	// host's stack answers on the VM's own device.
	h.run(`nft delete table netdev e2e_guard && ip addr del 10.9.0.253/24 dev red`)
	h.run(`ip route add ` + red1.ip + `/32 dev ` + red1.port())
	h.reaches(red1, hostIP)
}

func TestJumboFrames(t *testing.T) {
	h := newHost(t)
	h.createNetwork("red", "<mtu>9000</mtu>")
	h.setup(http.StatusOK, attach("red"))
	jumbo1, jumbo2 := red1, red2
	jumbo1.mtu, jumbo2.mtu = 9000, 9000
	h.plug(jumbo1, jumbo2)
	// isonet asks for the network's MTU on what is plugged in.
	for _, v := range []vm{jumbo1, jumbo2} {
		h.vsctl("wait-until", "interface", v.port(), "mtu=9000")
	}

	const whole = 9000 - 20 - 8 // without the IP and the ICMP header
	for size, want := range map[int]int{whole: 0, whole + 1: 1} {
		code, out := h.exec(t.Context(), fmt.Sprintf(`ip netns exec red1 ping -n -q -c 3 -i 0.2 -w 3 -M do -s %d %s`, size, red2.ip))
		if code != want {
			t.Errorf("ping with %d bytes: exit code %d, want %d:\n%s", size, code, want, out)
		}
	}
}

// The counters must say what the VMs' own devices say.
func TestTrafficIsCounted(t *testing.T) {
	h := newHost(t)
	h.network("red", "blue")
	h.plug(red1, red2, blue1)
	h.transfers(red1, red2)

	h.eventually("the metrics agree with the VMs", func() error {
		page, err := h.scrape()
		if err != nil {
			return err
		}
		for _, c := range []struct {
			metric, network, statistic string
			vms                        []vm
		}{
			{"isonet_network_receive_packets_total", "red", "rx_packets", []vm{red1, red2}},
			{"isonet_network_transmit_bytes_total", "red", "tx_bytes", []vm{red1, red2}},
			{"isonet_network_transmit_packets_total", "blue", "tx_packets", []vm{blue1}},
		} {
			want := 0
			for _, v := range c.vms {
				want += h.statistic(v, c.statistic)
			}
			if got := sampleOf(page, c.metric, c.network); got != float64(want) {
				return fmt.Errorf("%s of %s is %v, the VMs' devices say %d", c.metric, c.network, got, want)
			}
		}
		return nil
	})
}

// scrape returns the page of metrics.
func (h *host) scrape() (string, error) {
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.metrics, nil)
	if err != nil {
		return "", err
	}
	status, page, err := h.send(req)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", status, page)
	}
	return page, err
}

// sampleOf returns the value of a network's metric, or -1 without one.
func sampleOf(page, metric, network string) float64 {
	m := regexp.MustCompile(`(?m)^` + metric + `\{network="` + network + `"\} (\S+)$`).FindStringSubmatch(page)
	if m == nil {
		return -1
	}
	value, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return -1
	}
	return value
}
