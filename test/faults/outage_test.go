package faults

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// outage is a process that is not there, or hangs, for a while.
type outage struct {
	options    []hosttest.Option
	begin, end func(*hosttest.Host)
	// answer is the status code that a write of the host gets meanwhile.
	answer int
	// says is in the answer.
	says string
	// stale says that replies are of the past meanwhile.
	stale bool
	// passes is what VMs can send each other meanwhile, by the datapath.
	passes map[string]passing
}

// passing is a part of the frames between VMs.
type passing int

const (
	// allFrames pass, and nothing is lost at the end either.
	allFrames passing = iota
	// knownFrames are those of which others have passed before: the kernel's datapath does not ask about those.
	knownFrames
	// noFrames pass.
	noFrames
)

func outages() map[string]outage {
	return map[string]outage{
		"the store's server dies": {
			begin:  func(h *hosttest.Host) { h.Store.Stop() },
			end:    func(h *hosttest.Host) { h.Store.Start() },
			answer: http.StatusServiceUnavailable, stale: true,
		},
		"the store's server hangs": {
			begin:  func(h *hosttest.Host) { h.Store.Signal(syscall.SIGSTOP) },
			end:    func(h *hosttest.Host) { h.Store.Signal(syscall.SIGCONT) },
			answer: http.StatusServiceUnavailable, stale: true,
		},
		"isonetd's own server of the store hangs": {
			options: []hosttest.Option{hosttest.OwnStore("")},
			begin:   func(h *hosttest.Host) { h.SignalOwnStore(syscall.SIGSTOP) },
			end:     func(h *hosttest.Host) { h.SignalOwnStore(syscall.SIGCONT) },
			answer:  http.StatusServiceUnavailable, stale: true, says: "is stopped, somebody has sent it SIGSTOP",
		},
		"Open vSwitch's database server dies": {
			begin:  func(h *hosttest.Host) { h.OVS.StopServer() },
			end:    func(h *hosttest.Host) { h.OVS.StartServer() },
			answer: http.StatusServiceUnavailable, stale: true, passes: map[string]passing{ovstest.Userspace: noFrames},
		},
		"Open vSwitch's database server hangs": {
			begin:  func(h *hosttest.Host) { h.OVS.SignalServer(syscall.SIGSTOP) },
			end:    func(h *hosttest.Host) { h.OVS.SignalServer(syscall.SIGCONT) },
			answer: http.StatusServiceUnavailable, stale: true, passes: map[string]passing{ovstest.Userspace: noFrames},
		},
		"ovs-vswitchd dies": {
			begin:  func(h *hosttest.Host) { h.OVS.StopVSwitchd() },
			end:    func(h *hosttest.Host) { h.OVS.StartVSwitchd() },
			answer: http.StatusServiceUnavailable, passes: map[string]passing{ovstest.Userspace: noFrames, ovstest.Kernel: knownFrames},
		},
		"ovs-vswitchd hangs": {
			begin:  func(h *hosttest.Host) { h.OVS.SignalVSwitchd(syscall.SIGSTOP) },
			end:    func(h *hosttest.Host) { h.OVS.SignalVSwitchd(syscall.SIGCONT) },
			answer: http.StatusServiceUnavailable, passes: map[string]passing{ovstest.Userspace: noFrames, ovstest.Kernel: knownFrames},
		},
	}
}

// TestOutages ends and stops each process that isonetd depends on. Reads are
// answered meanwhile and say that they are stale, writes are refused with
// Retry-After, and afterwards all is as it was.
func TestOutages(t *testing.T) {
	t.Parallel()
	for name, o := range outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, stream := start(t, o.options...)
			h.Create("blue")
			red := h.Network("red")
			h.Must("PUT", red, `{"description":"acknowledged"}`)
			h.OVS.Applied()

			o.begin(h)
			if o.stale {
				h.Await("replies say that they are stale", func(s hosttest.Status) bool { return s.Stale })
			}
			o.write(h)
			for _, read := range []string{"/networks", h.Path(), h.Path() + "/networkattachments", "/isonet/status"} {
				reply := h.Answer("GET", read, "")
				if stale := reply.Header.Get("Isonet-Stale") != ""; reply.Code != http.StatusOK || stale != o.stale {
					t.Errorf("GET %s: %+v", read, reply)
				}
			}
			passes := o.passes[ovstest.Datapath()]
			passes.flow(t, stream)
			o.end(h)

			h.AwaitReady()
			h.Converges("red")
			if got := h.Must("GET", red, "")["description"]; got != "acknowledged" {
				t.Errorf("the description is %v", got)
			}
			h.Attach("blue")
			h.Converges("red", "blue")
			stream.Flows(t)
			newcomers(t, stream, "newcomers after the outage")
			lost, sent := stream.Lost()
			t.Logf("%d of %d frames were lost", lost, sent)
			if lost != 0 && passes == allFrames {
				t.Error("that is too many")
			}
		})
	}
}

