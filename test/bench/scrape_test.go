package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
)

const (
	portsPerNetwork = 4
	// asPrometheus is what Prometheus accepts.
	asPrometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
	// samplesPerRound of every way, which take turns.
	samplesPerRound = 20
	// cpuBatch is how long a program is asked without a pause to find out what
	// one answer costs it.
	cpuBatch = 2 * time.Second
	// steady is how long a program is watched without being asked. Open vSwitch
	// publishes its counters every five seconds.
	steady = 30 * time.Second
	// sendEvery is shorter than that, so that every counter changes every time.
	sendEvery = 2 * time.Second

	scrapeGoal  = 0.1  // of the time of the raw select
	p99Goal     = 50.0 // ms
	steadyGoal  = 1.0  // percent of a core
	goalsTested = 500  // networks that the goals are meant for
)

// BenchmarkScrape compares a scrape of isonetd with a raw select of the same
// data and with node_exporter's netdev collector, while all counters change.
func BenchmarkScrape(b *testing.B) {
	var all []sizeResult
	for _, networks := range []int{10, 100, 500} {
		b.Run(strconv.Itoa(networks), func(b *testing.B) { all = append(all, benchScrape(b, networks)) })
	}
	if len(all) == 0 { // another benchmark was asked for
		return
	}
	printScrapes(all)
}

// sizeResult is what one number of networks gave.
type sizeResult struct {
	networks int
	askers   []*asker
}

// asker is one way to get the counters.
type asker struct {
	name  string
	pid   int // 0: not watched
	ask   func() int
	took  []float64 // ms
	bytes int
	// cpu is ms for one answer, idle percent of a core without any, and rss MiB.
	cpu, idle, rss float64
}

func benchScrape(b *testing.B, networks int) sizeResult {
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	d := newISOnetd(b, o, networks)
	d.flags = []string{"--metrics-listen", "127.0.0.1:9475"}
	d.start()
	d.attachAll()
	vms := o.plug(d.names)
	vms.start()

	node := o.nodeExporter()
	client := o.httpClient()
	raw := o.rawClient()
	aggregated := &asker{name: "isonetd", pid: d.cmd.Process.Pid, ask: func() int { return scrape(b, client, "127.0.0.1:9475") }}
	askers := []*asker{
		{name: "raw select", ask: raw},
		aggregated,
		{name: "node_exporter netdev", pid: node.Process.Pid, ask: func() int { return scrape(b, client, "127.0.0.1:9100") }},
	}
	ovstest.Eventually(b, "every network has its series", func() error {
		text := fetch(b, client, "127.0.0.1:9475")
		if n := strings.Count(text, "\nisonet_network_transmit_bytes_total{"); n != networks {
			return fmt.Errorf("%d networks have series", n)
		}
		if strings.Contains(text, `_transmit_bytes_total{network="net0"} 0.0`+"\n") {
			return errors.New("no traffic yet")
		}
		return nil
	})
	for b.Loop() {
		takeTurns(askers, samplesPerRound)
	}
	b.ReportMetric(0, "ns/op") // of all ways together it says nothing
	o.watch(askers, vms)

	client.CloseIdleConnections()
	d.stop()
	d.flags = append(d.flags, "--metrics-ports")
	d.start()
	perPort := &asker{name: "isonetd --metrics-ports", pid: d.cmd.Process.Pid, ask: aggregated.ask}
	ovstest.Eventually(b, "every port has its series", func() error {
		text := fetch(b, client, "127.0.0.1:9475")
		if n := strings.Count(text, "\nisonet_port_transmit_bytes_total{"); n != networks*portsPerNetwork {
			return fmt.Errorf("%d ports have series", n)
		}
		return nil
	})
	takeTurns([]*asker{perPort}, 3*samplesPerRound)
	o.watch([]*asker{perPort}, vms)
	return sizeResult{networks, append(askers, perPort)}
}

// takeTurns asks everybody so many times.
func takeTurns(askers []*asker, times int) {
	for range times {
		for _, a := range askers {
			start := time.Now()
			a.bytes = a.ask()
			a.took = append(a.took, milliseconds(time.Since(start)))
		}
	}
}

