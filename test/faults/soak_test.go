package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

const (
	// stepsVariable is how many things happen, seedVariable which.
	stepsVariable = "ISONET_SOAK_STEPS"
	seedVariable  = "ISONET_SOAK_SEED"
	defaultSteps  = 40
	// defaultSeed makes a failure one of the change that is tested. Other seeds
	// and more steps are for whoever looks for what nobody has found yet.
	defaultSeed = 1

	poolOfNetworks, poolOfVMs = 10, 4
	// settleEvery is after how many steps everything has to be as it must be.
	settleEvery = 10
)

// soak is a host to which one thing happens after the other.
type soak struct {
	*hosttest.Host
	random *rand.Rand
	now    wanted
	vms    []*ovstest.VM
	log    []string
}

// fault is something that goes wrong for a while. A write meanwhile may be made
// or not, but not by half.
type fault struct {
	name       string
	begin, end func(*hosttest.Host)
}

// Whatever operators do and whatever goes wrong, what was acknowledged lasts, the
// host is in the end as it must be, and nothing is left over: neither in isonetd
// nor on the host.
func TestSoak(t *testing.T) {
	t.Parallel()
	steps, seed := number(t, stepsVariable, defaultSteps), number(t, seedVariable, defaultSeed)
	t.Logf("%s=%d %s=%d repeats it", stepsVariable, steps, seedVariable, seed)
	h := newHost(t)
	h.Start()
	s := &soak{Host: h, random: rand.New(rand.NewPCG(uint64(seed), 0)), now: observed(h)} //nolint:gosec // it is to be repeatable
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what happened:\n%s", strings.Join(s.log, "\n"))
		}
	})
	h.OVS.Vsctl("add-br", "theirs", "--", "set", "bridge", "theirs", "datapath_type="+ovstest.Datapath(), "external_ids:owner=them")
	foreign := s.foreign()
	for n := range poolOfVMs {
		s.vms = append(s.vms, h.OVS.NewVM(fmt.Sprintf("vm%d", n), fmt.Sprintf("10.0.0.%d/24", n+1)))
	}
	lasting, deadly := survived(), dying()

	// What is made once and kept, such as connections, is not left over.
	for _, f := range lasting {
		s.suffer(f)
	}
	for range settleEvery {
		s.step()
	}
	s.settle()
	s.clean()
	before := s.resources()

	s.run(steps, lasting)
	s.clean()
	s.returned(before)

	s.run(steps/2, append(lasting, deadly...))
	s.clean()
	if got := s.foreign(); got != foreign {
		t.Errorf("the bridge of somebody else was\n%s\nand is\n%s", foreign, got)
	}
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// survived are those that isonetd survives.
func survived() []fault {
	return []fault{
		{"Open vSwitch's database server dies", func(h *hosttest.Host) { h.OVS.StopServer() }, func(h *hosttest.Host) { h.OVS.StartServer() }},
		{"Open vSwitch's database server hangs", func(h *hosttest.Host) { h.OVS.SignalServer(syscall.SIGSTOP) }, func(h *hosttest.Host) { h.OVS.SignalServer(syscall.SIGCONT) }},
		{"ovs-vswitchd dies", func(h *hosttest.Host) { h.OVS.StopVSwitchd() }, restartVSwitchd},
		{"ovs-vswitchd hangs", func(h *hosttest.Host) { h.OVS.SignalVSwitchd(syscall.SIGSTOP) }, func(h *hosttest.Host) { h.OVS.SignalVSwitchd(syscall.SIGCONT) }},
		{"the store's server dies", func(h *hosttest.Host) { h.Store.Stop() }, func(h *hosttest.Host) { h.Store.Start() }},
		{"the store's server hangs", func(h *hosttest.Host) { h.Store.Signal(syscall.SIGSTOP) }, func(h *hosttest.Host) { h.Store.Signal(syscall.SIGCONT) }},
		broken("Open vSwitch", func(h *hosttest.Host) *hosttest.Wire { return h.ToOVS }),
		broken("the store", func(h *hosttest.Host) *hosttest.Wire { return h.ToStore }),
	}
}

// broken is a connection that breaks, until isonetd has noticed.
func broken(to string, wire func(*hosttest.Host) *hosttest.Wire) fault {
	const first = "get_schema" // is asked for in each session
	sessions := 0
	return fault{"the connection to " + to + " breaks", func(h *hosttest.Host) {
		sessions = wire(h).Sent(first)
		wire(h).Cut()
	}, func(h *hosttest.Host) {
		h.Helper()
		ovstest.Eventually(h, "another session begins", func() error {
			if wire(h).Sent(first) == sessions {
				return errors.New("there is none")
			}
			return nil
		})
	}}
}

