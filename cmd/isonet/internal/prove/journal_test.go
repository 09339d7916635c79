package prove

import (
	"encoding/binary"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestJournalAtProbe: only what a probe sent, as it sent it, arrives.
func TestJournalAtProbe(t *testing.T) {
	s := newScene()
	from, to, j := s.pairs[0][0], s.pairs[0][1], s.journal
	seq := j.number(frame{from: from, text: "ARP request"})
	shot := arpRequest(from.station, to.v4, j.magic.token(seq))
	changed := slices.Clone(shot)
	copy(changed[6:], to.mac[:])
	for _, frame := range [][]byte{
		shot, changed, arpRequest(from.station, to.v4, j.magic.token(seq+1)), arpRequest(from.station, to.v4, magic{9}.token(seq)),
	} {
		j.atProbe(to, sighting{frame: frame, outgoing: true}) // it is its own
		j.atProbe(to, sighting{frame: frame})
	}
	e := j.events()
	if len(e.arrived) != 1 || len(e.arrived[seq]) != 1 || !e.arrived[seq][to] {
		t.Errorf("arrived: %v", e.arrived)
	}
	text := "ARP request for " + to.v4.String()
	if n := e.strangers[stranger{to, to.mac, kind{text: text}}]; n != 1 {
		t.Errorf("%d changed ones in %v", n, e.strangers)
	}
	if n := e.strangers[stranger{to, from.mac, kind{text: text}}]; n != 2 {
		t.Errorf("%d ones of others in %v", n, e.strangers)
	}
}

// TestJournalIsBounded by how many different strangers it remembers.
func TestJournalIsBounded(t *testing.T) {
	s := newScene()
	at, j := s.pairs[0][0], s.journal
	const more = 10
	for i := range maxStrangers + more {
		frame := make([]byte, minFrame)
		copy(frame[6:], []byte{2})
		binary.BigEndian.PutUint16(frame[12:], uint16(0x8800+i))
		j.atProbe(at, sighting{frame: frame})
	}
	e := j.events()
	if n := e.strangers[stranger{at, mac{2}, kind{text: "further frames"}}]; len(e.strangers) != maxStrangers+1 || n != more {
		t.Errorf("%d strangers, %d further frames", len(e.strangers), n)
	}
}

func TestJournalAtHost(t *testing.T) {
	s := newScene()
	from, j := s.pairs[0][0], s.journal
	seq := j.number(frame{from: from, text: "echo"})
	shot := echo(from.station, mac{1}, from.v4, 0, j.magic.token(seq))
	answer := echo(s.pairs[0][1].station, mac{1}, from.v4, 0, j.magic.token(seq))
	question := arpRequest(from.station, from.v4, nil)
	for _, frame := range [][]byte{
		shot, answer, question,
		echo(from.station, mac{1}, from.v4, 0, j.magic.token(seq+1)), // nobody sent it
		echo(from.station, mac{1}, from.v4, 0, j.magic.token(j.sentinel)),
	} {
		j.atHost(sighting{frame: frame, device: nic, outgoing: true})
	}
	e := j.events()
	for _, p := range []passage{
		{nic, true, from, "echo", true, describe(shot).text},
		{nic, true, from, "echo", false, describe(answer).text},
		{nic, true, nil, "", false, describe(question).text},
	} {
		if e.passages[p] != 1 {
			t.Errorf("%+v is not among %+v", p, e.passages)
		}
	}
	if len(e.passages) != 3 || j.sniffed != 1 {
		t.Errorf("%+v, and the sentinel %d times", e.passages, j.sniffed)
	}
	for _, n := range []uint32{seq, seq + 1, j.sentinel} {
		j.atSocket(j.magic.token(n))
	}
	if e = j.events(); len(e.datagrams) != 1 || e.datagrams[seq] != 1 || j.received != 1 {
		t.Errorf("%v, and the sentinel %d times", e.datagrams, j.received)
	}
}

// TestJournalAwaits what happens, or the end of the time.
func TestJournalAwaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(runMagic())
		go func() {
			for range 3 {
				time.Sleep(time.Second) // of the test's clock
				j.note(func() { j.received++ })
			}
		}()
		if there, err := j.await(t.Context(), time.Minute, func() bool { return j.received == 3 }); !there || err != nil {
			t.Errorf("%t, %v", there, err)
		}
		if there, err := j.await(t.Context(), time.Minute, func() bool { return j.received == 4 }); there || err != nil {
			t.Errorf("%t, %v", there, err)
		}
	})
}

// TestTagsArePutBack where the kernel took them out.
func TestTagsArePutBack(t *testing.T) {
	frame := arpRequest(sender(), sender().v4, nil)
	const size = 20 // of struct tpacket_auxdata, in bytes
	auxiliary := func(status uint32) []byte {
		control := make([]byte, unix.CmsgSpace(size))
		binary.NativeEndian.PutUint64(control, uint64(unix.CmsgLen(size)))
		binary.NativeEndian.PutUint32(control[8:], unix.SOL_PACKET)
		binary.NativeEndian.PutUint32(control[12:], unix.PACKET_AUXDATA)
		data := control[unix.CmsgLen(0):]
		binary.NativeEndian.PutUint32(data, status)
		binary.NativeEndian.PutUint16(data[16:], probeVLAN)
		binary.NativeEndian.PutUint16(data[18:], etherVLAN)
		return control
	}
	if got, want := withTag(frame, auxiliary(unix.TP_STATUS_VLAN_VALID)), tagged(frame, probeVLAN); !slices.Equal(got, want) {
		t.Errorf("got  % x\nwant % x", got, want)
	}
	for _, control := range [][]byte{auxiliary(0), nil, {1, 2, 3}} {
		if got := withTag(frame, control); !slices.Equal(got, frame) {
			t.Errorf("got  % x\nwant % x", got, frame)
		}
	}
}
