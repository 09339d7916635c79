// Package ovstest starts private Open vSwitch instances for tests and
// benchmarks: a real ovsdb-server and a real ovs-vswitchd as child processes.
package ovstest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// Schema is where the package of Open vSwitch puts the schema of its database.
const Schema = "/usr/share/openvswitch/vswitch.ovsschema"

// Patience bounds every wait. It is generous, because it only decides how long
// a broken run takes. An emulated machine is many times slower than a real one.
const Patience = 3 * time.Minute

// OVS is one private instance. Its files are in a directory of their own; it
// shares nothing with the machine's Open vSwitch.
type OVS struct {
	t         testing.TB
	dir       string
	database  string // directory of its database
	namespace string
	dummy     bool
	late      bool
	oldest    bool
	offloads  bool
	server    *Server
	vswitchd  *Process
}

// Option changes how an instance starts.
type Option func(*OVS)

// InNamespace runs vswitchd in a network namespace that exists, with a real
// datapath (datapath_type=Datapath()). The kernel's belongs to the namespace, so
// one vswitchd at a time may use it there. It needs root. Without it the datapath
// is OVS's own dummy, which needs no privileges and moves no frames.
func InNamespace(name string) Option { return func(o *OVS) { o.namespace = name } }

// WithDummy lets vswitchd also have interfaces of the type dummy, whose frames go
// to a file.
func WithDummy() Option { return func(o *OVS) { o.dummy = true } }

// DatabaseIn puts the database into another directory, such as a small disk.
func DatabaseIn(dir string) Option { return func(o *OVS) { o.database = dir } }

// WithOffloads lets VMs leave checksums and the cutting of segments to their
// devices, which vswitchd reads at its start only.
func WithOffloads() Option { return func(o *OVS) { o.offloads = true } }

// WithoutVSwitchd leaves the start of ovs-vswitchd to the test.
func WithoutVSwitchd() Option { return func(o *OVS) { o.late = true } }

// Start starts an instance that ends with the test.
func Start(t testing.TB, options ...Option) *OVS {
	t.Helper()
	// Not t.TempDir: the path of a unix socket may have 107 bytes.
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		t.Fatalf("make a directory: %v", err)
	}
	o := &OVS{t: t, dir: dir, database: dir}
	o.checkDatapath()
	for _, option := range options {
		option(o)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	schema := Schema
	if o.oldest {
		schema = o.path("2.17.ovsschema")
		schemaOf217(t, schema)
	}
	o.server = NewServer(t, dir, filepath.Join(o.database, "conf.db"), schema)
	t.Cleanup(func() {
		o.StopVSwitchd()
		o.removeDatapath()
	})
	o.StartServer()
	o.Init()
	if o.offloads {
		o.Vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")
	}
	if !o.late {
		o.StartVSwitchd()
	}
	return o
}

// Init makes the first row of an empty database, as the start of Open vSwitch
// does.
func (o *OVS) Init() {
	o.t.Helper()
	o.Vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "external_ids:system-id="+uuid.NewString())
}

// For returns the same instance for a subtest: what is made by it ends with the
// subtest, and fails it. It must not start or stop processes.
func (o *OVS) For(t testing.TB) *OVS {
	other := *o
	other.t = t
	return &other
}

func (o *OVS) path(name string) string { return filepath.Join(o.dir, name) }

// Endpoint returns the OVSDB endpoint of the instance.
func (o *OVS) Endpoint() string { return o.server.Endpoint() }

// Server returns the server of its database.
func (o *OVS) Server() *Server { return o.server }

// Dir returns the directory with the instance's sockets and logs.
func (o *OVS) Dir() string { return o.dir }

// StartServer starts ovsdb-server.
func (o *OVS) StartServer() {
	o.t.Helper()
	o.server.Start()
}

// StartVSwitchd starts ovs-vswitchd and waits until it has configured itself.
func (o *OVS) StartVSwitchd() {
	o.t.Helper()
	o.startVSwitchd(o.Endpoint())
	o.Vsctl("set", "Open_vSwitch", ".", "external_ids:ovstest=started") // waits for vswitchd
}

