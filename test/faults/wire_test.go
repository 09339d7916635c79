package faults

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// nonsense is a way in which what a server sends can be wrong.
type nonsense struct {
	// spoil returns what arrives in the place of a message for isonetd.
	spoil func(hosttest.Message) [][]byte
	// survived says that isonetd must not end of it. The libraries that decode
	// what is JSON and no OVSDB panic in goroutines of their own.
	survived bool
}

func sayings() map[string]nonsense {
	instead := func(text string) func(hosttest.Message) [][]byte {
		return func(hosttest.Message) [][]byte { return [][]byte{[]byte(text)} }
	}
	edited := func(old, replacement string) func(hosttest.Message) [][]byte {
		return func(m hosttest.Message) [][]byte {
			return [][]byte{bytes.ReplaceAll(m.Raw, []byte(old), []byte(replacement))}
		}
	}
	half := func(m hosttest.Message) []byte { return m.Raw[:len(m.Raw)/2] }
	return map[string]nonsense{
		"no JSON":             {instead("HTTP/1.0 400 Bad Request\r\n\r\n"), true},
		"JSON cut short":      {func(m hosttest.Message) [][]byte { return [][]byte{half(m), {0}} }, true},
		"nested without end":  {instead(strings.Repeat("[", 1<<20)), true},
		"32 MiB of a string":  {instead(`{"id":1,"result":["` + strings.Repeat("x", 32<<20) + `"],"error":null}`), true},
		"a number":            {instead("17"), true},
		"an empty object":     {instead("{}"), false},
		"an answer to nobody": {instead(`{"id":987654321,"result":[],"error":null}`), false},
		"an unknown method":   {instead(`{"id":"x","method":"explode","params":[]}`), true},
		"no parameters":       {instead(`{"id":null,"method":"update3","params":[]}`), false},
		"other names of ids":  {edited(`"uuid"`, `"named-uuid"`), false},
		"other types":         {edited(`"map"`, `"set"`), false},
	}
}

// TestAServerThatMisbehaves lets the first answers of both servers on new
// connections be nonsense. isonetd does not believe it: it goes on with others,
// or ends and is started again, as its service manager does.
func TestAServerThatMisbehaves(t *testing.T) {
	t.Parallel()
	const answers = 1
	for name, n := range sayings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, stream := start(t)
			h.Create("blue")
			wires := []*hosttest.Wire{h.ToStore, h.ToOVS}
			said := make([]atomic.Int32, len(wires))
			for i, wire := range wires {
				wire.Spoil(func(m hosttest.Message) [][]byte {
					if m.ToServer || said[i].Add(1) > answers {
						return [][]byte{m.Raw}
					}
					return n.spoil(m)
				})
				wire.Cut()
			}
			ovstest.Eventually(t, "both have said it", func() error {
				select {
				case <-h.Process().Ended():
					if n.survived {
						t.Fatal("isonetd has ended")
					}
					h.Launch()
				default:
				}
				if status, err := h.Status(); err != nil || status.Stale || said[0].Load() <= answers || said[1].Load() <= answers {
					return fmt.Errorf("%d and %d times; status %v, %w", said[0].Load(), said[1].Load(), status, err)
				}
				return nil
			})
			h.Converges("red")
			h.Attach("blue")
			h.Converges("red", "blue")
			stream.Complete()
		})
	}
}

// TestEventsAreRepeated lets every update of both databases come twice. isonetd
// sees that its copy is wrong and takes another one.
func TestEventsAreRepeated(t *testing.T) {
	t.Parallel()
	h, stream := start(t)
	h.Create("blue", "green")
	var twice atomic.Int32
	repeat := func(m hosttest.Message) [][]byte {
		if hosttest.Updates(m) {
			twice.Add(1)
			return [][]byte{m.Raw, m.Raw}
		}
		return [][]byte{m.Raw}
	}
	h.ToOVS.Spoil(repeat)
	h.ToStore.Spoil(repeat)
	h.Attach("blue")
	h.Converges("red", "blue")
	h.Attach("green")
	h.Converges("red", "blue", "green")
	if twice.Load() == 0 {
		t.Error("no update came twice")
	}
	stream.Complete()
}

// TestASlowServer delays every message and lets it arrive byte by byte.
func TestASlowServer(t *testing.T) {
	t.Parallel()
	h, stream := start(t)
	h.Create("blue")
	bytewise := func(m hosttest.Message) [][]byte {
		pieces := make([][]byte, len(m.Raw))
		for i := range m.Raw {
			pieces[i] = m.Raw[i : i+1]
		}
		return pieces
	}
	delayed := func(m hosttest.Message) [][]byte {
		time.Sleep(200 * time.Millisecond) // it is the fault
		return [][]byte{m.Raw}
	}
	for name, spoil := range map[string]func(hosttest.Message) [][]byte{"byte by byte": bytewise, "late": delayed} {
		h.ToOVS.Spoil(spoil)
		h.ToStore.Spoil(spoil)
		h.ToOVS.Cut()
		h.ToStore.Cut()
		ovstest.Eventually(t, "a write succeeds "+name, func() error { // isonetd may not have noticed yet
			return h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching("blue")).Err()
		})
		if got := strings.Join(h.Bridges(), " "); got != "blue red" {
			t.Errorf("%s: the bridges are %s", name, got)
		}
		h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching("blue"))
	}
	h.ToOVS.Spoil(nil)
	h.ToStore.Spoil(nil)
	h.Converges("red")
	stream.Complete()
}
