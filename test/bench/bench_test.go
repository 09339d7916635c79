// Package bench measures how fast isonet sets networks up, beside the floor
// that Open vSwitch itself sets and beside ovs-vsctl. "make bench" runs it. It
// fails when something is not realised, never because something was slow.
package bench

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
)

const (
	// networksVariable is the environment variable with the numbers of networks,
	// with commas between them.
	networksVariable = "ISONET_BENCH_NETWORKS"
	defaultNetworks  = "1,10,100,500,1000"
	driftRepairs     = 50
	// manyNetworks are so many that more than fewRounds of them take too long.
	manyNetworks, fewRounds = 500, 3
	// mostCalls is the most networks for which every one is a call of ovs-vsctl of
	// its own: the time of a call grows with the networks that are there.
	mostCalls = 100
	// firstMTU is that of new networks, otherMTU what they are changed to.
	firstMTU, otherMTU = 1500, 1400

	// goal is the most that isonet may take to create or change goalFrom networks
	// or more, as a multiple of the floor; repairGoal the median of a repair in ms.
	goal, goalFrom = 1.2, 100
	repairGoal     = 5.0
)

// phases are what every way does, in this order.
func phases() []string { return []string{create, change, remove} }

const (
	create = "create"
	change = "change the MTU"
	remove = "remove"
)

// way is one way to do it. Each of its functions returns when vswitchd has
// applied all of it.
type way struct {
	name                   string
	create, change, remove func() time.Duration
	before, after          func()               // may be nil; not timed
	took                   map[string][]float64 // ms by phase
}

// size is what was measured with so many networks.
type size struct {
	networks, rounds    int
	ways                []*way
	answered            []float64 // ms until isonet answers a removal
	repairs, floor      []repair  // by isonet, and by one raw transaction
	started             time.Duration
	memory, storeMemory float64
}

// BenchmarkNetworks does one round of every way and number of networks per
// iteration, and prints tables of them all.
func BenchmarkNetworks(b *testing.B) {
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	numbers := numbersOfNetworks(b)
	d := newISOnetd(b, o, slices.Max(numbers))
	sizes := make([]*size, len(numbers))
	wants := make([][]wanted, len(numbers))
	all, ids := d.names, d.ids
	for i, n := range numbers {
		d.names, d.ids = all[:n], ids[:n]
		sizes[i], wants[i] = d.keep()
	}
	rounds := 0
	for b.Loop() {
		for i, n := range numbers {
			d.names, d.ids = all[:n], ids[:n]
			if s := sizes[i]; n < manyNetworks || rounds < fewRounds {
				if s.ways == nil {
					s.ways = d.ways(s, wants[i])
				}
				for k := range s.ways { // every way comes after every other
					o.round(s.ways[(rounds+k)%len(s.ways)], wants[i])
				}
				s.rounds++
			}
		}
		rounds++
	}
	b.ReportMetric(0, "ns/op") // of all ways together it says nothing

	fmt.Printf("\n\n%d CPUs, load average %s, Linux %s, Open vSwitch %s with the userspace datapath, %s\n",
		runtime.NumCPU(), strings.Fields(readFile(b, "/proc/loadavg"))[0], release(b), o.version(), runtime.Version())
	for _, phase := range phases() {
		printPhase(phase, sizes)
	}
	printSizes(sizes)
}

// keep measures what isonetd does with networks that it has: it repairs them
// and starts with them.
func (d *isonetd) keep() (*size, []wanted) {
	d.Helper()
	o, s := d.ovs, &size{networks: len(d.names)}
	observer, events := o.monitor()
	defer observer.Close()
	d.start()
	d.attachAll()
	want := o.readWant(d.names)
	s.repairs = o.drift(events, d.names)
	o.check(want)
	d.stop()
	before := o.NextCfg()
	s.started = d.start()
	if wrote := o.NextCfg() - before; wrote != 0 {
		d.Fatalf("isonetd started with %d networks and changed Open vSwitch %d times", s.networks, wrote)
	}
	s.memory, s.storeMemory = d.memory()
	d.stop()
	s.floor = o.rawDrift(want)
	d.start()
	d.removeAll()
	d.stop()
	o.awaitIdle(want)
	return s, want
}

// ways are the ways to make the networks.
func (d *isonetd) ways(s *size, want []wanted) []*way {
	o := d.ovs
	ways := []*way{
		{
			name:   "raw OVSDB transaction: the floor",
			create: func() time.Duration { return o.raw(insert(want), o.inUse(want)) },
			change: func() time.Duration { return o.raw(o.setMTU(want, otherMTU), o.haveMTU(want, otherMTU)) },
			remove: func() time.Duration { return o.raw(o.remove(want), applied) },
		}, {
			name:   "isonet",
			create: d.attachAll,
			change: func() time.Duration { return d.setMTU(otherMTU) },
			remove: func() time.Duration {
				answered, done := d.removeAll()
				s.answered = append(s.answered, milliseconds(answered))
				return done
			},
			before: func() { d.start() }, after: func() { d.setMTU(firstMTU); d.stop() },
		}, {
			name:   "ovs-vsctl: all in one call",
			create: func() time.Duration { return o.vsctlOnce(want, wanted.add) },
			change: func() time.Duration { return o.vsctlOnce(want, wanted.alter) },
			remove: func() time.Duration { return o.vsctlOnce(want, wanted.delete) },
		},
	}
	if s.networks > mostCalls {
		return ways
	}
	return append(ways, &way{
		name:   "ovs-vsctl: one call for each",
		create: func() time.Duration { return o.vsctlEach(want, wanted.add) },
		change: func() time.Duration { return o.vsctlEach(want, wanted.alter) },
		remove: func() time.Duration { return o.vsctlEach(want, wanted.delete) },
	})
}

