package packets

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

const (
	// timeVariable is for how long to go on, as a duration; seedVariable begins
	// with the sequence that a failure has printed.
	timeVariable = "ISONET_PACKETS_TIME"
	seedVariable = "ISONET_PACKETS_SEED"
	defaultTime  = 15 * time.Second
	// defaultSeed makes a failure one of the change that is tested. Other seeds
	// and more time are for whoever looks for what nobody has found yet.
	defaultSeed = 1
)

// streamRate is how many frames a VM of each network broadcasts in a second while
// the operator is at work. The kernel's datapath is tested in an emulated machine,
// which would do nothing else.
func streamRate() int {
	if inKernel() {
		return 100
	}
	return 1000
}

// deed is something that a hostile operator does. It returns where frames could
// arrive.
type deed struct {
	name string
	do   func(*side) exit
	// port says that it adds a port: a strict network keeps frames from it from
	// the first one on.
	port bool
}

func deeds() []deed {
	return []deed{
		{"plug an uplink", uplink, true},
		{"plug an uplink with the number of a VM that went", successor, false},
		{"rename an uplink", renamed, true},
		{"patch", patch, true},
		{"tunnel", vxlan, true},
		{"plug a macvlan", macvlan, true},
		{"plug a Linux bridge", linuxBridge, true},
		{"plug an unknown device", unknownDevice, true},
		{"mirror", mirror, false},
		{"controller", controller, false},
		{"sFlow", sflow, false},
		{"IPFIX", ipfix, false},
		{"STP", spanningTree("stp_enable"), false},
		{"RSTP", rapidSpanningTree, false},
		{"edit the trunks of the local port", func(s *side) exit { return late(s, openLocalPort) }, false},
		{"put an uplink into the local port", secondInterface, false},
		{"put the local device into another port", ownDeviceElsewhere, false},
		{"set the local port up with an address", func(s *side) exit { return late(s, localUp) }, false},
		{"change fail_mode", changeFailMode, false},
		{"plug a VM in again with another number", replugged, false},
	}
}

// successor gives an uplink the number that a VM had a moment ago. Flows know
// ports by their numbers, so that on a strict network too frames leave until
// isonet has seen it.
func successor(s *side) exit {
	s.Helper()
	third, _ := s.plugVM(3)
	number := s.ovs.OFPort(third.Device)
	near, far := cable(s)
	s.ovs.Vsctl("del-port", third.Device, "--", "add-port", s.bridge, near, "--", "set", "interface", near, fmt.Sprintf("ofport_request=%d", number))
	return at(s, far)
}

// vxlan counts the frames that come through the tunnel and no copies of them
// that come by other ways.
func vxlan(s *side) exit {
	s.Helper()
	out := collects(s, 4789, []byte(s.mark()+">"))
	tunnels()["vxlan"].open(s)
	return out
}

// late opens the bridge's local port now, and looks at its device when all is
// over, and at another one when Open vSwitch has made the device anew meanwhile.
func late(s *side, open func(*side) exit) exit {
	s.Helper()
	open(s)
	var out exit
	index, earlier := 0, 0
	look := func() exit {
		device, err := net.InterfaceByName(s.bridge)
		if out.count != nil && (err != nil || device.Index == index) {
			return out
		}
		if out.count != nil {
			earlier += out.count()
		}
		if out = local(s); err == nil { // else it is looked for again
			index = device.Index
		}
		return out
	}
	return exit{count: func() int { n := look().count(); return earlier + n }, knock: func() { look().knock() }}
}

// renamed lets an uplink go by another name.
func renamed(s *side) exit {
	s.Helper()
	near, far := cable(s)
	s.ovs.Vsctl("add-port", s.bridge, near)
	other := s.name("as")
	s.ip("link set " + near + " down")
	s.ip("link set " + near + " name " + other)
	s.ip("link set " + other + " up")
	s.Cleanup(func() { // by that name it is deleted
		s.ip("link set " + other + " down")
		s.ip("link set " + other + " name " + near)
	})
	s.ovs.Vsctl("--may-exist", "add-port", s.bridge, other)
	return at(s, far)
}

// changeFailMode makes it what it must not be.
func changeFailMode(s *side) exit {
	s.Helper()
	mode := "standalone"
	if s.ovs.Vsctl("get", "bridge", s.bridge, "fail_mode") != "secure" {
		mode = "secure"
	}
	s.ovs.Vsctl("set", "bridge", s.bridge, "fail_mode="+mode)
	return exit{count: func() int { return 0 }}
}

// rapidSpanningTree waits until isonet has put RSTP back: meanwhile the bridge's
// own device is gone, and what comes next may need it.
func rapidSpanningTree(s *side) exit {
	s.Helper()
	out := spanningTree("rstp_enable")(s)
	ovstest.Eventually(s, "RSTP is put back", func() error {
		if have := s.ovs.Vsctl("get", "bridge", s.bridge, "rstp_enable", "datapath_type"); have != "false\n"+ovstest.Datapath() {
			return fmt.Errorf("rstp_enable and datapath_type are %q", have)
		}
		return nil
	})
	s.applied()
	return out
}