// watch measures what the programs cost, first without being asked. It fails
// unless all counters change meanwhile.
func (o *openvswitch) watch(askers []*asker, vms *vms) {
	o.Helper()
	before := o.bytesByPort(vms.names)
	for _, a := range askers {
		a.idle = -o.cpu(a.pid)
	}
	start := time.Now()
	time.Sleep(steady) // it is the time that is measured
	for _, a := range askers {
		a.idle = (a.idle + o.cpu(a.pid)) / milliseconds(time.Since(start)) * 100
	}
	for name, now := range o.bytesByPort(vms.names) {
		if now[0] <= before[name][0] || now[1] <= before[name][1] {
			o.Fatalf("the counters of %s went from %v to %v: not all counters changed", name, before[name], now)
		}
	}
	for _, a := range askers {
		if a.pid == 0 {
			continue
		}
		cpu, start, count := o.cpu(a.pid), time.Now(), 0
		for ; time.Since(start) < cpuBatch; count++ {
			a.ask()
		}
		idle := a.idle / 100 * milliseconds(time.Since(start))
		a.cpu = max(o.cpu(a.pid)-cpu-idle, 0) / float64(count)
		a.rss = residentMemory(o.B, a.pid)
	}
}

// cpu returns the CPU time that a process has used, in ms
// (proc_pid_stat(5), in ticks of 10 ms).
func (o *openvswitch) cpu(pid int) float64 {
	o.Helper()
	if pid == 0 {
		return 0
	}
	_, after, _ := strings.Cut(readFile(o.B, fmt.Sprintf("/proc/%d/stat", pid)), ") ")
	fields := strings.Fields(after)
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err, err2); err != nil {
		o.Fatal(err)
	}
	return float64(user+system) * 10
}

// bytesByPort reads rx_bytes and tx_bytes of ports from the database.
func (o *openvswitch) bytesByPort(names []string) map[string][2]float64 {
	o.Helper()
	rows := o.rows("Interface", "name,statistics")
	bytes := map[string][2]float64{}
	for _, name := range names {
		var both [2]float64
		for _, pair := range rows[name]["statistics"].([]any)[1].([]any) {
			switch pair := pair.([]any); pair[0] {
			case "rx_bytes":
				both[0] = pair[1].(float64)
			case "tx_bytes":
				both[1] = pair[1].(float64)
			}
		}
		bytes[name] = both
	}
	return bytes
}

// httpClient returns a client that dials inside the namespace.
func (o *openvswitch) httpClient() *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		inside := <-ovstest.GoInside(o.namespace, func() error {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, inside
	}}
	o.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// scrape asks as Prometheus does and returns the length of the answer.
func scrape(b *testing.B, client *http.Client, address string) int {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", asPrometheus)
	req.Header.Set("Accept-Encoding", "gzip") // set here, the client leaves the answer as it is
	return len(answer(b, client, req))
}

// fetch scrapes without compression.
func fetch(b *testing.B, client *http.Client, address string) string {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", asPrometheus)
	return string(answer(b, client, req))
}

func answer(b *testing.B, client *http.Client, req *http.Request) []byte {
	b.Helper()
	res, err := client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		b.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s", req.URL, res.Status)
	}
	return body
}

// nodeExporter starts node_exporter with nothing but its netdev collector.
func (o *openvswitch) nodeExporter() *exec.Cmd {
	o.Helper()
	cmd := exec.CommandContext(context.Background(), "ip", "netns", "exec", o.namespace, "prometheus-node-exporter",
		"--collector.disable-defaults", "--collector.netdev", "--web.listen-address=127.0.0.1:9100")
	if err := cmd.Start(); err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it says that it was told to end
	})
	client := o.httpClient()
	ovstest.Eventually(o.B, "node_exporter answers", func() error {
		res, err := client.Get("http://127.0.0.1:9100/") //nolint:noctx // it either answers or refuses
		if err != nil {
			return err
		}
		return res.Body.Close()
	})
	return cmd
}

// selects asks for what a scrape is made from: all counters, what belongs to
// which bridge, and the state of the links.
const selects = `{"id":0,"method":"transact","params":["Open_vSwitch",` +
	`{"op":"select","table":"Interface","where":[],"columns":["_uuid","name","statistics","mtu","link_state"]},` +
	`{"op":"select","table":"Port","where":[],"columns":["_uuid","name","interfaces"]},` +
	`{"op":"select","table":"Bridge","where":[],"columns":["_uuid","name","ports","external_ids"]}]}`

// rawClient returns a function that has the database select all of it, over a
// connection that is open already, and returns the length of the answer. The
// answer is received and nothing is made of it.
func (o *openvswitch) rawClient() func() int {
	o.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(o.Endpoint(), "unix:"))
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { _ = conn.Close() })
	decoder := json.NewDecoder(conn)
	return func() int {
		if _, err := io.WriteString(conn, selects); err != nil {
			o.Fatal(err)
		}
		for {
			var message json.RawMessage
			if err := decoder.Decode(&message); err != nil {
				o.Fatal(err)
			}
			if !strings.Contains(string(message[:min(len(message), 100)]), `"echo"`) {
				return len(message)
			}
			if _, err := io.WriteString(conn, `{"id":"echo","result":[],"error":null}`); err != nil {
				o.Fatal(err)
			}
		}
	}
}

