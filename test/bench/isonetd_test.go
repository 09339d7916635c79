package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// isonetd is the real program, on an Open vSwitch of its own.
type isonetd struct {
	*testing.B
	ovs     *openvswitch
	program string
	socket  string
	state   string
	client  *http.Client
	cmd     *exec.Cmd // nil while stopped
	log     string    // its file
	flags   []string  // more of them

	host string // path of the host's resource
	// names and ids are of the networks to work with.
	names, ids []string
}

// newISOnetd builds the program, makes the networks and stops.
func newISOnetd(b *testing.B, o *openvswitch, networks int) *isonetd {
	b.Helper()
	dir := b.TempDir()
	program, err := hosttest.Build(dir)
	if err != nil {
		b.Fatal(err)
	}
	d := &isonetd{
		B: b, ovs: o, program: program, state: filepath.Join(dir, "state"),
		log:    filepath.Join(dir, "log"),
		socket: filepath.Join(o.Dir(), "isonet", "api.sock"),
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.socket)
	}}
	d.client = &http.Client{Transport: transport}
	b.Cleanup(transport.CloseIdleConnections)
	b.Cleanup(d.stop)
	d.start()
	for i := range networks {
		name := fmt.Sprintf("net%d", i)
		var made struct{ ID string }
		if err := json.Unmarshal(d.post("/networks", `{"name":"`+name+`","data_center":{"name":"Default"}}`), &made); err != nil {
			b.Fatal(err)
		}
		d.names, d.ids = append(d.names, name), append(d.ids, made.ID)
	}
	d.stop()
	return d
}

// start starts the daemon in vswitchd's network namespace, because it looks at
// the devices there, and waits until it says that all networks of its host are as
// they must be. It returns how long that took.
func (d *isonetd) start() time.Duration {
	d.Helper()
	log, err := os.Create(d.log)
	if err != nil {
		d.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the daemon writes to it
	d.cmd = exec.CommandContext(context.Background(), "ip", append([]string{
		"netns", "exec", d.ovs.namespace, d.program,
		"--ovsdb", d.ovs.Endpoint(), "--state-dir", d.state, "--socket", d.socket, "--metrics-listen", "", "--datapath-type", ovstest.Datapath(),
	}, d.flags...)...)
	d.cmd.Stderr = log
	begin := time.Now()
	if err := d.cmd.Start(); err != nil {
		d.Fatal(err)
	}
	ovstest.Eventually(d.B, "isonetd knows its host", func() error {
		reply, err := d.call("GET", "/hosts", "")
		if err != nil {
			return err
		}
		var hosts struct{ Host []struct{ ID string } }
		if err := json.Unmarshal(reply, &hosts); err != nil {
			return err
		}
		if len(hosts.Host) != 1 {
			return fmt.Errorf("hosts: %s", reply)
		}
		d.host = "/hosts/" + hosts.Host[0].ID
		return nil
	})
	ovstest.Eventually(d.B, "isonetd has looked at Open vSwitch", func() error {
		_, err := d.call("POST", d.host+"/syncallnetworks", "{}")
		return err
	})
	return time.Since(begin)
}

// stop ends the daemon, if it runs. Bridges stay as they are.
func (d *isonetd) stop() {
	d.Helper()
	if d.cmd == nil {
		return
	}
	cmd := d.cmd
	d.cmd = nil
	d.client.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.Errorf("stop isonetd: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		d.Errorf("isonetd: %v\n%s", err, d.read(d.log))
	}
}

// attachAll attaches all networks in one request. isonet answers when they are
// realised.
func (d *isonetd) attachAll() time.Duration {
	d.Helper()
	return d.setup("modified_network_attachments")
}

// detachAll is the reverse of attachAll. isonet answers when the database has it.
func (d *isonetd) detachAll() time.Duration {
	d.Helper()
	return d.setup("removed_network_attachments")
}

// removeAll is detachAll that also tells when vswitchd has applied it.
func (d *isonetd) removeAll() (answered, done time.Duration) {
	d.Helper()
	c, events := d.ovs.monitor()
	defer c.Close()
	before := d.ovs.NextCfg()
	start := time.Now()
	answered = d.detachAll()
	d.ovs.await(events, before+1, applied)
	return answered, time.Since(start)
}

// setMTU changes the MTU of all networks in one request. isonet answers when Open vSwitch has
// applied it.
func (d *isonetd) setMTU(mtu int) time.Duration {
	d.Helper()
	items := make([]string, len(d.ids))
	for i, id := range d.ids {
		items[i] = fmt.Sprintf(`{"id":%q,"mtu":%d}`, id, mtu)
	}
	body := fmt.Sprintf(`{"connectivity_timeout":600,"network":[%s]}`, strings.Join(items, ","))
	start := time.Now()
	d.post("/isonet/networks", body)
	return time.Since(start)
}

func (d *isonetd) setup(what string) time.Duration {
	d.Helper()
	body := d.setupOf(what)
	start := time.Now()
	d.post(d.host+"/setupnetworks", body)
	return time.Since(start)
}

// setupOf is the body of a request about all networks.
func (d *isonetd) setupOf(what string) string {
	items := make([]string, len(d.names))
	for i, name := range d.names {
		items[i] = `{"network":{"name":"` + name + `"}}`
	}
	return fmt.Sprintf(`{"connectivity_timeout":"600",%q:{"network_attachment":[%s]}}`, what, strings.Join(items, ","))
}

func (d *isonetd) post(path, body string) []byte {
	d.Helper()
	reply, err := d.call("POST", path, body)
	if err != nil {
		d.Fatalf("%v\n%s", err, d.read(d.log))
	}
	return reply
}

func (d *isonetd) call(method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(d.Context(), method, "http://isonet/ovirt-engine/api"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end
	reply, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, reply)
	}
	return reply, nil
}

// memory returns the resident memory of the daemon and of its child, in MiB.
func (d *isonetd) memory() (own, store float64) {
	d.Helper()
	pid := d.cmd.Process.Pid
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		d.Fatal(err)
	}
	for _, file := range threads {
		for _, child := range strings.Fields(d.read(file)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				d.Fatal(err)
			}
			store += residentMemory(d.B, n)
		}
	}
	return residentMemory(d.B, pid), store
}

// residentMemory reads VmRSS (proc_pid_status(5)), in MiB.
func residentMemory(b *testing.B, pid int) float64 {
	b.Helper()
	_, after, _ := strings.Cut(readFile(b, fmt.Sprintf("/proc/%d/status", pid)), "VmRSS:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		b.Fatalf("process %d has no VmRSS", pid)
	}
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kib) / 1024
}

func (d *isonetd) read(file string) string {
	d.Helper()
	return readFile(d.B, file)
}

func readFile(b *testing.B, file string) string {
	b.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}
