package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

const (
	leakTrials = 20     // in a round
	leakRate   = 10_000 // broadcast frames in a second
	// The goals: the median of the milliseconds under enforce, and the frames
	// under strict.
	leakGoal, strictLeakGoal = 2, 0
)

// leak is what one trial let out.
type leak struct {
	frames int
	open   float64 // ms from the first frame to the last
}

// BenchmarkLeak plugs an uplink into a network while a VM broadcasts, and counts
// the frames that leave before isonet has taken it away.
func BenchmarkLeak(b *testing.B) {
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	d := newISOnetd(b, o, 0)
	d.start()
	sides := []*leakSide{newSide(d, "enforce"), newSide(d, "strict")}
	leaks, trials := map[string][]leak{}, 0
	for b.Loop() {
		for range leakTrials {
			for n := range sides {
				s := sides[(trials+n)%len(sides)]
				leaks[s.name] = append(leaks[s.name], s.trial(trials))
			}
			trials++
		}
	}
	b.ReportMetric(0, "ns/op") // it is no speed
	d.stop()

	fmt.Printf("\n\nan uplink is plugged in under %d broadcasts a second: %d trials each\n\n", leakRate, trials)
	fmt.Println("| network | frames leaked: median | most | ms open: median | longest | goal |")
	fmt.Println("|---|---:|---:|---:|---:|---|")
	for _, row := range []struct{ name, goal string }{
		{"enforce", fmt.Sprintf("median under %d ms", leakGoal)}, {"strict", fmt.Sprintf("%d frames", strictLeakGoal)},
	} {
		var frames, open []float64
		for _, l := range leaks[row.name] {
			frames, open = append(frames, float64(l.frames)), append(open, l.open)
		}
		fmt.Printf("| %s | %.1f | %.0f | %.2f | %.2f | %s |\n", row.name, median(frames), slices.Max(frames), median(open), slices.Max(open), row.goal)
	}
	fmt.Println()
}

// leakSide is a network with two VMs.
type leakSide struct {
	*isonetd
	name     string
	a, b     *ovstest.VM
	atA, atB *ovstest.Probe
}

// newSide makes a network, strict if it is called so.
func newSide(d *isonetd, name string) *leakSide {
	d.Helper()
	s := &leakSide{isonetd: d, name: name}
	d.post("/networks", fmt.Sprintf(`{"name":%q,"strict":"%t","data_center":{"name":"Default"}}`, name, name == "strict"))
	d.post(d.host+"/setupnetworks", `{"modified_network_attachments":{"network_attachment":[{"network":{"name":"`+name+`"}}]}}`)
	s.a = d.ovs.NewVM(name+"-a", "10.78.0.1/24")
	s.b = d.ovs.NewVM(name+"-b", "10.78.0.2/24")
	s.atA, s.atB = s.a.Probe(), s.b.Probe()
	d.ovs.Plug(s.a, name)
	d.ovs.Plug(s.b, name)
	s.talk()
	return s
}

// talk returns when the VMs reach each other.
func (s *leakSide) talk() {
	s.Helper()
	ovstest.Eventually(s, "the VMs reach each other", func() error {
		if !s.a.Pings(s.b.Address) {
			return errors.New("no answer")
		}
		return nil
	})
}

// trial plugs an uplink in, a device of its own each time.
func (s *leakSide) trial(n int) leak {
	s.Helper()
	uplink, far := fmt.Sprintf("up%d-%s", n, s.name), fmt.Sprintf("far%d-%s", n, s.name)
	ip := func(args string) {
		s.Helper()
		must(s.B, exec.CommandContext(s.Context(), "ip", append([]string{"-n", s.ovs.namespace}, strings.Fields(args)...)...))
	}
	near := fmt.Sprintf("near%d", n)
	ip("link add " + near + " type veth peer name " + far)
	defer ip("link delete " + near)
	ip("link add " + uplink + " type bridge") // which is removed at once, unlike a veth
	defer ip("link delete " + uplink)
	ip("link set " + near + " up master " + uplink)
	ip("link set " + uplink + " up")
	ip("link set " + far + " up")
	outside := ovstest.NewProbe(s, s.ovs.namespace, far)
	mark := uplink
	ctx, stop := context.WithCancel(s.Context())
	streaming := make(chan error, 1)
	go func() {
		_, err := s.atA.Pace(ctx, mark, leakRate)
		streaming <- err
	}()
	s.atB.Await(mark)

	s.ovs.Vsctl("--no-wait", "add-port", s.name, uplink)
	ovstest.Eventually(s, "the uplink is gone", func() error {
		if ports := s.ovs.Vsctl("--no-wait", "list-ports", s.name); strings.Contains(ports, uplink) {
			return errors.New("it is there")
		}
		return nil
	})
	s.ovs.Vsctl("set", "Open_vSwitch", ".", "external_ids:bench="+uplink) // waits for vswitchd
	stop()
	if err := <-streaming; err != nil {
		s.Fatal(err)
	}
	last := "last of " + mark
	ovstest.Eventually(s, "what was sent is forwarded", func() error {
		s.atA.Broadcast(last, 1) // one may be lost where many wait
		if s.atB.Count(last) == 0 {
			return errors.New("the last frame has not come")
		}
		return nil
	})
	knock := "knock of " + mark
	outside.Broadcast(knock, 1)
	outside.Await(knock) // so all before it was counted
	l := leak{frames: outside.Count(mark)}
	if l.frames > 0 {
		first, last := outside.Span(mark)
		l.open = milliseconds(last.Sub(first)) + 1000.0/leakRate // a frame stands for the time until the next
	}
	return l
}