// vms are the tap devices of imagined virtual machines, four on every network.
type vms struct {
	*testing.B
	names []string
	taps  []netlink.Tuntap
}

// plug makes the taps and plugs them in.
func (o *openvswitch) plug(networks []string) *vms {
	o.Helper()
	v := &vms{B: o.B}
	ovstest.Inside(o.B, o.namespace, func() error {
		for i := range len(networks) * portsPerNetwork {
			name := fmt.Sprintf("tap%d", i)
			tap := netlink.Tuntap{
				LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TAP,
				Flags: netlink.TUNTAP_NO_PI, NonPersist: true, Queues: 1,
			}
			if err := netlink.LinkAdd(&tap); err != nil {
				return fmt.Errorf("make %s: %w", name, err)
			}
			if err := netlink.LinkSetUp(&tap); err != nil {
				return fmt.Errorf("set %s up: %w", name, err)
			}
			v.names, v.taps = append(v.names, name), append(v.taps, tap)
		}
		return nil
	})
	o.Cleanup(func() {
		for _, tap := range v.taps {
			_ = tap.Fds[0].Close() // with it the device goes
		}
	})
	for chunk := range slices.Chunk(v.names, 400) {
		args := []string{"--no-wait"}
		for _, name := range chunk {
			i := slices.Index(v.names, name)
			args = append(args, "--", "add-port", networks[i/portsPerNetwork], name)
		}
		must(o.B, o.VsctlCommand(args...))
	}
	o.Vsctl("set", "Open_vSwitch", ".", "external_ids:bench=plugged") // waits for vswitchd
	return v
}

// start lets every VM send a broadcast every sendEvery until the end of the
// benchmark: so every port sends and receives.
func (v *vms) start() {
	fds := make([]int, len(v.taps))
	for i := range v.taps {
		fds[i] = int(v.taps[i].Fds[0].Fd())
		if err := unix.SetNonblock(fds[i], true); err != nil {
			v.Fatal(err)
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(sendEvery)
		defer ticker.Stop()
		for {
			for i, fd := range fds {
				_, _ = unix.Write(fd, broadcast(i)) // what is lost is sent again
			}
			for _, fd := range fds {
				drain(fd)
			}
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	}()
	v.Cleanup(func() { close(stop); <-stopped })
}

// drain reads what the VM got, before its queue is full.
func drain(fd int) {
	var frame [2048]byte
	for {
		if _, err := unix.Read(fd, frame[:]); err != nil {
			return
		}
	}
}

// broadcast is an Ethernet frame of a VM, of the type for local experiments.
func broadcast(vm int) []byte {
	frame := make([]byte, 100)
	copy(frame, []byte{255, 255, 255, 255, 255, 255, 0x02, 0, 0, 0, byte(vm >> 8), byte(vm), 0x88, 0xb5})
	return frame
}

// percentile returns the value that so many percent of values do not exceed.
func percentile(values []float64, percent int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*percent+99)/100-1]
}

func printScrapes(results []sizeResult) {
	fmt.Printf("\n\n%d ports on every network, all sending and receiving\n\n", portsPerNetwork)
	fmt.Println("| networks | way | p50 ms | p99 ms | / raw select | KiB | CPU ms for one | CPU % of a core without | RSS MiB |")
	fmt.Println("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, r := range results {
		raw := median(r.askers[0].took)
		for _, a := range r.askers {
			fmt.Printf("| %d | %s | %.1f | %.1f | %.3f | %d |", r.networks, a.name, median(a.took), percentile(a.took, 99), median(a.took)/raw, a.bytes>>10)
			if a.pid == 0 {
				fmt.Println(" | | |")
				continue
			}
			fmt.Printf(" %.1f | %.2f | %.1f |\n", a.cpu, a.idle, a.rss)
		}
	}
	fmt.Println()
	for i, r := range results {
		own := r.askers[1]
		if i > 0 {
			before := results[i-1]
			fmt.Printf("from %d to %d networks the time of a scrape grows by the factor %.1f (goal: at most %.1f)\n", before.networks, r.networks,
				median(own.took)/median(before.askers[1].took), float64(r.networks)/float64(before.networks))
		}
		if r.networks == goalsTested {
			fmt.Printf("%d networks: scrape / raw select %.3f (goal: at most %.1f), p99 %.1f ms (goal: under %.0f), steady %.2f %% of a core (goal: under %.0f)\n",
				r.networks, median(own.took)/median(r.askers[0].took), scrapeGoal, percentile(own.took, 99), p99Goal, own.idle, steadyGoal)
		}
	}
	fmt.Println()
}