// restartVSwitchd starts Open vSwitch again after its death. It then does not know
// the devices of bridges that went meanwhile, and an operator has to remove them.
func restartVSwitchd(h *hosttest.Host) {
	h.Helper()
	h.OVS.StartVSwitchd()
	h.AwaitReady()
	h.OVS.Applied()
	bridges := h.Bridges()
	for n := range poolOfNetworks {
		name := fmt.Sprintf("n%d", n)
		if !slices.Contains(bridges, name) {
			_ = h.Command("ip", "link", "delete", name).Run() // mostly there is none
		}
	}
}

// dying are those that end isonetd.
func dying() []fault {
	return []fault{
		{"isonetd dies", func(*hosttest.Host) {}, func(h *hosttest.Host) { h.Kill(); h.Launch() }},
		{"isonetd dies and finds its bridges gone", func(*hosttest.Host) {}, func(h *hosttest.Host) {
			h.Kill()
			for _, bridge := range h.Own() {
				h.OVS.Vsctl("del-br", bridge)
			}
			h.Launch()
		}},
	}
}

func (s *soak) run(steps int, faults []fault) {
	s.Helper()
	for n := range steps {
		if s.random.IntN(3) == 0 {
			s.suffer(faults[s.random.IntN(len(faults))])
		} else {
			s.step()
		}
		if n%settleEvery == settleEvery-1 {
			s.settle()
		}
	}
	s.settle()
}

