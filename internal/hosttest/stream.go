package hosttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	// newcomers counts the addresses that frames came from besides.
	newcomers atomic.Uint32
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
	if lost, sent := s.Lost(); lost != 0 {
		s.t.Errorf("%d of %d frames were lost", lost, sent)
	}
}

// Lost ends the stream and returns how many of its frames have not arrived.
func (s *Stream) Lost() (lost, sent int) {
	s.t.Helper()
	sent = s.stop()
	ovstest.Eventually(s.t, "a frame after the last one arrives", func() error {
		s.from.Broadcast("last", 1)
		if s.to.Count("last") == 0 {
			return errors.New("none has come")
		}
		return nil
	})
	return sent - s.to.Count(s.mark), sent
}

// Newcomer sends a frame from an address that nobody has seen, about which
// ovs-vswitchd has to be asked, and reports whether one of its name has arrived.
func (s *Stream) Newcomer(name string) bool {
	s.t.Helper()
	frame := s.from.Frame(s.to.MAC, name)
	n := s.newcomers.Add(1)
	copy(frame[6:12], []byte{2, 0xce, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	s.from.Send(frame)
	return s.to.Count(name) > 0
}
