package prove

import (
	"context"
	"maps"
	"sync"
	"time"
)

// frame is one that a probe sent.
type frame struct {
	from *probe
	// text describes it.
	text string
}

// stranger is what a probe received that no probe sent, or not like this.
type stranger struct {
	at   *probe
	from mac
	kind kind
}

// passage is a frame of the run that the host saw on a device. The frame 0 is
// the host's own question for the neighbour to whom it would forward.
type passage struct {
	device   int
	outgoing bool
	// sent is who sent the frame, nil for the frame 0, and shot what it was.
	sent *probe
	shot string
	// original says that the frame is as it was sent, and no answer to it.
	original bool
	// text describes the frame as it was seen.
	text string
}

// maxStrangers bounds what is remembered, for networks with much traffic.
const maxStrangers = 10_000

// journal is what happened. It is safe for concurrent use.
type journal struct {
	magic magic
	// sentinel is the frame that the host sends to itself; it is not counted.
	sentinel uint32

	mu        sync.Mutex
	changed   chan struct{} // closed at the next change
	sent      map[uint32]frame
	arrived   map[uint32]map[*probe]bool
	strangers map[stranger]int
	passages  map[passage]int
	datagrams map[uint32]int
	// sniffed and received count the sentinel at the host's packet socket and
	// at its UDP socket.
	sniffed, received int
}

func newJournal(m magic) *journal {
	j := &journal{
		magic: m, changed: make(chan struct{}), sent: map[uint32]frame{}, arrived: map[uint32]map[*probe]bool{},
		strangers: map[stranger]int{}, passages: map[passage]int{}, datagrams: map[uint32]int{},
	}
	j.sentinel = j.number(frame{text: "a datagram of the host to itself"})
	return j
}

// number takes down a frame before it is sent, and returns the next number.
func (j *journal) number(f frame) uint32 {
	j.mu.Lock()
	defer j.mu.Unlock()
	seq := uint32(len(j.sent) + 1) //nolint:gosec // far fewer frames
	j.sent[seq] = f
	return seq
}

// note changes the journal and wakes up who waits.
func (j *journal) note(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
	close(j.changed)
	j.changed = make(chan struct{})
}

// atProbe takes down what arrived at a probe.
func (j *journal) atProbe(p *probe, s sighting) {
	if s.outgoing {
		return
	}
	seq, ours := j.magic.find(s.frame)
	from, what := source(s.frame), describe(s.frame)
	j.note(func() {
		if f := j.sent[seq]; ours && f.from != nil && f.from.mac == from {
			if j.arrived[seq] == nil {
				j.arrived[seq] = map[*probe]bool{}
			}
			j.arrived[seq][p] = true
			return
		}
		key := stranger{at: p, from: from, kind: what}
		if _, again := j.strangers[key]; !again && len(j.strangers) >= maxStrangers {
			key = stranger{at: p, from: from, kind: kind{text: "further frames"}}
		}
		j.strangers[key]++
	})
}

// atHost takes down a frame of the run that the host saw.
func (j *journal) atHost(s sighting) {
	seq, ours := j.magic.find(s.frame)
	if !ours {
		seq = 0 // a question for an IPv4 neighbour
	}
	from, what := source(s.frame), describe(s.frame)
	j.note(func() {
		f, known := j.sent[seq]
		original := f.from != nil && f.from.mac == from
		switch {
		case seq == j.sentinel:
			j.sniffed++
		case known || seq == 0:
			j.passages[passage{device: s.device, outgoing: s.outgoing, sent: f.from, shot: f.text, original: original, text: what.text}]++
		}
	})
}

// atSocket takes down a datagram that a UDP socket of the host received.
func (j *journal) atSocket(data []byte) {
	seq, ours := j.magic.find(data)
	j.note(func() {
		switch _, known := j.sent[seq]; {
		case ours && seq == j.sentinel:
			j.received++
		case ours && known:
			j.datagrams[seq]++
		}
	})
}

// await waits until done says so, which it asks at every change. It returns
// false after the patience.
func (j *journal) await(ctx context.Context, patience time.Duration, done func() bool) (bool, error) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		j.mu.Lock()
		yes, changed := done(), j.changed
		j.mu.Unlock()
		if yes {
			return true, nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// events is a copy of all that was taken down.
type events struct {
	sent      map[uint32]frame
	arrived   map[uint32]map[*probe]bool
	strangers map[stranger]int
	passages  map[passage]int
	datagrams map[uint32]int
}

func (j *journal) events() events {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := events{
		sent: maps.Clone(j.sent), arrived: map[uint32]map[*probe]bool{}, strangers: maps.Clone(j.strangers),
		passages: maps.Clone(j.passages), datagrams: maps.Clone(j.datagrams),
	}
	for seq, at := range j.arrived {
		e.arrived[seq] = maps.Clone(at)
	}
	return e
}
