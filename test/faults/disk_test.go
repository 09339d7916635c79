package faults

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// disk is a small one of its own.
type disk struct {
	*testing.T
	dir string
}

// newDisk returns a disk of 1 MiB. It ends with the test.
func newDisk(t *testing.T) *disk {
	t.Helper()
	dir, err := os.MkdirTemp("", "disk")
	if err != nil {
		t.Fatal(err)
	}
	d := &disk{t, dir}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(dir, syscall.MNT_DETACH), os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size=1m"); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	return d
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill leaves no room on the disk.
func (d *disk) fill() {
	d.Helper()
	file, err := os.Create(d.ballast())
	if err != nil {
		d.Fatal(err)
	}
	for err == nil {
		_, err = file.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.Fatal(err)
	}
	if err := file.Close(); err != nil {
		d.Fatal(err)
	}
}

// free makes room again.
func (d *disk) free() {
	d.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.Fatal(err)
	}
}

// readOnly makes the disk one that nobody can write to, or ends that. Nobody may
// be writing.
func (d *disk) readOnly(on bool) {
	d.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if on {
		flags |= syscall.MS_RDONLY
	}
	if err := syscall.Mount("", d.dir, "", flags, ""); err != nil {
		d.Fatalf("mount anew: %v", err)
	}
}

// describe writes a description of the network red and returns the answer.
func describe(h *hosttest.Host, red, text string) hosttest.Reply {
	h.Helper()
	return h.Answer("PUT", red, fmt.Sprintf(`{"description":%q}`, text))
}

// TestTheStoresDiskIsFull fills the disk of the desired state. A write that does
// not fit is refused and leaves nothing; one that is acknowledged is there after
// a restart, which the full disk does not prevent.
func TestTheStoresDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	h, stream := start(t, hosttest.OwnStore(disk.dir))
	h.Create("blue")
	red := h.Network("red")
	disk.fill()
	acknowledged, refused := "", hosttest.Reply{}
	for i := 0; refused.Code == 0; i++ { // the file's last block has some room
		text := fmt.Sprint(i, strings.Repeat("x", 200))
		reply := describe(h, red, text)
		if reply.Code == http.StatusOK {
			acknowledged = text
		} else {
			refused = reply
		}
	}
	if refused.Code != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" || !strings.Contains(refused.Text, "write failed") {
		t.Errorf("a write to a full disk is answered with %+v", refused)
	}
	unharmed := func() {
		t.Helper()
		if got := h.Must("GET", red, "")["description"]; got != acknowledged && (acknowledged != "" || got != nil) {
			t.Errorf("the description is %v, acknowledged was %q", got, acknowledged)
		}
		h.Converges("red")
	}
	unharmed()
	h.Kill()
	h.Start()
	unharmed()
	// The start may have made room, by compacting the file.
	reply := h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching("blue"))
	if reply.Code != http.StatusOK && reply.Code != http.StatusServiceUnavailable {
		t.Errorf("a write after a restart is answered with %+v", reply)
	}
	disk.free()
	h.Attach("blue")
	h.Converges("red", "blue")
	h.Kill()
	h.Start()
	h.Converges("red", "blue")
	stream.Complete()
}

// TestOpenVSwitchsDiskIsFull fills the disk of Open vSwitch's database. What
// does not fit is taken back, and the answer says why.
func TestOpenVSwitchsDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	h, stream := start(t, hosttest.OnOVS(ovstest.DatabaseIn(disk.dir)))
	h.Create("blue")
	disk.fill()
	for i := 0; ; i++ { // the file's last block has some room
		out, err := h.OVS.VsctlCommand("--no-wait", "set", "Open_vSwitch", ".", fmt.Sprintf("external_ids:x=%d%0200d", i, i)).CombinedOutput()
		if err != nil {
			if !strings.Contains(string(out), "No space left") {
				t.Fatalf("%v: %s", err, out)
			}
			break
		}
	}
	reply := h.Answer("POST", h.Path()+"/setupnetworks", strings.Replace(hosttest.Attaching("blue"), "{", `{"connectivity_timeout":"1",`, 1))
	if reply.Code != http.StatusGatewayTimeout || reply.Header.Get("Retry-After") == "" ||
		!strings.Contains(reply.Text, "'blue'") || !strings.Contains(reply.Text, "write failed") || !strings.Contains(reply.Text, "taken back") {
		t.Errorf("a write is answered with %+v", reply)
	}
	if got := strings.Join(h.Attached(), " "); got != "red" {
		t.Errorf("the host is to have %s", got)
	}
	stream.Flows(t)
	disk.free()
	h.Converges("red")
	h.Attach("blue")
	h.Converges("red", "blue")
	stream.Complete()
}