func replugged(s *side) exit {
	s.Helper()
	s.ovs.Vsctl("del-port", s.b.Device)
	s.ovs.Plug(s.b, s.bridge, "--", "set", "interface", s.b.Device, fmt.Sprintf("ofport_request=%d", 1000+s.names.Add(1)))
	return exit{count: func() int { return 0 }}
}

// Whatever a hostile operator does and in whatever order: what he opens does not
// stay open, VMs go on reaching each other, and isonet comes to rest. On a
// strict network no frame leaves by a port at any time, unless he makes the
// bridge forward by itself or requests a VM's number for the port.
func TestHostileOperator(t *testing.T) {
	w := newWorld(t, 0)
	w.addCollector()
	seed, length := parameter(t, seedVariable, uint64(defaultSeed), parseSeed), parameter(t, timeVariable, defaultTime, time.ParseDuration)
	for end := time.Now().Add(length); ; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { hostileRound(w.For(t), seed) })
		if t.Failed() {
			t.Fatalf("the same again: %s=%d", seedVariable, seed)
		}
		if !time.Now().Before(end) {
			return
		}
	}
}

func parseSeed(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) }

func parameter[T any](t *testing.T, variable string, unset T, parse func(string) (T, error)) T {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return unset
	}
	v, err := parse(text)
	if err != nil {
		t.Fatalf("%s=%q: %v", variable, text, err)
	}
	return v
}

func hostileRound(w *world, seed uint64) {
	w.Helper()
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a sequence that can be repeated
	sides := []*side{w.network(), w.network(`"strict":"true"`)}
	streams, ports := make([]func(), len(sides)), make([]map[string]exit, len(sides))
	for i, s := range sides {
		streams[i], ports[i] = s.stream(), map[string]exit{}
	}
	exits := make([][]exit, len(sides))
	names := make([][]string, len(sides))
	opened := make([]bool, len(sides))
	all := deeds()
	for _, n := range random.Perm(len(all)) {
		i := random.IntN(len(sides))
		w.Logf("%s on %s", all[n].name, sides[i].bridge)
		out := all[n].do(sides[i])
		exits[i], names[i] = append(exits[i], out), append(names[i], all[n].name)
		if all[n].port {
			ports[i][all[n].name] = out
		}
		opened[i] = opened[i] || all[n].name == "change fail_mode"
	}
	for i, s := range sides {
		s.rests()
		streams[i]()
		s.connected() // from here on the bridge knows where its VMs are
		s.silent(exits[i], names[i])
		if strict := i == 1; strict && !opened[i] {
			for name, out := range ports[i] {
				if leaked := out.count(); leaked != 0 {
					s.Errorf("%d frames left the strict network: %s", leaked, name)
				}
			}
		}
	}
	// Nothing is written any more.
	before := w.ovs.NextCfg()
	for i, s := range sides {
		s.connected()
		s.silent(exits[i], names[i])
	}
	if after := w.ovs.NextCfg(); after != before {
		w.Errorf("isonet is not at rest: next_cfg went from %d to %d", before, after)
	}
}

// stream broadcasts from a until the returned function is called.
func (s *side) stream() func() {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := s.atA.Pace(ctx, s.mark(), streamRate())
		done <- err
	}()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.Error(err)
		}
	}
	s.Cleanup(stop)
	return stop
}

// rests waits until isonet has done all it does: nothing is pending, and what is
// wrong is cut off. The fights of an operator with himself may take their time.
func (s *side) rests() {
	s.Helper()
	s.until("at rest", func(n wire.NetworkStatus, _ []wire.Event) bool {
		return n.State == string(report.Active) && len(n.Isolation.Pending) == 0 &&
			!slices.ContainsFunc(n.Isolation.Findings, func(f wire.Finding) bool {
				// What is cut off first may have to go after the grace time.
				entry, _ := isolation.Find(isolation.Reason(f.Reason))
				return !f.Notice && (!f.Quarantined || entry.Enforce == isolation.Remove)
			})
	})
	s.applied()
}

// silent shows that nothing that is sent from now on arrives at an exit.
func (s *side) silent(exits []exit, names []string) {
	s.Helper()
	arrived := func() (counts []int) {
		s.barrier()
		for _, out := range exits {
			if out.knock != nil {
				out.knock()
			}
			counts = append(counts, out.count())
		}
		return counts
	}
	before := arrived()
	s.atA.Broadcast(s.mark(), 20)
	s.atA.SendTo(s.atB.MAC, s.mark(), 20)
	if after := arrived(); !slices.Equal(before, after) {
		s.Errorf("frames left the network %s: %v by exit, and then %v, of %q", s.bridge, before, after, names)
	}
}
