package bench

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

const (
	windowTrials  = 10  // in a round, for each situation
	windowStrict  = 150 // networks
	windowSetup   = 300 // networks
	windowFlood   = 10_000
	windowBusy    = 2 // processes
	windowLongest = 50
)

// situation is what else happens while an uplink is plugged in.
type situation struct {
	name string
	// during does it until ctx ends; nil is nothing.
	during func(ctx context.Context) error
	leaks  []leak
}

// BenchmarkWindow plugs an uplink into an ordinary network while much else happens,
// and shows for how long it is open.
func BenchmarkWindow(b *testing.B) {
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	d := newISOnetd(b, o, windowSetup)
	d.start()
	side, hostile := newSide(d, "enforce"), newSide(d, "strict")
	strict := *d
	strict.names = nil
	for i := range windowStrict {
		name := fmt.Sprintf("strict%d", i)
		d.post("/networks", `{"name":"`+name+`","strict":"true","data_center":{"name":"Default"}}`)
		strict.names = append(strict.names, name)
	}
	strict.attachAll()
	situations := []*situation{
		{name: fmt.Sprintf("%d strict networks", windowStrict)},
		{name: fmt.Sprintf("%d networks are set up and removed", windowSetup), during: d.setUpAndRemove},
		{name: fmt.Sprintf("a VM floods from %d addresses a second", windowFlood), during: func(ctx context.Context) error {
			_, err := hostile.atA.Flood(ctx, windowFlood)
			return err
		}},
		{name: fmt.Sprintf("%d busy processes", windowBusy), during: busy},
	}
	trial := 0
	for b.Loop() {
		for _, s := range situations {
			side.under(s, &trial)
		}
	}
	b.ReportMetric(0, "ns/op") // it is no speed
	d.stop()

	fmt.Printf("\n\nan uplink is plugged into an ordinary network beside %d strict ones, under %d broadcasts a second: %d trials each\n\n",
		windowStrict, leakRate, len(situations[0].leaks))
	fmt.Println("| meanwhile | frames leaked: median | most | ms open: median | longest | goal |")
	fmt.Println("|---|---:|---:|---:|---:|---|")
	for _, s := range situations {
		var frames, open []float64
		for _, l := range s.leaks {
			frames, open = append(frames, float64(l.frames)), append(open, l.open)
		}
		fmt.Printf("| %s | %.1f | %.0f | %.2f | %.2f | median under %d ms, none over %d ms |\n",
			s.name, median(frames), slices.Max(frames), median(open), slices.Max(open), leakGoal, windowLongest)
	}
	fmt.Println()
}

// under makes trials in a situation.
func (s *leakSide) under(what *situation, trial *int) {
	s.Helper()
	ctx, end := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	go func() {
		if what.during == nil {
			ended <- nil
			return
		}
		ended <- what.during(ctx)
	}()
	for range windowTrials {
		what.leaks = append(what.leaks, s.trial(*trial))
		*trial++
	}
	end()
	if err := <-ended; err != nil {
		s.Fatalf("%s: %v", what.name, err)
	}
}

// setUpAndRemove sets all networks up and removes them, again and again.
func (d *isonetd) setUpAndRemove(ctx context.Context) error {
	for ctx.Err() == nil {
		for _, what := range []string{"modified_network_attachments", "removed_network_attachments"} {
			if _, err := d.call("POST", d.host+"/setupnetworks", d.setupOf(what)); err != nil {
				return err
			}
		}
	}
	return nil
}

// busy keeps processors busy.
func busy(ctx context.Context) error {
	var loops []*exec.Cmd
	for range windowBusy {
		loop := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			return err
		}
		loops = append(loops, loop)
	}
	for _, loop := range loops {
		_ = loop.Wait() // the end of ctx kills it
	}
	return nil
}