// TestDisksThatCannotBeWritten starts isonetd and Open vSwitch on such ones:
// they refuse, and say why, and come back when it is over.
func TestDisksThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	state, database := newDisk(t), newDisk(t)
	h := newHost(t, hosttest.OwnStore(state.dir), hosttest.OnOVS(ovstest.DatabaseIn(database.dir)))
	h.Start()
	h.Create("red")
	h.Attach("red")
	h.Kill()

	ovstest.Eventually(t, "isonetd's ovsdb-server has ended", func() error {
		return syscall.Mount("", state.dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	})
	before := h.OVS.Versions()
	h.Launch()
	if code := h.Process().ExitCode(); code != 1 || !strings.Contains(h.Logged(), "read-only file system") {
		t.Errorf("isonetd ended with %d and said\n%s", code, h.Logged())
	}
	if fmt.Sprint(before) != fmt.Sprint(h.OVS.Versions()) {
		t.Error("it changed Open vSwitch")
	}
	state.readOnly(false)
	h.Start()
	h.Converges("red")

	h.OVS.StopServer()
	database.readOnly(true)
	if err := h.OVS.Server().TryStart(); err == nil || !strings.Contains(err.Error(), "Read-only file system") {
		t.Errorf("ovsdb-server says %v", err)
	}
	h.Await("replies say that they are stale", func(s hosttest.Status) bool { return s.Stale })
	database.readOnly(false)
	h.OVS.StartServer()
	h.Converges("red")
}

// TestOpenVSwitchsDatabaseIsLost replaces the database by an empty one, by an
// older one, and by one that lost its last transactions. isonet makes again what
// it wants, and nothing else.
func TestOpenVSwitchsDatabaseIsLost(t *testing.T) {
	t.Parallel()
	type loss func(t *testing.T, h *hosttest.Host, backup []byte)
	systemID := func(h *hosttest.Host) {
		// As the start scripts of Open vSwitch do.
		h.OVS.Vsctl("--no-wait", "set", "Open_vSwitch", ".", "external_ids:system-id="+strings.TrimPrefix(h.Path(), "/hosts/"))
	}
	for name, lose := range map[string]loss{
		"emptied": func(_ *testing.T, h *hosttest.Host, _ []byte) {
			h.OVS.Server().Create(ovstest.Schema)
			h.OVS.StartServer()
			h.OVS.Init()
			systemID(h)
		},
		"unlinked": func(t *testing.T, h *hosttest.Host, _ []byte) {
			if err := os.Remove(h.OVS.Server().File()); err != nil {
				t.Fatal(err)
			}
			if err := h.OVS.Server().TryStart(); err == nil {
				t.Error("ovsdb-server started without its file")
			}
			h.OVS.Server().Create(ovstest.Schema)
			h.OVS.StartServer()
			h.OVS.Init()
			systemID(h)
		},
		"older": func(t *testing.T, h *hosttest.Host, backup []byte) {
			write(t, h.OVS.Server().File(), backup)
			h.OVS.StartServer()
		},
		"torn": func(t *testing.T, h *hosttest.Host, _ []byte) {
			text := read(t, h.OVS.Server().File())
			write(t, h.OVS.Server().File(), text[:len(text)-7])
			h.OVS.StartServer()
		},
		"truncated to nothing": func(t *testing.T, h *hosttest.Host, _ []byte) {
			write(t, h.OVS.Server().File(), nil)
			if err := h.OVS.Server().TryStart(); err == nil {
				t.Error("ovsdb-server started with a file of 0 bytes")
			}
			h.OVS.Server().Create(ovstest.Schema)
			h.OVS.StartServer()
			h.OVS.Init()
			systemID(h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.Start()
			h.Create("red", "blue", "green")
			h.Attach("red", "green")
			h.OVS.Vsctl("add-br", "theirs", "--", "set", "bridge", "theirs", "datapath_type="+ovstest.Datapath())
			backup := read(t, h.OVS.Server().File())
			h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching("green"))
			h.OVS.Applied()
			h.Attach("blue")
			h.OVS.StopServer()
			lose(t, h, backup)
			theirs := []string{}
			ovstest.Eventually(t, "isonet's bridges are there", func() error {
				for _, b := range h.Bridges() {
					if b == "theirs" {
						theirs = []string{b}
					}
				}
				if got, want := strings.Join(h.Bridges(), " "), strings.Join(append([]string{"blue", "red"}, theirs...), " "); got != want {
					return fmt.Errorf("the bridges are %s, want %s", got, want)
				}
				return nil
			})
			if kept := name == "older" || name == "torn"; kept != (len(theirs) == 1) {
				t.Errorf("somebody else's bridge is there: %v", theirs)
			}
			h.OVS.Vsctl("--if-exists", "del-br", "theirs")
			h.Converges("red", "blue")
		})
	}
}

// TestADeviceIsLeftOfALostBridge lets ovs-vswitchd die and its database be
// emptied: on the userspace datapath the devices stay, and isonet cannot know
// whose they are. It says what is in the way, and goes on when it is gone.
func TestADeviceIsLeftOfALostBridge(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red")
	h.Attach("red")
	h.OVS.StopVSwitchd()
	h.OVS.Vsctl("--no-wait", "del-br", "red")
	h.Kill()
	h.OVS.Vsctl("--no-wait", "--if-exists", "del-br", "red")
	h.OVS.StartVSwitchd()
	h.Start()
	h.Await("the device is named", func(s hosttest.Status) bool {
		return len(s.Networks) == 1 && s.Networks[0].State == "error" && strings.Contains(s.Networks[0].Reason, "a network device 'red' exists")
	})
	if out, err := h.Command("ip", "link", "delete", "red").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.Converges("red")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