// round runs a way once, from no bridges to no bridges. Only this way's own
// processes run beside Open vSwitch.
func (o *openvswitch) round(w *way, want []wanted) {
	o.Helper()
	if w.before != nil {
		w.before()
	}
	if w.took == nil {
		w.took = map[string][]float64{}
	}
	note := func(phase string, took time.Duration) { w.took[phase] = append(w.took[phase], milliseconds(took)) }
	note(create, w.create())
	o.check(want)
	before := o.mtu(want)
	note(change, w.change())
	if after := o.mtu(want); after == before {
		o.Fatalf("%s: the MTU is %v before and after the change", w.name, after)
	}
	note(remove, w.remove())
	if w.after != nil {
		w.after()
	}
	o.awaitIdle(want)
}

// numbersOfNetworks reads the parameter of the benchmark.
func numbersOfNetworks(b *testing.B) []int {
	var numbers []int
	for _, text := range strings.Split(cmp.Or(os.Getenv(networksVariable), defaultNetworks), ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("%s: %q is not a number of networks", networksVariable, text)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// printPhase prints a table of the medians by way and number of networks.
func printPhase(phase string, sizes []*size) {
	fmt.Printf("\n%s, medians (fastest to slowest) in ms\n\n| way |", phase)
	for _, s := range sizes {
		fmt.Printf(" %d |", s.networks)
	}
	fmt.Println(" time per decade |")
	fmt.Println("|---|" + strings.Repeat("---:|", len(sizes)+1))
	longest := slices.MaxFunc(sizes, func(a, b *size) int { return cmp.Compare(len(a.ways), len(b.ways)) })
	for i, w := range longest.ways {
		fmt.Printf("| %s |", w.name)
		var numbers []int
		var medians []float64
		for _, s := range sizes {
			if i >= len(s.ways) {
				fmt.Print(" |")
				continue
			}
			took := s.ways[i].took[phase]
			numbers, medians = append(numbers, s.networks), append(medians, median(took))
			fmt.Printf(" %.0f (%.0f to %.0f) |", median(took), slices.Min(took), slices.Max(took))
		}
		fmt.Printf(" %s |\n", growth(numbers, medians))
	}
	fmt.Print("| isonet / floor |")
	for _, s := range sizes {
		fmt.Printf(" %.2f |", median(s.ways[1].took[phase])/median(s.ways[0].took[phase]))
	}
	fmt.Println(" |")
	if phase != remove {
		fmt.Printf("\ngoal: isonet / floor at most %.1f from %d networks up\n", goal, goalFrom)
	}
}

// growth says by which factors the values grow wherever the number is ten times
// as large.
func growth(numbers []int, values []float64) string {
	var factors []string
	for i, n := range numbers {
		if k := slices.Index(numbers, 10*n); k >= 0 {
			factors = append(factors, fmt.Sprintf("x %.1f", values[k]/values[i]))
		}
	}
	return strings.Join(factors, ", ")
}

// printSizes prints what is isonet's alone.
func printSizes(sizes []*size) {
	fmt.Printf("\nisonet alone; %d repairs of a bridge that was deleted; goal: a median of the commit under %.0f ms\n\n", driftRepairs, repairGoal)
	fmt.Println("| networks | repair committed ms: median | slowest | the floor: median | isonet / floor | bridge in use ms: median | slowest | removal answered ms | start ms | RSS isonetd MiB | RSS its store MiB | rounds |")
	fmt.Println("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, s := range sizes {
		var committed, realised, floor []float64
		for _, r := range s.repairs {
			committed = append(committed, milliseconds(r.committed))
			realised = append(realised, milliseconds(r.realised))
		}
		for _, r := range s.floor {
			floor = append(floor, milliseconds(r.committed))
		}
		fmt.Printf("| %d | %.1f | %.1f | %.1f | %.2f | %.1f | %.1f | %.0f | %.0f | %.1f | %.1f | %d |\n", s.networks,
			median(committed), slices.Max(committed), median(floor), median(committed)/median(floor), median(realised), slices.Max(realised),
			median(s.answered), milliseconds(s.started), s.memory, s.storeMemory, s.rounds)
	}
	fmt.Println()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func release(b *testing.B) string {
	data, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// must runs a command and returns what it printed.
func must(b *testing.B, cmd *exec.Cmd) string {
	b.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}
