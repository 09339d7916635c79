package faults

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// blindness is something that takes away what verdicts rest on.
type blindness struct {
	begin, end func(*hosttest.Host)
	// ground is what is missing first, cause is in what is said of it.
	ground, cause string
	// serves says that writes work: a new bridge has a socket by which vswitchd
	// answers.
	serves bool
}

func blindnesses() map[string]blindness {
	both := func(signal syscall.Signal) func(*hosttest.Host) {
		return func(h *hosttest.Host) { h.OVS.SignalServer(signal); h.OVS.SignalVSwitchd(signal) }
	}
	return map[string]blindness{
		"ovs-vswitchd dies": {
			func(h *hosttest.Host) { h.OVS.StopVSwitchd() }, func(h *hosttest.Host) { h.OVS.StartVSwitchd() },
			"vswitchd", "ovs-vswitchd does not run", false,
		},
		"ovs-vswitchd is stopped": {
			func(h *hosttest.Host) { h.OVS.SignalVSwitchd(syscall.SIGSTOP) }, func(h *hosttest.Host) { h.OVS.SignalVSwitchd(syscall.SIGCONT) },
			"vswitchd", "was stopped by a signal", false,
		},
		"ovs-vswitchd waits for flows": {
			func(h *hosttest.Host) {
				h.OVS.StopVSwitchd()
				h.OVS.Vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
				h.OVS.StartVSwitchd()
			},
			func(h *hosttest.Host) {
				h.OVS.Vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
			},
			"vswitchd", "forwards nothing new", false,
		},
		"ovs-vswitchd does not reach its database": {
			func(h *hosttest.Host) { h.OVS.StopVSwitchd(); h.OVS.StartVSwitchdWith("unix:" + hidden(h)) },
			func(h *hosttest.Host) { h.OVS.StopVSwitchd(); h.OVS.StartVSwitchd() },
			"vswitchd", "has not begun with its bridges", false,
		},
		"ovsdb-server dies": {
			func(h *hosttest.Host) { h.OVS.StopServer() }, func(h *hosttest.Host) { h.OVS.StartServer() },
			"database", "no session with Open vSwitch's database", false,
		},
		"ovsdb-server is stopped": {
			func(h *hosttest.Host) { h.OVS.SignalServer(syscall.SIGSTOP) }, func(h *hosttest.Host) { h.OVS.SignalServer(syscall.SIGCONT) },
			"database", "database", false,
		},
		"both die": {
			func(h *hosttest.Host) { h.OVS.StopServer(); h.OVS.StopVSwitchd() },
			func(h *hosttest.Host) { h.OVS.StartServer(); h.OVS.StartVSwitchd() },
			"database", "no session with Open vSwitch's database", false,
		},
		"both are stopped": {both(syscall.SIGSTOP), both(syscall.SIGCONT), "database", "database", false},
		"the database is emptied": {
			func(h *hosttest.Host) {
				h.OVS.StopServer()
				h.OVS.Server().Create(ovstest.Schema)
				h.OVS.StartServer()
			},
			func(h *hosttest.Host) {
				h.OVS.Vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "external_ids:system-id="+strings.TrimPrefix(h.Path(), "/hosts/"))
			},
			"database", "is empty", false,
		},
		"the system-id cannot be one": {
			func(h *hosttest.Host) { h.OVS.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id=\"a\tb\"") },
			func(h *hosttest.Host) {
				h.OVS.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id="+strings.TrimPrefix(h.Path(), "/hosts/"))
			},
			"database", "cannot be used", false,
		},
		"vswitchd's sockets are gone when isonetd starts": {
			func(h *hosttest.Host) { h.Kill(); sockets(h, h.OVS.Dir(), hidden(h)); h.Launch() },
			func(h *hosttest.Host) { sockets(h, hidden(h), h.OVS.Dir()) },
			"vswitchd", "nobody answers at its control socket", true,
		},
	}
}

// hidden is a directory where isonetd does not look.
func hidden(h *hosttest.Host) string { return filepath.Join(h.OVS.Dir(), "hidden") }

// sockets moves vswitchd's sockets.
func sockets(h *hosttest.Host, from, to string) {
	h.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		h.Fatal(err)
	}
	for _, pattern := range []string{"ovs-vswitchd.*", "*.mgmt"} {
		paths, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil {
			h.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, ".log") {
				continue
			}
			if err := os.Rename(path, filepath.Join(to, filepath.Base(path))); err != nil {
				h.Fatal(err)
			}
		}
	}
}

