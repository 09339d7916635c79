// Package bench measures how fast isonet sets networks up, beside the floor
// that Open vSwitch itself sets and beside ovs-vsctl. "make bench" runs it. It
// fails when something is not realised, never because something was slow.
package bench

import (
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
	// networksVariable is the environment variable with the number of networks.
	networksVariable = "ISONET_BENCH_NETWORKS"
	defaultNetworks  = 100
	driftRepairs     = 50
	// goal is the most that isonet may take, as a multiple of the floor.
	goal = 1.5
)

// BenchmarkNetworks does one round of every way per iteration and prints a
// table of them all.
func BenchmarkNetworks(b *testing.B) {
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	d := newISOnetd(b, o, numberOfNetworks(b))

	observer, events := o.monitor()
	d.start()
	d.attachAll()
	want := o.readWant(d.names)
	memory, storeMemory := d.memory()
	drift := o.drift(events, d.names)
	o.check(want)
	d.detachAll()
	d.stop()
	observer.Close()
	o.awaitIdle(want)

	ways := []*way{
		{name: "raw OVSDB transaction: the floor", run: func() time.Duration { return o.raw(want) }},
		{name: "isonet: one setupnetworks", run: d.attachAll, before: d.start, after: func() { d.detachAll(); d.stop() }},
		{name: "ovs-vsctl: all in one call", run: func() time.Duration { return o.vsctlOnce(want) }},
		{name: "ovs-vsctl: one call for each", run: func() time.Duration { return o.vsctlEach(want) }},
	}
	rounds := 0
	for b.Loop() {
		for i := range ways { // every way comes after every other
			o.round(ways[(rounds+i)%len(ways)], want)
		}
		rounds++
	}
	b.ReportMetric(0, "ns/op") // of all ways together it says nothing

	fmt.Printf("\n\n%d CPUs, Linux %s, Open vSwitch %s with the userspace datapath, %s\n\n",
		runtime.NumCPU(), release(b), o.version(), runtime.Version())
	fmt.Printf("%d networks, medians of %d interleaved rounds\n\n", len(want), rounds)
	printWays(ways)
	fmt.Printf("\nisonet / floor: %.2f (goal: at most %.1f)\n\n", ways[1].median()/ways[0].median(), goal)
	fmt.Printf("%d bridges deleted one after the other, with %d networks\n\n", len(drift), len(want))
	printDrift(drift)
	fmt.Printf("\nmemory (RSS) with %d networks: isonetd %.1f MiB, its store's ovsdb-server %.1f MiB\n\n", len(want), memory, storeMemory)
}

// numberOfNetworks reads the parameter of the benchmark.
func numberOfNetworks(b *testing.B) int {
	text := os.Getenv(networksVariable)
	if text == "" {
		return defaultNetworks
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%s=%q is not a number of networks", networksVariable, text)
	}
	return n
}

// way is one way to make all bridges.
type way struct {
	name          string
	run           func() time.Duration // returns when all is realised
	before, after func()               // may be nil; not timed
	took          []float64            // ms
}

func (w *way) median() float64 { return median(w.took) }

// round runs a way once, from no bridges to no bridges. Only this way's own
// processes run beside Open vSwitch.
func (o *openvswitch) round(w *way, want []wanted) {
	o.Helper()
	if w.before != nil {
		w.before()
	}
	w.took = append(w.took, milliseconds(w.run()))
	o.check(want)
	if w.after == nil {
		o.deleteAll()
	} else {
		w.after()
	}
	o.awaitIdle(want)
}

func printWays(ways []*way) {
	fmt.Println("| way | median ms | fastest | slowest | / floor |")
	fmt.Println("|---|---:|---:|---:|---:|")
	for _, w := range ways {
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.2f |\n",
			w.name, w.median(), slices.Min(w.took), slices.Max(w.took), w.median()/ways[0].median())
	}
}

func printDrift(repairs []repair) {
	var committed, realised []float64
	for _, r := range repairs {
		committed = append(committed, milliseconds(r.committed))
		realised = append(realised, milliseconds(r.realised))
	}
	fmt.Println("| from the commit that deletes a bridge | median ms | fastest | slowest |")
	fmt.Println("|---|---:|---:|---:|")
	for _, row := range []struct {
		name string
		took []float64
	}{{"to the commit that puts it back", committed}, {"to the bridge in use again", realised}} {
		fmt.Printf("| %s | %.1f | %.1f | %.1f |\n", row.name, median(row.took), slices.Min(row.took), slices.Max(row.took))
	}
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