// flow shows what passes during an outage.
func (p passing) flow(t *testing.T, stream *hosttest.Stream) {
	t.Helper()
	const name = "newcomers"
	switch p {
	case allFrames:
		stream.Flows(t)
		newcomers(t, stream, name)
	case knownFrames:
		arrived := stream.Newcomer(name)
		stream.Flows(t)
		if arrived || stream.Newcomer(name) {
			t.Error("a frame that nobody could decide about has arrived")
		}
	case noFrames:
	}
}

// newcomers waits until frames from addresses that nobody has seen arrive.
func newcomers(t *testing.T, stream *hosttest.Stream, name string) {
	t.Helper()
	ovstest.Eventually(t, name+" get through", func() error {
		if !stream.Newcomer(name) {
			return errors.New("they do not")
		}
		return nil
	})
}

// write tries to attach the network blue during the outage.
func (o outage) write(h *hosttest.Host) {
	h.Helper()
	reply := h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching("blue"))
	if reply.Code != o.answer || !strings.Contains(reply.Text, o.says) || reply.Header.Get("Retry-After") == "" {
		h.Errorf("a write is answered with %+v", reply)
	}
}

// TestAWriteWhoseFateIsUnknown lets the store's server die when a write was sent:
// the client must neither take it for made nor for not made.
func TestAWriteWhoseFateIsUnknown(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("blue")
	gate := h.ToStore.Hold(t, "a write", hosttest.Writes("Network"), nil)
	reply := make(chan hosttest.Reply, 1)
	go func() { reply <- h.Answer("POST", "/networks", `{"name":"red","data_center":{"name":"Default"}}`) }()
	gate.Await()
	h.Store.Stop()
	got := <-reply
	if got.Code != http.StatusGatewayTimeout || got.Header.Get("Retry-After") == "" || !strings.Contains(got.Text, "it is unknown whether the change was made") {
		t.Errorf("the write is answered with %+v", got)
	}
	gate.Drop()
	h.ToStore.Spoil(nil)
	h.Store.Start()
	h.AwaitReady()
	h.Create("red") // the client has looked
	h.Network("blue")
}

// TestAClientGoesAway ends the connection of a client in the midst of its write,
// which is made all the same.
func TestAClientGoesAway(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red")
	gate := h.ToStore.Hold(t, "the write", hosttest.Writes("Attachment"), nil)
	conn, err := net.Dial("unix", h.Socket())
	if err != nil {
		t.Fatal(err)
	}
	body := hosttest.Attaching("red")
	_, err = fmt.Fprintf(conn, "POST /ovirt-engine/api%s/setupnetworks HTTP/1.1\r\nHost: isonet\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		h.Path(), len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	gate.Await()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	h.ToStore.Spoil(nil)
	gate.Pass()
	h.Converges("red")
}

// TestIsonetdHangs stops isonetd while others change what is its own. VMs reach
// each other all the time, and when it goes on it finds all that happened.
func TestIsonetdHangs(t *testing.T) {
	t.Parallel()
	h, stream := start(t)
	h.Create("blue")
	h.Attach("blue")
	h.Process().Signal(t, syscall.SIGSTOP)
	// More than the sockets between hold.
	for i := range 50 {
		h.OVS.Vsctl("--no-wait", "set", "Open_vSwitch", ".", fmt.Sprintf("external_ids:churn%d=%s", i, strings.Repeat("x", 20_000)))
	}
	h.OVS.Vsctl("--no-wait", "del-br", "blue", "--", "add-br", "theirs", "--", "set", "bridge", "red", "fail_mode=secure", "other_config:x=y")
	h.OVS.Vsctl("--no-wait", "set", "bridge", "red", "fail_mode=standalone")
	h.Process().Signal(t, syscall.SIGCONT)
	h.AwaitReady()
	h.Await("the bridge is there again", func(hosttest.Status) bool { return strings.Contains(strings.Join(h.Bridges(), " "), "blue") })
	h.OVS.Vsctl("del-br", "theirs")
	h.Converges("red", "blue")
	stream.Flows(t)
}

// TestVSwitchdComesLate starts isonetd before ovs-vswitchd, on a host that has
// networks and on one that has none.
func TestVSwitchdComesLate(t *testing.T) {
	t.Parallel()
	h := newHost(t, hosttest.OnOVS(ovstest.WithoutVSwitchd()))
	h.Start()
	h.Create("red", "blue")
	reply := h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching("red"))
	if reply.Code != http.StatusServiceUnavailable || !strings.Contains(reply.Text, "ovs-vswitchd does not run") {
		t.Errorf("a write without vswitchd is answered with %+v", reply)
	}
	if got := h.Bridges(); len(got) != 0 {
		t.Errorf("the bridges are %v", got)
	}
	h.OVS.StartVSwitchd()
	h.Attach("red")
	h.Converges("red")

	// A host that starts: isonetd's networks wait for vswitchd.
	h.OVS.StopVSwitchd()
	h.Kill()
	h.Start()
	h.OVS.Vsctl("--no-wait", "set", "bridge", "red", "fail_mode=secure")
	h.Await("the network waits for vswitchd", func(s hosttest.Status) bool {
		return len(s.Networks) == 1 && s.Networks[0].State == "unknown" && strings.Contains(s.Networks[0].Reason, "ovs-vswitchd does not run")
	})
	h.OVS.StartVSwitchd()
	h.Converges("red")
}

