package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
)

const (
	transferTime = 2 * time.Second
	echoes       = 2000
	// strictGoal is the least that strict must reach of normal.
	strictGoal = 0.95
)

// speed is what was measured between two VMs.
type speed struct{ throughput, latency []float64 } // Gbit/s, µs

// BenchmarkStrict compares a strict network with one where Open vSwitch forwards
// by itself (NORMAL).
func BenchmarkStrict(b *testing.B) {
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	d := newISOnetd(b, o, 0)
	d.start()
	plain, secure := newSide(d, "enforce"), newSide(d, "strict")
	var normal, strict speed
	for b.Loop() { // what drifts meanwhile falls on both
		plain.measure(&normal)
		secure.measure(&strict)
		secure.measure(&strict)
		plain.measure(&normal)
	}
	b.ReportMetric(0, "ns/op") // of both together it says nothing
	d.stop()

	fmt.Printf("\n\nmedians of %d runs each, in turns\n\n", len(normal.latency))
	fmt.Println("| between two VMs | NORMAL | strict | strict / NORMAL | smallest and largest of a round | goal |")
	fmt.Println("|---|---:|---:|---:|---|---|")
	for _, row := range []struct {
		name           string
		normal, strict []float64
		goal           string
	}{
		{"TCP throughput, Gbit/s", normal.throughput, strict.throughput, fmt.Sprintf("at least %.2f", strictGoal)},
		{"UDP round trip, µs", normal.latency, strict.latency, fmt.Sprintf("at most %.2f", 1/strictGoal)},
	} {
		var ratios []float64
		for i := 0; i < len(row.normal); i += 2 {
			ratios = append(ratios, (row.strict[i]+row.strict[i+1])/(row.normal[i]+row.normal[i+1]))
		}
		fmt.Printf("| %s | %.2f | %.2f | %.3f | %.3f to %.3f | %s |\n",
			row.name, median(row.normal), median(row.strict), median(ratios), slices.Min(ratios), slices.Max(ratios), row.goal)
	}
	fmt.Println()
}

func (s *leakSide) measure(to *speed) {
	s.Helper()
	to.throughput = append(to.throughput, s.transfer())
	to.latency = append(to.latency, s.echo())
}

// transfer sends over TCP for a while and returns Gbit/s, as b counted.
func (s *leakSide) transfer() float64 {
	s.Helper()
	listener := s.listen()
	received := make(chan int64, 1)
	go func() {
		defer listener.Close() //nolint:errcheck // it has served its connection
		connection, err := listener.Accept()
		if err != nil {
			received <- 0
			return
		}
		n, _ := io.Copy(io.Discard, connection) // what came counts
		received <- n
		_ = connection.Close() // it was read to its end
	}()
	start := time.Now()
	ovstest.Inside(s, s.a.Namespace(), func() error {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return err
		}
		chunk := make([]byte, 128<<10)
		for time.Since(start) < transferTime {
			if _, err := connection.Write(chunk); err != nil {
				return err
			}
		}
		return connection.Close()
	})
	n := <-received
	if n == 0 {
		s.Fatal("nothing arrived")
	}
	return float64(n) * 8 / 1e9 / time.Since(start).Seconds()
}

func (s *leakSide) listen() net.Listener {
	s.Helper()
	var listener net.Listener
	ovstest.Inside(s, s.b.Namespace(), func() (err error) {
		listener, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.b.Address+":0")
		return err
	})
	return listener
}

// echo returns the median round trip of a datagram in µs.
func (s *leakSide) echo() float64 {
	s.Helper()
	var server net.PacketConn
	ovstest.Inside(s, s.b.Namespace(), func() (err error) {
		server, err = (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", s.b.Address+":0")
		return err
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64)
		for {
			n, from, err := server.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			_, _ = server.WriteTo(buffer[:n], from) // who misses it waits
		}
	}()
	var took []float64
	ovstest.Inside(s, s.a.Namespace(), func() error {
		connection, err := net.Dial("udp", server.LocalAddr().String())
		if err != nil {
			return err
		}
		defer connection.Close() //nolint:errcheck // it was read to its end
		buffer := make([]byte, 64)
		for range echoes {
			start := time.Now()
			if err := connection.SetDeadline(start.Add(patience)); err != nil {
				return err
			}
			if _, err := connection.Write(buffer); err != nil {
				return err
			}
			if _, err := connection.Read(buffer); err != nil {
				return err
			}
			took = append(took, float64(time.Since(start).Nanoseconds())/1000)
		}
		return nil
	})
	_ = server.Close() // it ends the echo
	<-done
	return median(took)
}
