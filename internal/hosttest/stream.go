package hosttest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// perSecond is the rate of a stream: low enough that no buffer overflows on a
// machine that is busy with other things.
const perSecond = 50

// Stream is traffic between two VMs of a network that does not end.
type Stream struct {
	t        testing.TB
	mark     string
	from, to *ovstest.Probe
	stop     func() int
}

// Stream plugs two VMs into a network and starts to send frames from one to the
// other. It ends with the test.
func (h *Host) Stream(network string) *Stream {
	h.Helper()
	a, b := h.OVS.NewVM("vm-a", "10.0.0.1/24"), h.OVS.NewVM("vm-b", "10.0.0.2/24")
	h.OVS.Plug(a, network)
	h.OVS.Plug(b, network)
	s := &Stream{t: h, mark: "stream", from: a.Probe(), to: b.Probe()}
	ovstest.Eventually(h, "the VMs reach each other", func() error {
		s.from.Broadcast("first", 1)
		if s.to.Count("first") == 0 {
			return fmt.Errorf("no frame has come")
		}
		return nil
	})
	s.start()
	return s
}

func (s *Stream) start() {
	ctx, cancel := context.WithCancel(context.Background())
	sent, failed := 0, error(nil)
	var sending sync.WaitGroup
	sending.Go(func() { sent, failed = s.from.Pace(ctx, s.mark, perSecond) })
	s.stop = sync.OnceValue(func() int {
		cancel()
		sending.Wait()
		if failed != nil {
			s.t.Error(failed)
		}
		return sent
	})
	s.t.Cleanup(func() { s.stop() })
}

// Flows waits until frames have arrived that were sent from now on.
func (s *Stream) Flows(t testing.TB) {
	t.Helper()
	before := s.to.Count(s.mark)
	ovstest.Eventually(t, "frames flow", func() error {
		// Some may have been on their way.
		if now := s.to.Count(s.mark); now < before+perSecond/10 {
			return fmt.Errorf("%d have come", now-before)
		}
		return nil
	})
}

// Complete ends the stream and fails the test unless every frame has arrived.
func (s *Stream) Complete() {
	s.t.Helper()
	sent := s.stop()
	ovstest.Eventually(s.t, "the last frames arrive", func() error {
		if got := s.to.Count(s.mark); got != sent {
			return fmt.Errorf("%d of %d frames have come", got, sent)
		}
		return nil
	})
}