// StartVSwitchdWith starts ovs-vswitchd with a database that need not be there.
func (o *OVS) StartVSwitchdWith(endpoint string) {
	o.t.Helper()
	o.startVSwitchd(endpoint)
}

// StartVSwitchdAtBoot starts ovs-vswitchd as if the kernel had booted at this
// moment: its clocks begin.
func (o *OVS) StartVSwitchdAtBoot() {
	o.t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		o.t.Fatal(err)
	}
	o.startVSwitchd(o.Endpoint(), "unshare", "--time", fmt.Sprintf("--monotonic=-%d", now.Sec), fmt.Sprintf("--boottime=-%d", now.Sec), "--kill-child", "--fork")
}

// startVSwitchd starts ovs-vswitchd by another program, which must end with it.
func (o *OVS) startVSwitchd(endpoint string, wrapper ...string) {
	o.t.Helper()
	args := []string{
		"ovs-vswitchd", endpoint, "--pidfile",
		"--log-file=" + o.path("ovs-vswitchd.log"), "-vconsole:off",
	}
	if o.namespace == "" {
		args = append(args, "--enable-dummy=override", "--disable-system")
	} else {
		args = slices.Concat([]string{"ip", "netns", "exec", o.namespace}, wrapper, args)
		if o.dummy {
			args = append(args, "--enable-dummy")
		}
	}
	// `ip netns exec` becomes the daemon, so the process is the daemon's.
	process, err := StartProcess(o.command(args[0], args[1:]...))
	if err != nil {
		o.t.Fatal(err)
	}
	o.vswitchd = process
}

// VSwitchdPID returns the process id of ovs-vswitchd.
func (o *OVS) VSwitchdPID() int { return o.vswitchd.PID() }

// StopServer kills ovsdb-server, as a crash would.
func (o *OVS) StopServer() { o.server.Stop() }

// StopVSwitchd kills ovs-vswitchd, as a crash would. The kernel's datapath stays.
func (o *OVS) StopVSwitchd() {
	if o.vswitchd != nil {
		o.vswitchd.Kill()
		o.awaitEnd()
	}
	o.vswitchd = nil
}

// awaitEnd waits until the ovs-vswitchd that wrote its pid file has ended, which may
// be a little after the program that started it.
func (o *OVS) awaitEnd() {
	pid, err := os.ReadFile(o.path("ovs-vswitchd.pid"))
	if err != nil { // it has not come that far
		return
	}
	Eventually(o.t, "ovs-vswitchd has ended", func() error {
		if program, err := os.Readlink("/proc/" + strings.TrimSpace(string(pid)) + "/exe"); err == nil && filepath.Base(program) == "ovs-vswitchd" {
			return fmt.Errorf("it runs: %s", program)
		}
		return nil
	})
}

// SignalVSwitchd sends ovs-vswitchd a signal: SIGSTOP makes one that hangs.
func (o *OVS) SignalVSwitchd(signal syscall.Signal) {
	o.t.Helper()
	o.vswitchd.Signal(o.t, signal)
}

// SignalServer sends ovsdb-server a signal.
func (o *OVS) SignalServer(signal syscall.Signal) { o.server.Signal(signal) }

// Vsctl runs ovs-vsctl and returns its output without the last newline.
func (o *OVS) Vsctl(args ...string) string {
	o.t.Helper()
	return o.run("ovs-vsctl", append([]string{"--db=" + o.Endpoint(), "--timeout=60"}, args...)...)
}

// Appctl runs ovs-appctl on ovs-vswitchd and returns its output.
func (o *OVS) Appctl(args ...string) string {
	o.t.Helper()
	return o.run("ovs-appctl", append([]string{"-t", "ovs-vswitchd"}, args...)...)
}