// TestWhatIsNotSeenIsUnknown takes away what verdicts rest on, and asks for them
// wherever isonet tells them: nobody may be told that a network is active and
// isolated. Writes are refused and change nothing. Afterwards all is as before.
func TestWhatIsNotSeenIsUnknown(t *testing.T) {
	t.Parallel()
	for name, b := range blindnesses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manager := listen(t)
			h := newHost(t, hosttest.Under("env", "NOTIFY_SOCKET="+manager.path))
			h.Start()
			h.Create("red", "blue")
			h.Attach("red")
			h.Converges("red")
			b.holds(h, manager, false)
			b.begin(h)
			b.holds(h, manager, true)
			reply := h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching("blue"))
			if !b.serves && (reply.Code != http.StatusServiceUnavailable || reply.Header.Get("Retry-After") == "" || !strings.Contains(reply.Text, "othing was changed")) {
				t.Errorf("a write is answered with %+v", reply)
			}
			b.end(h)
			if b.serves {
				h.Converges("red", "blue")
				return
			}
			b.holds(h, manager, false)
			h.Converges("red")
			h.Attach("blue")
			h.Converges("red", "blue")
		})
	}
}

// holds waits until each place tells that the network red is unknown, or that it
// is active and isolated.
func (b blindness) holds(h *hosttest.Host, manager *manager, blind bool) {
	h.Helper()
	state := "active"
	if blind {
		state = "unknown"
	}
	ovstest.Eventually(h, "the status says that the network is "+state, func() error {
		status, err := h.Status()
		if err != nil {
			return err
		}
		said := len(status.Missing) > 0 && status.Missing[0].Ground == b.ground && strings.Contains(status.Missing[0].Cause, b.cause) && status.Missing[0].Remedy != ""
		if len(status.Networks) != 1 || status.Networks[0].State != state || said != blind || (status.Networks[0].Isolation.Verdict == "isolated") == blind {
			return fmt.Errorf("missing %+v, status %v", status.Missing, status)
		}
		return nil
	})
	places := map[string]func() error{
		"attachments": func() error {
			text := h.Answer("GET", h.Path()+"/networkattachments", "").Text
			return says(text, blind, []string{`"verdict": "unknown"`}, []string{`"in_sync": "true"`, `"isolated": "true"`})
		},
		"hosts": func() error {
			return says(h.Answer("GET", h.Path(), "").Text, blind, []string{`"status": "non_responsive"`}, []string{`"status": "up"`})
		},
		"metrics": func() error {
			text, err := h.Metrics()
			return errors.Join(err, says(text, blind,
				[]string{`isonet_network_state{network="red",state="unknown"} 1`, `isonet_evidence_missing{ground="` + b.ground + `"} 1`},
				[]string{`isonet_network_state{network="red",state="active"} 1`, `isonet_network_isolated{network="red"} 1`, `isonet_network_ready{network="red"} 1`}))
		},
		"status line": func() error {
			return says(manager.last(), blind, []string{b.cause, "1 UNKNOWN"}, []string{"1 active"})
		},
		"isonet status": func() error { return b.runs(h, blind, "status") },
		"isonet doctor": func() error { return b.runs(h, blind, "doctor") },
	}
	for place, told := range places {
		ovstest.Eventually(h, fmt.Sprintf("%s: blind is %t", place, blind), told)
	}
}

// runs runs a command of isonet, which must tell by its exit code as well.
func (b blindness) runs(h *hosttest.Host, blind bool, command string) error {
	cmd := h.Command(os.Getenv(clientVariable), "--socket", h.Socket(), command)
	out, err := cmd.CombinedOutput()
	want := 0
	if blind {
		want = 3
	}
	if code := cmd.ProcessState.ExitCode(); code != want {
		return fmt.Errorf("exit code %d, %w: %s", code, err, out)
	}
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return err
	}
	return says(string(out), blind, []string{b.cause, "UNKNOWN"}, []string{"active"})
}