// note remembers what happens.
func (s *soak) note(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

// step is something that an operator does, by the API or by hand.
func (s *soak) step() {
	s.Helper()
	if s.random.IntN(4) == 0 {
		s.meddle()
		return
	}
	r := s.request()
	if r == nil {
		return
	}
	s.note("%s %s %s", r.method, r.path, r.body)
	// It may not have noticed yet what has just ended. It says that nothing was
	// changed, and so the same can be asked for again.
	ovstest.Eventually(s, "isonetd takes a write", func() error {
		reply := s.Answer(r.method, r.path, r.body)
		if err := reply.Err(); reply.Code == http.StatusServiceUnavailable {
			return err
		} else if err != nil {
			s.Fatalf("%s %s %s: %v", r.method, r.path, r.body, err)
		}
		return nil
	})
	s.now = r.then
}

// request chooses a write; nil for one that makes no sense now.
func (s *soak) request() *request {
	s.Helper()
	name := fmt.Sprintf("n%d", s.random.IntN(poolOfNetworks))
	labels := []string{"", "lab", "dmz"}
	as := network{Label: labels[s.random.IntN(3)], MTU: 1400 + s.random.IntN(100), Strict: s.random.IntN(4) == 0}
	switch s.random.IntN(5) {
	case 0, 1:
		return toggle(s.Host, s.now, name, as)
	case 2:
		return attach(s.Host, s.now, name)
	case 3:
		return label(s.Host, s.now, labels[1+s.random.IntN(2)])
	}
	return change(s.Host, s.now, name, as.MTU)
}

// meddle does something on the host past isonetd: it plugs a VM in, takes a
// bridge away, or changes what must not be changed.
func (s *soak) meddle() {
	s.Helper()
	vm, what, which := s.vms[s.random.IntN(poolOfVMs)], s.random.IntN(3), s.random.IntN(poolOfNetworks)
	here := s.now.here()
	if len(here) == 0 {
		return
	}
	bridge := here[which%len(here)]
	s.note("meddle %d with %s and %s", what, bridge, vm.Device)
	switch what {
	case 0:
		s.OVS.Vsctl("--if-exists", "del-port", vm.Device)
		s.OVS.Vsctl("--no-wait", "--", "--may-exist", "add-port", bridge, vm.Device)
	case 1:
		s.OVS.Vsctl("--no-wait", "--if-exists", "del-br", bridge)
	case 2:
		s.OVS.Vsctl("--no-wait", "--", "--if-exists", "set", "bridge", bridge, "other_config:forward-bpdu=true", "--",
			"--if-exists", "clear", "port", bridge, "trunks", "--", "--if-exists", "set", "interface", bridge, "mtu_request=9000")
	}
}

// suffer lets something go wrong while an operator writes.
func (s *soak) suffer(f fault) {
	s.Helper()
	r := s.request()
	s.note("fault: %s", f.name)
	f.begin(s.Host)
	allowed := []wanted{s.now}
	if r != nil {
		// A short time, so as to get over it.
		body := strings.Replace(r.body, `{`, `{"connectivity_timeout":"1",`, 1)
		if !strings.HasSuffix(r.path, "/setupnetworks") {
			body = r.body
		}
		reply := s.Answer(r.method, r.path, body)
		s.note("%s %s %s: %d %s", r.method, r.path, body, reply.Code, reply.Text)
		switch {
		case reply.Err() == nil:
			allowed = []wanted{r.then}
		case reply.Code == http.StatusServiceUnavailable || reply.Code == http.StatusGatewayTimeout:
			allowed = append(allowed, r.then)
		default:
			s.Errorf("while %s, %s %s %s is answered with %+v", f.name, r.method, r.path, body, reply)
		}
	}
	f.end(s.Host)
	s.AwaitReady()
	got := observed(s.Host)
	if diff := unlike(got, allowed...); diff != "" {
		s.Fatalf("after %s: %s", f.name, diff)
	}
	s.now = got
}

// settle waits until all is as it must be.
func (s *soak) settle() {
	s.Helper()
	here := s.now.here()
	s.note("settle with %v", here)
	if diff := unlike(observed(s.Host), s.now); diff != "" {
		s.Fatal(diff)
	}
	s.Converges(here...)
	for _, name := range here {
		n := s.now.Networks[name]
		ovstest.Eventually(s, "the MTU of "+name, func() error {
			if got := s.OVS.Vsctl("get", "interface", name, "mtu"); got != strconv.Itoa(n.MTU) {
				return fmt.Errorf("it is %s, want %d", got, n.MTU)
			}
			return nil
		})
	}
}

// clean takes everything away again.
func (s *soak) clean() {
	s.Helper()
	s.note("away with %v", everything(s.Host, s.now))
	for _, vm := range s.vms {
		s.OVS.Vsctl("--if-exists", "del-port", vm.Device)
	}
	s.now = observed(s.Host)
	s.Converges()
}

// foreign returns the bridge of somebody else without what counts and moves.
func (s *soak) foreign() string {
	s.Helper()
	return s.OVS.Vsctl("--columns=name,datapath_type,fail_mode,external_ids,other_config,controller,mirrors,stp_enable,rstp_enable", "list", "bridge", "theirs") +
		s.OVS.Vsctl("--columns=name,external_ids,other_config,tag,trunks,vlan_mode", "list", "port", "theirs")
}

// resources are what isonetd and the host use.
type resources struct {
	goroutines, files, heap int // heap in bytes
	devices                 []string
	rules                   string
}

// resources looks at them until the garbage of what was before is collected.
func (s *soak) resources() resources {
	s.Helper()
	const rounds = 3
	first := s.metrics()["go_gc_duration_seconds_count"]
	var r resources
	ovstest.Eventually(s, "the garbage is collected", func() error {
		m := s.metrics()
		if heap := int(m["go_memstats_heap_alloc_bytes"]); r.heap == 0 || heap < r.heap {
			r.heap = heap
		}
		r.goroutines = int(m["go_goroutines"])
		if done := m["go_gc_duration_seconds_count"] - first; done < rounds {
			return fmt.Errorf("%v rounds of %d", done, rounds)
		}
		return nil
	})
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.Process().PID()))
	if err != nil {
		s.Fatal(err)
	}
	r.files = len(open)
	out, err := s.Command("ls", "/sys/class/net").Output()
	if err != nil {
		s.Fatal(err)
	}
	r.devices = strings.Fields(string(out))
	if out, err = s.Command("nft", "list", "ruleset").Output(); err != nil {
		s.Fatal(err)
	}
	r.rules = string(out)
	return r
}

// returned waits until isonetd and the host use no more than before.
func (s *soak) returned(before resources) {
	s.Helper()
	const noise = 2 << 20 // of the heap, in bytes
	ovstest.Eventually(s, "all resources are back", func() error {
		now := s.resources()
		if now.goroutines > before.goroutines || now.files > before.files || now.heap > before.heap+noise ||
			!slices.Equal(now.devices, before.devices) || now.rules != before.rules {
			return fmt.Errorf("%+v were used before, %+v are now", before, now)
		}
		return nil
	})
}

// metrics returns isonetd's metrics without labels.
func (s *soak) metrics() map[string]float64 {
	s.Helper()
	text, err := s.Metrics()
	if err != nil {
		s.Fatal(err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if value, err := strconv.ParseFloat(number, 64); err == nil {
			values[name] = value
		}
	}
	return values
}