// TestInvalidRowsHurtNobody writes into the store what isonet never would, into rows of
// every table that a network in use depends on. Frames flow, the network stays, isonetd
// tells, others can change, and what isonet writes to the same rows corrects them.
func TestInvalidRowsHurtNobody(t *testing.T) {
	t.Parallel()
	h, stream := start(t)
	notices := func(count string) {
		t.Helper()
		ovstest.Eventually(t, "there are "+count+" notices", func() error {
			metrics, err := h.Metrics()
			if err != nil || !strings.Contains(metrics, "\nisonet_notices "+count+"\n") {
				return fmt.Errorf("the metrics have another number, %w", err)
			}
			return nil
		})
	}
	notices("0")
	for _, row := range []string{
		`"table":"Network","where":[["name","==","red"]],"row":{"mtu":10,"label":"no label"}`,
		`"table":"Host","where":[],"row":{"labels":["set",["no label"]]}`,
	} {
		h.Store.Transact(`["Isolated_Networks",{"op":"update",` + row + `}]`)
	}
	notices("1")
	h.Create("blue")
	h.Attach("blue")
	h.Converges("red", "blue")
	h.Must("PUT", h.Network("red"), `{"mtu": 1400}`)
	h.Must("POST", h.Path()+"/networklabels", `{"id": "lab"}`)
	notices("0")
	h.Converges("red", "blue")
	stream.Flows(t)
}

// TestStartsWithoutItsStore starts isonetd while nobody serves the desired state. It
// goes by what it knew: it says that this is of the past, repairs drift, accepts VMs and
// keeps uplinks out, removes no bridge, and refuses changes. Frames flow.
func TestStartsWithoutItsStore(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]outage{
		"dead": {begin: func(h *hosttest.Host) { h.Store.Stop() }, end: func(h *hosttest.Host) { h.Store.Start() }},
		"hung": {
			begin: func(h *hosttest.Host) { h.Store.Signal(syscall.SIGSTOP) },
			end:   func(h *hosttest.Host) { h.Store.Signal(syscall.SIGCONT) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, stream := start(t)
			h.Create("blue")
			h.Attach("blue")
			h.Stop() // with all saved
			h.Launch()
			h.AwaitReady()
			h.Create("green")
			h.Attach("green")
			h.Kill() // perhaps before green is saved
			away.begin(h)
			h.Launch()
			ovstest.Eventually(t, "what isonetd knew is told as of the past", func() error {
				reply, err := h.Ask("GET", "/networks", "")
				if err != nil || reply.Code != http.StatusOK || !strings.Contains(reply.Text, `"blue"`) || reply.Header.Get("Isonet-Stale") == "" {
					return fmt.Errorf("%+v, %w", reply, err)
				}
				return nil
			})
			h.OVS.Vsctl("--no-wait", "del-br", "blue", "--", "set", "bridge", "red", "fail_mode=standalone")
			ovstest.Eventually(t, "drift is repaired", func() error {
				if bridges := h.Own(); !slices.Equal(bridges, []string{"blue", "green", "red"}) {
					return fmt.Errorf("isonet's bridges are %v", bridges)
				}
				if mode := h.OVS.Vsctl("get", "bridge", "red", "fail_mode"); strings.TrimSpace(mode) != "secure" {
					return fmt.Errorf("red is %s", mode)
				}
				return nil
			})
			h.Await("it is told that the store is missing", func(s hosttest.Status) bool {
				return len(s.Missing) > 0 && s.Missing[0].Ground == "store"
			})
			if reply := h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Detaching("blue")); reply.Code != http.StatusServiceUnavailable {
				t.Errorf("a change is answered with %+v", reply)
			}
			away.end(h)
			h.Converges("blue", "green", "red")
			stream.Flows(t)
		})
	}
}
