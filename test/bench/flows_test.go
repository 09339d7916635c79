package bench

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
)

const (
	// In one request so many networks become the host's, strict and ordinary, and
	// strict ones may take so many times as long.
	strictNetworks, strictSetupGoal = 300, 3.0
	// Of so many strict networks at rest isonetd and its children may use so much
	// of a core, in percent.
	idleNetworks, idleGoal, idleTime = 200, 1.0, 20 * time.Second
	// So many flows are changed one after the other, and put back after so many
	// milliseconds.
	flowChanges, flowGoal, flowMostGoal = 50, 100.0, 1000.0
	mostStrict                          = 1000
)

// BenchmarkFlows measures what watching the flows of very many bridges costs, and
// how soon what somebody else changes is put back.
func BenchmarkFlows(b *testing.B) {
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	d := newISOnetd(b, o, mostStrict)
	all, ids := d.names, d.ids
	d.start()
	some := func(n int, strict bool) {
		d.names, d.ids = all[:n], ids[:n]
		for _, id := range d.ids {
			if _, err := d.call("PUT", "/networks/"+id, fmt.Sprintf(`{"strict":"%t"}`, strict)); err != nil {
				b.Fatal(err)
			}
		}
	}
	var ordinary, strict []float64
	for b.Loop() {
		some(strictNetworks, false)
		ordinary = append(ordinary, milliseconds(d.attachAll()))
		d.removeAll()
		some(strictNetworks, true)
		strict = append(strict, milliseconds(d.attachAll()))
		d.removeAll()
	}
	b.ReportMetric(0, "ns/op") // of all together it says nothing
	some(idleNetworks, true)
	d.attachAll()
	back := d.flowsBack(all[0])
	idle := d.idle()
	d.removeAll()
	some(mostStrict, true)
	most := milliseconds(d.attachAll())
	d.removeAll()
	d.stop()

	fmt.Print("\n\n| flows | measured | goal |\n|---|---:|---|\n")
	fmt.Printf("| %d ordinary networks in one request, ms | %.0f | |\n", strictNetworks, median(ordinary))
	fmt.Printf("| %d strict ones, ms | %.0f | |\n", strictNetworks, median(strict))
	fmt.Printf("| strict / ordinary | %.2f | at most %.0f |\n", median(strict)/median(ordinary), strictSetupGoal)
	fmt.Printf("| %d strict ones in one request, ms | %.0f | they are there |\n", mostStrict, most)
	fmt.Printf("| isonetd and its children with %d strict networks at rest, %% of a core | %.2f | at most %.0f |\n", idleNetworks, idle, idleGoal)
	fmt.Printf("| changed flows are back, median ms | %.1f | below %.0f |\n", median(back), flowGoal)
	fmt.Printf("| the slowest of %d, ms | %.1f | at most %.0f |\n\n", len(back), slices.Max(back), flowMostGoal)
}

// flowsBack changes all flows of a bridge again and again, and returns how many
// milliseconds it took each time until none was there any more.
func (d *isonetd) flowsBack(bridge string) []float64 {
	d.Helper()
	var took []float64
	for range flowChanges {
		start := time.Now()
		must(d.B, d.ovs.OfctlCommand("mod-flows", bridge, "actions=NORMAL"))
		ovstest.Eventually(d.B, "the flows are back", func() error {
			if flows := must(d.B, d.ovs.OfctlCommand("dump-flows", bridge)); strings.Contains(flows, "NORMAL") {
				return fmt.Errorf("flows:\n%s", flows)
			}
			return nil
		})
		took = append(took, milliseconds(time.Since(start)))
	}
	return took
}

// idle returns how much of a core isonetd and its children use, in percent.
func (d *isonetd) idle() float64 {
	d.Helper()
	before := d.ticks()
	time.Sleep(idleTime) // what it uses meanwhile is measured
	used := d.ticks() - before
	hertz, err := strconv.ParseFloat(strings.TrimSpace(must(d.B, exec.CommandContext(d.Context(), "getconf", "CLK_TCK"))), 64)
	if err != nil {
		d.Fatal(err)
	}
	return used / hertz / idleTime.Seconds() * 100
}

// ticks returns the processor time of isonetd and of the children that it waited
// for, in clock ticks (proc_pid_stat(5)).
func (d *isonetd) ticks() float64 {
	d.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		d.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	sum := 0.0
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			d.Fatal(err)
		}
		sum += n
	}
	return sum
}
