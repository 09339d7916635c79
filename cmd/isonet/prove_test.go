package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/prove"
	isonetdaemon "github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/wire"
)

// program is the environment variable that makes the test's own executable one
// of the programs: they have to run in a network namespace.
const program = "ISONET_TEST_PROGRAM"

// asProgram does not return if the test was started as one of the programs.
func asProgram() {
	switch os.Getenv(program) {
	case "isonet":
		main()
	case "configured":
		if err := configured(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err) // there is nowhere else to tell
			os.Exit(1)
		}
		os.Exit(0)
	case "isonetd":
		if err := isonetd(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err) // there is nowhere else to tell
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func isonetd(endpoint, state, socket, hostGuard string) error {
	options := isonetdaemon.DefaultOptions()
	options.OVSDB, options.StateDir, options.Socket = endpoint, state, socket
	options.MetricsListen, options.DatapathType, options.HostGuard = "", ovstest.Datapath(), hostGuard
	cfg, err := options.Parse()
	if err != nil {
		return err
	}
	d, err := isonetdaemon.New(cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return d.Run(ctx)
}

// proveHost is a network namespace that plays a host which answers for its
// addresses on every device and forwards.
type proveHost struct {
	*testing.T
	ns     string
	ovs    *ovstest.OVS
	socket string // of isonetd, or of what stands in for it
	daemon *exec.Cmd
	log    bytes.Buffer
}

// The host's addresses, on its loopback device and on its uplink.
const (
	hostAddress   = "10.77.0.254"
	uplinkAddress = "192.0.2.1"
)

// newProveHost makes a host with the networks red and blue. Its isonetd does
// not guard it, so that a test can choose.
func newProveHost(t *testing.T) *proveHost {
	t.Helper()
	return newProveHostWith(t, "off")
}

func newProveHostWith(t *testing.T, hostGuard string) *proveHost {
	t.Helper()
	return newProveHostOf(t, hostGuard, ovstest.WithOffloads())
}

func newProveHostOf(t *testing.T, hostGuard string, options ...ovstest.Option) *proveHost {
	t.Helper()
	outside := ovstest.Namespace(t)
	h := &proveHost{T: t, ns: ovstest.Namespace(t)}
	h.shell(`
		ip addr add ` + hostAddress + `/32 dev lo
		ip link add up0 type veth peer name eth0 netns ` + outside + `
		ip -n ` + outside + ` link set eth0 up
		ip addr add ` + uplinkAddress + `/24 dev up0
		sysctl -qw net.ipv6.conf.up0.accept_dad=0
		ip -6 addr add 2001:db8:2::1/64 dev up0 nodad
		ip link set up0 up
		ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev up0
		ip -6 neigh add 2001:db8:2::2 lladdr 02:00:00:00:00:02 dev up0
		ip route add default via 192.0.2.2 && ip -6 route add default via 2001:db8:2::2
		sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0`)
	h.ovs = ovstest.Start(t, append(options, ovstest.InNamespace(h.ns))...)
	h.socket = filepath.Join(h.ovs.Dir(), "isonet", "d.sock")
	t.Cleanup(h.stopDaemon)
	h.startDaemon(hostGuard)
	h.isonet("network create red --mtu 2000 --strict=false", "network create blue --strict=false", "attach red blue")
	return h
}

// startDaemon starts isonetd on what an earlier one has left.
func (h *proveHost) startDaemon(hostGuard string) {
	h.Helper()
	h.daemon = h.command("isonetd", h.ovs.Endpoint(), filepath.Join(h.ovs.Dir(), "state"), h.socket, hostGuard)
	h.daemon.Stderr = &h.log
	if err := h.daemon.Start(); err != nil {
		h.Fatal(err)
	}
	ovstest.Eventually(h, "isonetd knows its host", func() error {
		s, err := h.status()
		if err == nil && !s.Connected {
			err = errors.New("not connected")
		}
		return err
	})
}

// isonet runs command lines that must succeed.
func (h *proveHost) isonet(lines ...string) {
	h.Helper()
	for _, line := range lines {
		if o := (command{args: words(line), socket: h.socket}).run(h.Context()); o.code != exitOK {
			h.Fatalf("isonet %s: %+v", line, o)
		}
	}
}

// guard keeps the host's stack off the probes' devices, as a host with the
// userspace datapath has to.
func (h *proveHost) guard() {
	h.Helper()
	h.shell(`
		sysctl -qw net.ipv6.conf.default.disable_ipv6=1
		nft 'table inet guard { chain in { type filter hook prerouting priority raw; iifname { "isoprove*", "vm0" } drop; }; }'
		nft 'table arp guard { chain in { type filter hook input priority 0; iifname { "isoprove*", "vm0" } drop; }; }'`)
}

// shell runs a script in the host's namespace.
func (h *proveHost) shell(script string) {
	h.Helper()
	cmd := exec.CommandContext(h.Context(), "ip", "netns", "exec", h.ns, "sh", "-euc", script)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// command is one of the programs in the host's namespace.
func (h *proveHost) command(name string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		h.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), "ip", append([]string{"netns", "exec", h.ns, self}, args...)...)
	cmd.Env = append(os.Environ(), program+"="+name, "OVS_RUNDIR="+h.ovs.Dir())
	return cmd
}

func (h *proveHost) status() (wire.Status, error) {
	c, err := client.New(client.Options{Socket: h.socket})
	if err != nil {
		return wire.Status{}, err
	}
	defer c.Close()
	return c.Status(h.Context())
}

func (h *proveHost) stopDaemon() {
	if h.daemon == nil {
		return
	}
	if err := h.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		h.Errorf("stop isonetd: %v", err)
	}
	if err := h.daemon.Wait(); err != nil {
		h.Errorf("isonetd: %v\n%s", err, &h.log)
	}
	h.daemon = nil
}