// OfctlCommand returns a command of ovs-ofctl for a bridge.
func (o *OVS) OfctlCommand(command, bridge string, args ...string) *exec.Cmd {
	return o.command("ovs-ofctl", append([]string{"--protocols=OpenFlow14", command, "unix:" + o.path(bridge+".mgmt")}, args...)...)
}

// VsctlCommand returns the command without running it; for benchmarks.
func (o *OVS) VsctlCommand(args ...string) *exec.Cmd {
	return o.command("ovs-vsctl", append([]string{"--db=" + o.Endpoint()}, args...)...)
}

func (o *OVS) command(name string, args ...string) *exec.Cmd { return command(o.dir, name, args...) }

func (o *OVS) run(name string, args ...string) string {
	o.t.Helper()
	var says strings.Builder // a program that is slow says so there
	cmd := o.command(name, args...)
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, says.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// NextCfg returns Open_vSwitch next_cfg.
func (o *OVS) NextCfg() int {
	o.t.Helper()
	n, err := strconv.Atoi(o.Vsctl("--no-wait", "get", "Open_vSwitch", ".", "next_cfg"))
	if err != nil {
		o.t.Fatalf("next_cfg: %v", err)
	}
	return n
}

// Applied waits until vswitchd has done all that is in the database.
func (o *OVS) Applied() {
	o.t.Helper()
	Eventually(o.t, "vswitchd has done all that is in the database", func() error {
		row := o.server.Transact(`["Open_vSwitch",{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg","cur_cfg"]}]`)[0]["rows"]
		if got := row.([]any)[0].(map[string]any); got["next_cfg"] != got["cur_cfg"] {
			return fmt.Errorf("it has %v", got)
		}
		return nil
	})
}

// Versions returns the _version of every row that a configuration is made of:
// OVSDB gives a row that is written a new one. Of rows that vswitchd writes into
// at any time, it returns what is configured.
func (o *OVS) Versions() map[string]any {
	o.t.Helper()
	rows := map[string]any{}
	for table, columns := range map[string]string{
		"Open_vSwitch": `"_uuid","next_cfg","bridges","external_ids","other_config"`,
		"Bridge":       `"_uuid","_version"`,
		"Port":         `"_uuid","_version"`,
		"Interface":    `"_uuid","name","type","mtu_request","external_ids","other_config","options"`,
	} {
		result := o.server.Transact(fmt.Sprintf(`["Open_vSwitch",{"op":"select","table":%q,"where":[],"columns":[%s]}]`, table, columns))
		byUUID := map[string]any{}
		for _, row := range result[0]["rows"].([]any) {
			byUUID[fmt.Sprint(row.(map[string]any)["_uuid"])] = row
		}
		rows[table] = byUUID
	}
	return rows
}

// AwaitSessions waits until ovsdb-server has at least n client sessions.
// vswitchd has one.
func (o *OVS) AwaitSessions(n int) {
	o.t.Helper()
	Eventually(o.t, fmt.Sprintf("%d sessions", n), func() error {
		usage := o.run("ovs-appctl", "-t", o.path("ovsdb.ctl"), "memory/show")
		_, sessions, _ := strings.Cut(usage, "sessions:")
		sessions, _, _ = strings.Cut(sessions, " ")
		if have, err := strconv.Atoi(sessions); err != nil || have < n {
			return fmt.Errorf("ovsdb-server says %q", usage)
		}
		return nil
	})
}

// Namespace makes a network namespace that ends with the test, and returns its
// name. It needs root.
func Namespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("isonet-%d-%d", os.Getpid(), time.Now().UnixNano()%1e9)
	ip := func(args ...string) {
		if out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	ip("netns", "add", name)
	t.Cleanup(func() { ip("netns", "delete", name) })
	ip("-n", name, "link", "set", "lo", "up")
	return name
}

// Eventually waits until check returns nil, and fails the test with its last
// error when that takes too long.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, Patience, err)
		}
		time.Sleep(2 * time.Millisecond) // between two looks at the condition
	}
}
