package faults

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// TestABusyMachineIsNotUnknown lets two loops for each processor run beside a host
// whose networks come and go: as long as Open vSwitch is well, nothing is missing
// and no network that stays is unknown.
func TestABusyMachineIsNotUnknown(t *testing.T) {
	h := newHost(t)
	h.Start()
	h.Create("red", "idle", "blue")
	h.Attach("red", "idle")
	h.Converges("idle", "red")
	for range 2 * runtime.NumCPU() {
		loop, err := ovstest.StartProcess(exec.CommandContext(context.Background(), "sh", "-c", "while :; do :; done"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(loop.Kill)
	}
	known := func(when string) {
		t.Helper()
		status, err := h.Status()
		if err != nil {
			t.Fatal(err)
		}
		if len(status.Missing) > 0 {
			t.Fatalf("%s: missing are %+v", when, status.Missing)
		}
		for _, n := range status.Networks {
			if n.Name != "blue" && (n.State != "active" || n.Isolation.Verdict != "isolated") {
				t.Fatalf("%s: %+v", when, n)
			}
		}
	}
	for round := range 60 {
		for _, body := range []string{hosttest.Attaching("blue"), hosttest.Detaching("blue")} {
			done := h.Go("POST", h.Path()+"/setupnetworks", body)
			for waiting := true; waiting; {
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
					waiting = false
				default:
				}
				known(fmt.Sprintf("round %d, %s", round, body))
			}
		}
	}
}
