package faults

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
)

// numbered returns names of networks.
func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(prefix, i)
	}
	return names
}

// device makes a network device on the host.
func device(h *hosttest.Host, name string) {
	h.Helper()
	if out, err := h.Command("ip", "link", "add", name, "type", "veth", "peer", "name", name+"-peer").CombinedOutput(); err != nil {
		h.Fatalf("%v: %s", err, out)
	}
}

// TestOneNameOf300IsTaken asks for 300 networks of which one has the name of a
// network device: none is made.
func TestOneNameOf300IsTaken(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	names := numbered("blue", 300)
	h.Create(names...)
	device(h, "blue150")
	before := h.OVS.NextCfg()
	reply := h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching(names...))
	if reply.Code != http.StatusConflict || !strings.Contains(reply.Text, "'blue150'") || strings.Contains(reply.Text, "'blue151'") {
		t.Errorf("the answer is %+v", reply)
	}
	if after := h.OVS.NextCfg(); after != before {
		t.Errorf("next_cfg went from %d to %d", before, after)
	}
	h.Converges()
}

// TestADeviceAppearsInTheMidst makes the device when isonetd has looked and its
// transaction is on its way: Open vSwitch fails to make that bridge, and those
// that it made are taken back.
func TestADeviceAppearsInTheMidst(t *testing.T) {
	t.Parallel()
	h, stream := start(t)
	names := numbered("blue", 20)
	h.Create(names...)
	gate := h.ToOVS.Hold(t, "the transaction of 20 bridges", hosttest.Writes("Bridge"), nil)
	reply := make(chan hosttest.Reply, 1)
	go func() { reply <- h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching(names...)) }()
	gate.Await()
	device(h, "blue7")
	h.ToOVS.Spoil(nil)
	gate.Pass()
	got := <-reply
	if got.Code < http.StatusBadRequest || !strings.Contains(got.Text, "'blue7'") || strings.Contains(got.Text, "'blue8'") || !strings.Contains(got.Text, "taken back") {
		t.Errorf("the answer is %+v", got)
	}
	h.Converges("red")
	stream.Complete()
}