// freeze stops isonetd, so that it repairs nothing. What stands in for it
// answers with the last status, and with the ports of now if it sees them.
func (h *proveHost) freeze(sees bool) {
	h.Helper()
	frozen, err := h.status()
	if err != nil {
		h.Fatal(err)
	}
	h.stopDaemon()
	h.socket = serve(h.T, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := frozen
		now.Networks = slices.Clone(frozen.Networks)
		for i, n := range now.Networks {
			now.Networks[i].Ports = []wire.Port{}
			if !sees {
				continue
			}
			out, err := h.ovs.VsctlCommand("list-ports", n.Bridge).Output()
			if err != nil || !strings.HasSuffix(r.URL.Path, "/isonet/status") {
				http.Error(w, fmt.Sprint(err), http.StatusInternalServerError)
				return
			}
			for _, name := range strings.Fields(string(out)) {
				now.Networks[i].Ports = append(now.Networks[i].Ports, wire.Port{Name: name})
			}
		}
		_ = json.NewEncoder(w).Encode(now) // the client may be gone
	}))
}

// start starts 'isonet prove red'.
func (h *proveHost) start(stdout, stderr io.Writer, args ...string) *exec.Cmd {
	h.Helper()
	cmd := h.command("isonet", append([]string{"prove", "red", "--ovsdb", h.ovs.Endpoint(), "--socket", h.socket}, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	return cmd
}

// prove runs 'isonet prove red' and returns what it reports.
func (h *proveHost) prove(args ...string) (int, prove.Report) {
	h.Helper()
	var stdout, stderr bytes.Buffer
	cmd := h.start(&stdout, &stderr, append([]string{"-o", "json"}, args...)...)
	_ = cmd.Wait() // the exit code tells
	var report prove.Report
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		h.Fatalf("exit code %d, %v: %s%s", cmd.ProcessState.ExitCode(), err, &stdout, &stderr)
	}
	h.Log(stdout.String())
	h.noProbes()
	return cmd.ProcessState.ExitCode(), report
}

// probes returns the probes' ports.
func (h *proveHost) probes() string {
	h.Helper()
	return h.ovs.Vsctl("--no-wait", "--bare", "--columns=name", "find", "Port", "external_ids:isonet-probe=true")
}

// noProbes checks that nothing is left of a run.
func (h *proveHost) noProbes() {
	h.Helper()
	if left := h.probes(); left != "" {
		h.Errorf("ports are left: %s", left)
	}
	h.shell(`! ip -br link | grep isoprove`)
}

// leaks returns the checks that found a leak, each with what was seen.
func leaks(r prove.Report) map[string]string {
	found := map[string]string{}
	for _, c := range r.Checks {
		if c.Result == prove.Leak {
			found[c.Name] = c.Seen
		}
	}
	return found
}

func (h *proveHost) wantProven(code int, r prove.Report) {
	h.Helper()
	if code != exitOK || r.Result != prove.OK {
		h.Errorf("exit code %d, result %s, leaks %q", code, r.Result, leaks(r))
	}
	for _, c := range r.Checks {
		if c.Result != prove.OK {
			h.Errorf("%+v", c)
		}
	}
}

func (h *proveHost) wantLeak(code int, r prove.Report, check, seen string) {
	h.Helper()
	if code != exitLeak || r.Result != prove.Leak {
		h.Errorf("exit code %d, result %s", code, r.Result)
	}
	if got := leaks(r)[check]; !strings.Contains(got, seen) {
		h.Errorf("the check %q saw %q, want %q in it; all leaks: %q", check, got, seen, leaks(r))
	}
}

// A VM of the network hears the probes and may answer them: it is no leak.
func TestProveAGuardedHost(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	vm := ovstest.Namespace(t)
	h.shell(`
		ip link add vm0 type veth peer name eth0 netns ` + vm + `
		ip link set vm0 up mtu 2000
		ip netns exec ` + vm + ` sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0
		ip -n ` + vm + ` -6 addr add fe80::99/64 dev eth0 nodad
		ip -n ` + vm + ` link set eth0 up`)
	h.ovs.Vsctl("add-port", "red", "vm0")
	code, r := h.prove()
	h.wantProven(code, r)
	if !slices.Equal(r.Others, []string{"blue"}) {
		t.Errorf("other networks: %q", r.Others)
	}
}

// isonetd's own guard is all that a host needs, and the status says so too.
func TestProveWithTheHostGuard(t *testing.T) {
	h := newProveHostWith(t, "auto")
	vm := h.ovs.NewVM("vm1", "10.0.0.1/24")
	h.shell("sysctl -qw net.ipv6.conf.vm1.disable_ipv6=0")
	h.ovs.Plug(vm, "red")
	for range 3 {
		code, r := h.prove()
		h.wantProven(code, r)
	}
	s, err := h.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Networks {
		if guard := n.Isolation.HostGuard; guard == nil || guard.State != "guarded" {
			t.Errorf("%s: the host guard is %+v", n.Name, guard)
		}
	}
}

// What VMs leave to their devices arrives however the network forwards.
func TestProveTalksByKernels(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	for _, kind := range []string{
		"--strict", "--mac-lock", "--broadcast-limit 1000", "--port-isolation", "--strict=false --mac-lock=false --broadcast-limit 0", "--mtu 1200", "--mtu 9000",
	} {
		h.isonet("network update red " + kind)
		code, r := h.prove()
		h.wantProven(code, r)
		if talks := checksNamed(r, "kernels talk"); len(talks) != 4 && !strings.Contains(kind, "1200") { // IPv6 needs 1280 bytes
			t.Errorf("%s: the kernels' talks are %+v", kind, talks)
		}
	}
}

// A healthy ping says nothing of TCP: Open vSwitch delivers checksums as it gets
// them unless it was started to fill them in.
func TestProveFindsOpenChecksums(t *testing.T) {
	h := newProveHostOf(t, "off")
	h.guard()
	for _, strict := range []string{"true", "false"} {
		h.isonet("network update red --strict=" + strict)
		code, r := h.prove()
		if ovstest.Datapath() == ovstest.Kernel { // which hands on what it knows of a checksum
			h.wantProven(code, r)
			continue
		}
		if code != exitImpaired || r.Result != prove.Impaired {
			t.Errorf("exit code %d: %+v", code, r)
		}
		for _, c := range r.Checks {
			impaired := c.Result == prove.Impaired && strings.Contains(c.Seen, "with a wrong checksum") && strings.Contains(c.Remedy, "userspace-tso-enable=true")
			if talk := c.Name == "kernels talk"; talk && !impaired || !talk && c.Result != prove.OK {
				t.Errorf("strict %s: %+v", strict, c)
			}
		}
	}
	// A VM whose own device has no offloads is none the worse.
	code, r := h.prove("--via", "internal")
	h.wantProven(code, r)
	// A leak counts for more.
	h.freeze(true)
	h.ovs.Vsctl("add-port", "red", "to-blue", "--", "set", "Interface", "to-blue", "type=patch", "options:peer=to-red",
		"--", "add-port", "blue", "to-red", "--", "set", "Interface", "to-red", "type=patch", "options:peer=to-blue")
	if code, r := h.prove(); code != exitLeak || r.Result != prove.Leak {
		t.Errorf("with a leak: exit code %d: %+v", code, r)
	}
}

// What vswitchd does about open checksums was decided when it started. The doctor
// knows what it does.
func TestDoctorFindsOpenChecksums(t *testing.T) {
	h := newProveHostOf(t, "auto")
	doctor := func() string {
		return command{args: words("doctor blue"), socket: h.socket}.run(t.Context()).stdout
	}
	says := func(what string, texts ...string) {
		t.Helper()
		ovstest.Eventually(t, what, func() error {
			got := doctor()
			for _, text := range texts {
				if !strings.Contains(got, text) {
					return fmt.Errorf("no %q in %s", text, got)
				}
			}
			return nil
		})
	}
	vms := []*ovstest.VM{h.ovs.NewVM("vm1", "10.0.0.1/24"), h.ovs.NewVM("vm2", "10.0.0.2/24")}
	h.ovs.Plug(vms[0], "blue", "--", "set", "Interface", "vm1", "external_ids:vm-name=web")
	says("one VM has nobody to reach", "nothing is wrong")
	h.ovs.Plug(vms[1], "blue")
	says("the finding", "open_checksums: other_config:userspace-tso-enable is not set, and these can leave checksums open: vm1 (VM web), vm2\n",
		"remedy: Run `ovs-vsctl set Open_vSwitch . other_config:userspace-tso-enable=true` and restart", "nothing breaks the isolation")
	h.ovs.Vsctl("set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")
	says("a restart is missing", "open_checksums: ovs-vswitchd was not restarted since")
	h.ovs.StopVSwitchd()
	h.ovs.StartVSwitchd()
	says("all is well", "nothing is wrong")
}

// A device that refuses the network's MTU is found, and no other one.
func TestDoctorFindsAnotherMTU(t *testing.T) {
	s := wire.Status{Connected: true, Networks: []wire.NetworkStatus{{
		Name: "red", State: "active", MTU: wire.MTU{Wanted: 9000, Actual: 9000}, Isolation: &wire.Isolation{Isolated: true},
		Ports: []wire.Port{{Name: "same", MTU: 9000}, {Name: "unknown"}, {Name: "gone", MTU: 1500, Stale: true}, {Name: "refuses", MTU: 1500}},
	}}}
	var told table
	diagnosis(&told, s)
	got := string(told.bytes())
	if strings.Count(got, "its device has an MTU of") != 1 || !strings.Contains(got, "port refuses: its device has an MTU of 1500 bytes, and the network 9000") ||
		!strings.Contains(got, "isonet network update 'red' --mtu 1500") || strings.Contains(got, "nothing is wrong") {
		t.Error(got)
	}
}

// What a VM sends and the network drops is counted by its port, and told.
func TestWhatMembersAreDeniedIsTold(t *testing.T) {
	h := newProveHostWith(t, "auto")
	h.isonet("network update blue --strict --mac-lock --broadcast-limit 5")
	vms := []*ovstest.VM{h.ovs.NewVM("vm1", "10.0.0.1/24"), h.ovs.NewVM("vm2", "10.0.0.2/24")}
	probes := []*ovstest.Probe{vms[0].Probe(), vms[1].Probe()}
	for i, vm := range vms {
		h.ovs.Plug(vm, "blue", "--", "set", "Interface", vm.Device,
			fmt.Sprintf(`external_ids:attached-mac="%s"`, probes[i].MAC), "external_ids:vm-name=web-"+vm.Device)
	}
	ovstest.Eventually(t, "the VMs reach each other", func() error {
		return vms[0].Command("ping", "-n", "-c", "1", "-W", "1", vms[1].Address).Run()
	})
	denied := func(device string) wire.Denied {
		s, err := h.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range s.Networks {
			for _, p := range n.Ports {
				if p.Name == device && p.Denied != nil {
					return *p.Denied
				}
			}
		}
		return wire.Denied{}
	}
	forged := probes[0].Frame(probes[1].MAC, "forged")
	copy(forged[6:12], []byte{2, 0, 0, 0, 0, 0x99})
	for range 40 {
		probes[0].Send(forged)
	}
	probes[1].Broadcast("loud", 200)
	ovstest.Eventually(t, "what was dropped is counted", func() error {
		one, two := denied("vm1"), denied("vm2")
		if one.WrongMAC == 0 || one.WrongMAC > 40 || two.OverLimit == 0 || two.OverLimit > 200 {
			return fmt.Errorf("vm1 %+v, vm2 %+v", one, two)
		}
		return nil
	})
	if n := probes[1].Count("forged"); n != 0 {
		t.Errorf("%d forged frames arrived", n)
	}
	if two := denied("vm2"); two.WrongMAC != 0 {
		t.Errorf("vm2, which forged nothing: %+v", two)
	}
	doctor := command{args: words("doctor blue"), socket: h.socket}.run(t.Context())
	for _, want := range []string{
		fmt.Sprintf("wrong_mac, port vm1: vm1 (VM web-vm1) sent from other addresses than %s; frames dropped so far: ", probes[0].MAC),
		"over_broadcast_limit, port vm2: vm2 (VM web-vm2) sent more than 5 broadcasts and multicasts in a second",
	} {
		if doctor.code != exitOK || !strings.Contains(doctor.stdout, want) {
			t.Errorf("no %q: %+v", want, doctor)
		}
	}
	s, err := h.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{"wrong_mac", "over_broadcast_limit"} {
		if n := len(slices.DeleteFunc(slices.Clone(s.Events), func(e wire.Event) bool { return e.Reason != reason })); n != 1 {
			t.Errorf("%d events about %s: %+v", n, reason, s.Events)
		}
	}
}

// Guests do not learn of a smaller MTU, and what they send gets lost without a
// word.
func TestASmallerMTUTellsWhichVMs(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	vms := []*ovstest.VM{h.ovs.NewVM("vm1", "10.0.0.1/24"), h.ovs.NewVM("vm2", "10.0.0.2/24")}
	for _, vm := range vms {
		h.ovs.Plug(vm, "blue", "--", "set", "Interface", vm.Device, "external_ids:vm-name=web-"+vm.Device)
	}
	// The largest packet of a guest that was started with 1500 bytes.
	large := func() error {
		return vms[0].Command("ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", "-M", "do", "-s", "1472", vms[1].Address).Run()
	}
	ovstest.Eventually(t, "large packets pass", large)
	dry := command{args: words("setup --dry-run -f -"), stdin: "networks:\n- {name: blue, mtu: 1400}\n", socket: h.socket}.run(t.Context())
	update := command{args: words("network update blue --mtu 1400"), socket: h.socket}.run(t.Context())
	for name, o := range map[string]outcome{"dry run": dry, "update": update} {
		if want := "isonet: warning: The MTU of the network 'blue' is smaller than before, 1400 bytes"; o.code != exitOK ||
			!strings.Contains(o.stderr, want) || !strings.Contains(o.stderr, "vm1 (VM web-vm1), vm2 (VM web-vm2).") {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if large() == nil || !vms[0].Pings(vms[1].Address) {
		t.Error("want large packets to be lost and small ones to pass")
	}
	says := func(what string, want int) {
		t.Helper()
		ovstest.Eventually(t, what, func() error {
			got := command{args: words("doctor blue"), socket: h.socket}.run(t.Context()).stdout
			if n := strings.Count(got, "was plugged in with an MTU of 1500 bytes, and the network has 1400"); n != want {
				return fmt.Errorf("%d VMs are named, want %d: %s", n, want, got)
			}
			return nil
		})
	}
	says("the doctor names both", 2)
	h.stopDaemon()
	h.startDaemon("off")
	says("the next isonetd knows as well", 2)
	h.ovs.Vsctl("del-port", "vm2")
	says("one VM is gone", 1)
	h.ovs.Plug(vms[1], "blue", "--", "set", "Interface", "vm2", "external_ids:vm-name=web-vm2")
	if o := (command{args: words("network update blue --mtu 1500"), socket: h.socket}).run(t.Context()); o.code != exitOK || o.stderr != "" {
		t.Errorf("the way back: %+v", o)
	}
	ovstest.Eventually(t, "large packets pass again", large)
	says("all is well", 0)
}

func checksNamed(r prove.Report, name string) []prove.Check {
	return slices.DeleteFunc(slices.Clone(r.Checks), func(c prove.Check) bool { return c.Name != name })
}

// The host's stack talks on each device of the kernel, and on the userspace
// datapath it gets every frame, too.
func TestProveAnUnguardedHost(t *testing.T) {
	h := newProveHost(t)
	code, r := h.prove()
	h.wantLeak(code, r, "host sends nothing", "MLDv2 report")
	if _, joined := leaks(r)["apart from network 'blue'"]; joined {
		t.Errorf("the networks are apart: %q", leaks(r))
	}
	if ovstest.Datapath() == ovstest.Kernel {
		return
	}
	h.wantLeak(code, r, "host answers no ARP", "ARP reply for "+hostAddress+" from the host's isoprove0")
	h.wantLeak(code, r, "host answers no IPv6", "from the host's isoprove0")
	h.wantLeak(code, r, "host takes no packet", "UDP datagram to "+hostAddress+" at isoprove0")
	h.wantLeak(code, r, "host forwards nothing", "ICMP echo reply from "+hostAddress+" left the host on up0")
	h.wantLeak(code, r, "host forwards nothing", "a UDP datagram from 2001:db8:1::1 left the host on up0")
	h.wantLeak(code, r, "host learns no neighbour", "isoprove0")
	// An internal port that moved away has no end on the host.
	code, r = h.prove("--via", "internal")
	h.wantProven(code, r)
}

func TestProveWithAPatchPort(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	h.freeze(true)
	h.ovs.Vsctl("add-port", "red", "to-blue", "--", "set", "Interface", "to-blue", "type=patch", "options:peer=to-red",
		"--", "add-port", "blue", "to-red", "--", "set", "Interface", "to-red", "type=patch", "options:peer=to-blue")
	code, r := h.prove()
	h.wantLeak(code, r, "apart from network 'blue'", "from network 'red' arrived in network 'blue'")
	if len(leaks(r)) != 1 {
		t.Errorf("want this leak only: %q", leaks(r))
	}
}

// An uplink is a member of the network as a VM is, but it leads on.
func TestProveWithAnUplink(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	h.freeze(true)
	h.shell(`
		ip link add uplink type bridge && ip link set uplink up mtu 2000
		ip link set up0 mtu 2000 && ip link set up0 master uplink`)
	h.ovs.Vsctl("add-port", "red", "uplink")
	code, r := h.prove()
	h.wantLeak(code, r, "host forwards nothing", "left the host on uplink, a device of the kind bridge that is plugged into the network")
	h.ovs.Vsctl("del-port", "uplink")
	code, r = h.prove()
	h.wantProven(code, r)
}

// An internal port that stays on the host is the host's own on the network.
func TestProveWithAnInternalPortOnTheHost(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	h.freeze(true)
	h.ovs.Vsctl("add-port", "red", "in0", "--", "set", "Interface", "in0", "type=internal")
	h.shell(`ip link set in0 up`)
	code, r := h.prove()
	h.wantLeak(code, r, "host answers no ARP", "ARP reply for "+hostAddress+" from the host's in0")
	h.wantLeak(code, r, "host sees nothing elsewhere", "in0, an internal port")
}

func TestProveWithTheLocalPortUp(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	h.freeze(true)
	h.ovs.Vsctl("clear", "Port", "red", "trunks", "vlan_mode")
	// The host would forward to neighbours, of whom there are none.
	h.shell(`
		sysctl -qw net.ipv6.conf.red.disable_ipv6=0 net.ipv6.conf.red.accept_dad=0
		ip addr add 10.88.0.1/24 dev red && ip link set red up
		ip route add 198.18.0.0/15 dev up0 && ip -6 route add 2001:db8::/64 dev up0`)
	code, r := h.prove()
	h.wantLeak(code, r, "host answers no ARP", "ARP reply for 10.88.0.1 from the host's red")
	h.wantLeak(code, r, "host sees nothing elsewhere", "red, the bridge's local port")
	h.wantLeak(code, r, "host forwards nothing", "ARP request for 198.1")
	h.wantLeak(code, r, "host forwards nothing", "neighbour solicitation from")
	// And as isonetd keeps it.
	h.ovs.Vsctl("set", "Port", "red", "vlan_mode=trunk", "trunks=4095")
	code, r = h.prove()
	h.wantProven(code, r)
}

// A network that carries nothing is no proof.
func TestProveABrokenNetwork(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	h.freeze(true)
	h.ovs.Vsctl("set-fail-mode", "red", "secure") // and there are no flows
	code, r := h.prove()
	if code != exitUnproven || r.Result != prove.Failed {
		t.Errorf("exit code %d: %+v", code, r)
	}
}

func TestProveWithoutOpenVSwitch(t *testing.T) {
	h := newProveHost(t)
	for _, tt := range []struct {
		name, database, want string
	}{
		{"no server", "unix:/nonexistent", "ovs-vsctl at unix:/nonexistent: exit status 1"},
		{"another one's", ovstest.Start(t).Endpoint(), "no bridge named red"},
	} {
		var stderr bytes.Buffer
		cmd := h.start(io.Discard, &stderr, "--ovsdb", tt.database)
		_ = cmd.Wait() // the exit code tells
		if got := stderr.String(); cmd.ProcessState.ExitCode() != exitError || !strings.Contains(got, tt.want) ||
			strings.Contains(got, "could not be removed") {
			t.Errorf("%s: exit code %d: %s", tt.name, cmd.ProcessState.ExitCode(), got)
		}
		h.noProbes()
	}
}

// waiting starts a run that has plugged its probes in and waits for an isonetd
// that does not see them.
func (h *proveHost) waiting(stderr io.Writer) *exec.Cmd {
	h.Helper()
	h.freeze(false)
	cmd := h.start(io.Discard, stderr)
	ovstest.Eventually(h, "the probes are plugged in", func() error {
		if n := len(strings.Fields(h.probes())); n != 4 {
			return fmt.Errorf("%d probes", n)
		}
		return nil
	})
	return cmd
}

func TestProveInterrupted(t *testing.T) {
	h := newProveHost(t)
	var stderr bytes.Buffer
	cmd := h.waiting(&stderr)
	// One at a time: the other's probes are no left-overs.
	var second bytes.Buffer
	other := h.start(io.Discard, &second)
	_ = other.Wait() // the exit code tells
	if other.ProcessState.ExitCode() != exitError || !strings.Contains(second.String(), "another 'isonet prove' is at work") {
		t.Errorf("the second run: exit code %d: %s", other.ProcessState.ExitCode(), &second)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code tells
	if got, want := stderr.String(), "isonet: interrupted; the probes are removed\n"; cmd.ProcessState.ExitCode() != exitError || got != want {
		t.Errorf("exit code %d: %q, want %q", cmd.ProcessState.ExitCode(), got, want)
	}
	h.noProbes()
}

func TestProveAfterAKill(t *testing.T) {
	h := newProveHost(t)
	h.guard()
	var stderr bytes.Buffer
	cmd := h.waiting(&stderr)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if n := len(strings.Fields(h.probes())); n != 4 {
		t.Errorf("%d probes are left, want the 4 that nobody could remove", n)
	}
	h.freeze(true)
	code, r := h.prove()
	h.wantProven(code, r)
}

// What stands in the way is said before anything is changed.
func TestProveRefuses(t *testing.T) {
	for _, tt := range []struct{ name, args, status string }{
		{"prove-not-attached", "prove green", "status"},
		{"prove-not-active", "prove blue", "status-bad"},
		{"prove-disconnected", "prove blue", "status-disconnected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := standard(t)
			answers["GET /isonet/status"] = ok(recorded(t, tt.status))
			check(t, tt.name, command{args: words(tt.args)}, answers)
		})
	}
}

func TestProveChoosesTheOtherNetworks(t *testing.T) {
	s := wire.Status{Connected: true}
	for i := range 12 {
		state := "active"
		if i == 3 {
			state = "pending"
		}
		name := fmt.Sprintf("net%02d", i)
		s.Networks = append(s.Networks, wire.NetworkStatus{
			ID: name, Name: name, Bridge: name, State: state, MTU: wire.MTU{Wanted: 1500}, Ports: []wire.Port{{Name: "vnet" + name}},
		})
	}
	for _, tt := range []struct {
		all     bool
		others  int
		skipped []string
	}{
		{false, mostOthers, []string{"net03", "net10", "net11"}},
		{true, 10, []string{"net03"}},
	} {
		var o prove.Options
		skipped, err := choose(&o, s, "net01", tt.all)
		if err != nil || len(o.Others) != tt.others || !slices.Equal(skipped, tt.skipped) {
			t.Errorf("all %t: %d others, skipped %q, %v", tt.all, len(o.Others), skipped, err)
		}
		want := prove.Network{Name: "net01", Bridge: "net01", MTU: 1500, Ports: []string{"vnetnet01"}}
		if diff := cmp.Diff(&want, o.Target); diff != "" {
			t.Errorf("the network (-want +got):\n%s", diff)
		}
	}
}

func TestProofTable(t *testing.T) {
	fine := prove.Check{Name: "host answers no ARP", Result: prove.OK, Sent: "ARP requests", Seen: "nothing"}
	leak := prove.Check{Name: "host sends nothing", Result: prove.Leak, Sent: "links", Seen: "a report", Remedy: "remove it"}
	impaired := prove.Check{Name: "kernels talk", Result: prove.Impaired, Sent: "TCP", Seen: "no connection", Remedy: "set it"}
	failed := prove.Check{Name: "apart from network 'x'", Result: prove.Failed, Sent: "frames", Seen: "nothing, but", Remedy: "look"}
	for name, r := range map[string]prove.Report{
		"prove-table-proven":   {Result: prove.OK, Checks: []prove.Check{fine}, Skipped: []string{"green", "grey"}},
		"prove-table-leak":     {Result: prove.Leak, Checks: []prove.Check{fine, leak, failed, leak}},
		"prove-table-impaired": {Result: prove.Impaired, Checks: []prove.Check{fine, impaired}},
		"prove-table-unproven": {Result: prove.Failed, Checks: []prove.Check{fine, failed}},
	} {
		r.Network = "red"
		var table table
		proofTable(&table, r)
		golden(t, name, string(table.bytes()))
	}
}

func TestProveNeedsPrivileges(t *testing.T) {
	h := newProveHost(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw",
		self, "prove", "red", "--ovsdb", h.ovs.Endpoint(), "--socket", h.socket)
	cmd.Env = append(os.Environ(), program+"=isonet")
	out, err := cmd.CombinedOutput()
	want := "isonet: the probes are network namespaces and devices: run this as root (missing: CAP_NET_RAW)\n"
	if err == nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
	h.noProbes()
}