// says reports what is missing of a text: all of unknown and nothing of known when
// somebody is blind, and the other way round.
func says(text string, blind bool, unknown, known []string) error {
	has, lacks := known, unknown
	if blind {
		has, lacks = unknown, known
	}
	has = slices.DeleteFunc(slices.Clone(has), func(part string) bool { return strings.Contains(text, part) })
	lacks = slices.DeleteFunc(slices.Clone(lacks), func(part string) bool { return !strings.Contains(text, part) })
	if len(has)+len(lacks) > 0 {
		return fmt.Errorf("it lacks %q and has %q: %s", has, lacks, text)
	}
	return nil
}

// manager stands in for the service manager, and reads what it is told.
type manager struct {
	t    *testing.T
	path string
	conn *net.UnixConn
	said string
}

func listen(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &manager{t: t, path: filepath.Join(dir, "notify")}
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.conn.Close() })
	return m
}

// last returns the status that was told last.
func (m *manager) last() string {
	buffer := make([]byte, 64<<10)
	raw, err := m.conn.SyscallConn()
	if err != nil {
		m.t.Error(err)
		return ""
	}
	for {
		var n int
		var failed error
		if err := raw.Control(func(fd uintptr) { n, _, failed = syscall.Recvfrom(int(fd), buffer, syscall.MSG_DONTWAIT) }); err != nil || failed != nil {
			return m.said
		}
		for line := range strings.Lines(string(buffer[:n])) {
			if status, is := strings.CutPrefix(line, "STATUS="); is {
				m.said = status
			}
		}
	}
}

// TestTheSystemIDIsTakenAway empties it, as the start of ovs-ctl without one does,
// and removes it: it comes back, and an uplink that was plugged in is removed.
func TestTheSystemIDIsTakenAway(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red")
	h.Attach("red")
	id := h.OVS.Vsctl("get", "Open_vSwitch", ".", "external_ids:system-id")
	for _, take := range [][]string{
		{"set", "Open_vSwitch", ".", `external_ids:system-id=""`}, {"remove", "Open_vSwitch", ".", "external_ids", "system-id"},
	} {
		h.OVS.Vsctl(append(take, "--", "del-br", "red")...)
		ovstest.Eventually(t, "the host has its system-id again", func() error {
			if got := h.OVS.Vsctl("get", "Open_vSwitch", ".", "external_ids"); !strings.Contains(got, "system-id="+id) {
				return fmt.Errorf("external_ids are %s", got)
			}
			return nil
		})
		h.Converges("red")
	}
}

// TestTheSystemIDChanges gives Open vSwitch another system-id, while isonetd runs
// and while it does not. Nothing is deleted. In a store of its own the host has the
// new one from then on; in a shared one people are told, and may put it back.
func TestTheSystemIDChanges(t *testing.T) {
	t.Parallel()
	for name, shared := range map[string]bool{"a store of its own": false, "a shared store": true} {
		for when, down := range map[string]bool{"while isonetd runs": false, "while it does not": true} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				var options []hosttest.Option
				if !shared {
					options = append(options, hosttest.OwnStore(""))
				}
				h := newHost(t, options...)
				h.Start()
				h.Create("red", "idle")
				h.Attach("red", "idle")
				h.Converges("red", "idle")
				first := h.OVS.Vsctl("get", "Open_vSwitch", ".", "external_ids:system-id")
				if down {
					h.Rests()
					h.Kill()
				}
				h.OVS.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id=another")
				if down {
					h.Launch()
				}
				if shared {
					h.Await("people are told", func(s hosttest.Status) bool {
						return len(s.Missing) == 1 && s.Missing[0].Ground == "identity" && strings.Contains(s.Missing[0].Remedy, strings.Trim(first, `"`)) &&
							len(s.Networks) == 2 && s.Networks[0].State == "unknown"
					})
					if got := h.Own(); len(got) != 2 {
						t.Errorf("isonet's bridges are %v", got)
					}
					h.OVS.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id="+first)
				} else {
					ovstest.Eventually(t, "the host has the new system-id", func() error {
						reply, err := h.Ask("GET", "/isonet/status", "")
						if err != nil {
							return err
						}
						return says(reply.Text, true, []string{"changed from " + strings.Trim(first, `"`) + " to another"}, nil)
					})
				}
				h.AwaitReady()
				h.Converges("idle", "red")
			})
		}
	}
}
