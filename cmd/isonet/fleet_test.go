package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/cluster"
	isonetdaemon "github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/enroll"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/wire"
)

// configured is isonetd with a configuration file, as a program of the tests.
func configured(file, endpoint, dir string) error {
	options := isonetdaemon.DefaultOptions()
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	if err := errors.Join(options.ReadOptions(file, in), in.Close()); err != nil {
		return err
	}
	options.OVSDB, options.StateDir, options.Socket = endpoint, filepath.Join(dir, "state"), filepath.Join(dir, "d.sock")
	options.MetricsListen, options.DatapathType, options.HostGuard = "", ovstest.Datapath(), "off"
	if options.UsersFile != "" {
		options.UsersFile = filepath.Join(dir, "users")
	}
	cfg, err := options.Parse()
	if err != nil {
		return err
	}
	d, err := isonetdaemon.New(cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return d.Run(ctx)
}

// box is a machine of a fleet: a directory in place of /.
type box struct {
	t       *testing.T
	root    string
	address string
	ports   cluster.Ports
}

func newBox(t *testing.T, address string, ports cluster.Ports) *box {
	t.Helper()
	b := &box{t: t, root: shortDir(t), address: address, ports: ports}
	for _, name := range []string{"isonet-member", "isonet-relay", "isonet-status"} {
		if err := os.MkdirAll(filepath.Join(b.root, "run", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.root, "users"), []byte("admin:"+string(hash)+"\n"))
	// The configuration of the packages has comments only.
	if err := os.MkdirAll(filepath.Join(b.root, "etc/isonet"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.root, "etc/isonet/isonetd.yaml"), []byte(read(t, "../../docs/isonetd.yaml.example")))
	write(t, filepath.Join(b.root, "passphrase"), []byte("a passphrase of a test\n"))
	return b
}

func (b *box) member() cluster.Member {
	return cluster.Member{Layout: cluster.DefaultLayout(b.root), Ports: b.ports, Address: b.address}
}

// isonet runs a command line that must succeed.
func (b *box) isonet(stdin string, args ...string) string {
	b.t.Helper()
	o := command{args: args, stdin: stdin, root: b.root, socket: filepath.Join(b.root, "d.sock")}.run(b.t.Context())
	if o.code != exitOK {
		b.t.Fatalf("isonet %s: %+v", strings.Join(args, " "), o)
	}
	return o.stdout
}

// start starts a server of the machine. It ends with the test.
func (b *box) start(args []string, env ...string) *ovstest.Process {
	b.t.Helper()
	log, err := os.CreateTemp(b.t.TempDir(), "log")
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), log
	p, err := ovstest.StartProcess(cmd)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		p.Kill()
		if text, err := os.ReadFile(log.Name()); err == nil && b.t.Failed() {
			b.t.Logf("%s\n%s", strings.Join(args, " "), text)
		}
	})
	return p
}

// isonetd starts isonetd with the configuration that was written for it.
func (b *box) isonetd(endpoint string) {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	b.start([]string{self, filepath.Join(b.root, "etc/isonet/isonetd.yaml"), endpoint, b.root}, program+"=configured")
}

// eventually runs a command until it prints a text.
func (b *box) eventually(want string, args ...string) {
	b.t.Helper()
	ovstest.Eventually(b.t, "isonet "+strings.Join(args, " ")+" prints "+want, func() error {
		o := command{args: args, root: b.root, socket: filepath.Join(b.root, "d.sock")}.run(b.t.Context())
		if o.code != exitOK || !strings.Contains(o.stdout, want) {
			return fmt.Errorf("%+v", o)
		}
		return nil
	})
}

func freeFour(t *testing.T) cluster.Ports {
	t.Helper()
	for range 100 {
		first := 20000 + 4*rand.IntN(5000)
		free := true
		for port := first; port < first+4; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
			if err != nil {
				free = false
				break
			}
			_ = l.Close() // it was only opened to see whether it is free
		}
		if free {
			return cluster.Ports(first)
		}
	}
	t.Fatal("no four ports are free")
	return 0
}

// TestFleetCommands sets up a fleet by the commands of docs/fleet.md, with the servers
// that the units run: three members, a relay, and a host with its Open vSwitch. Then it
// looks after them.
func TestFleetCommands(t *testing.T) {
	net := fmt.Sprintf("127.%d.%d.", 100+rand.IntN(100), rand.IntN(250))
	ports := freeFour(t)
	var boxes []*box
	for i := range 3 {
		boxes = append(boxes, newBox(t, fmt.Sprint(net, i+1), ports))
	}
	first := boxes[0]
	members := strings.Join([]string{boxes[0].address, boxes[1].address, boxes[2].address}, ",")
	passphrase := filepath.Join(first.root, "passphrase")
	said := first.isonet("", "cluster", "init", "--address", first.address, "--members", members, "--relays", first.address,
		"--reports", first.address, "--port", fmt.Sprint(int(ports)), "--passphrase-file", passphrase, "--ca-dir", filepath.Join(first.root, "ca"))
	if !strings.Contains(said, "next: systemctl enable --now isonet-member") {
		t.Errorf("init says %s", said)
	}
	processes := []*ovstest.Process{first.start(first.member().MemberCommand())}
	first.start(first.member().RelayCommand(boxes[0].address, boxes[1].address, boxes[2].address))
	first.start(first.member().ReportsCommand())
	first.eventually("leader", "cluster", "status")
	first.isonetd("unix:" + filepath.Join(first.root, "no-open-vswitch-here")) // it is no host
	first.eventually("[]", "token", "list", "-o", "json")

	// The other members.
	for _, b := range boxes[1:] {
		token := first.isonet("", "token", "server", b.address)
		b.isonet(token, "cluster", "join", "-", "--address", b.address)
		again := command{args: words("cluster join - --address " + b.address), stdin: token, root: b.root}.run(t.Context())
		if again.code != exitError || !strings.Contains(again.stderr, "has a database already") {
			t.Errorf("joined twice: %+v", again)
		}
		processes = append(processes, b.start(b.member().MemberCommand()))
		b.eventually("cluster member", "cluster", "status")
	}

	// A host.
	ovs := ovstest.Start(t)
	ovs.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id=e7e2f6a4-0000-4000-8000-000000000002")
	host := newBox(t, "", ports)
	token := first.isonet("", "token", "host", "rack1-a", "--for", "10m")
	if o := (command{args: words("cluster join - --address " + net + "9"), stdin: token}).run(t.Context()); o.code != exitError || !strings.Contains(o.stderr, "lets a host join") {
		t.Errorf("a server with the token of a host: %+v", o)
	}
	host.isonet(token, "host", "join", "-", "--ovsdb", ovs.Endpoint())
	if o := (command{args: words("host join - --ovsdb " + ovs.Endpoint()), stdin: token, root: shortDir(t)}).run(t.Context()); o.code != exitError || !strings.Contains(o.stderr, "unknown, used or expired") {
		t.Errorf("a token is used twice: %+v", o)
	}
	first.eventually("rack1-a", "host", "list")
	host.isonetd(ovs.Endpoint())
	first.isonet("", "network", "create", "blue")
	first.eventually("attached", "attach", "blue", "--host", "rack1-a")
	ovstest.Eventually(t, "the host has the network", func() error {
		return exec.CommandContext(t.Context(), "ovs-vsctl", "--timeout=10", "--db="+ovs.Endpoint(), "br-exists", "blue").Run()
	})
	first.eventually("used", "token", "list")
	first.eventually("machine", "history") // who joined, by which kind of token

	// Certificates are renewed, and what runs goes on with them.
	for _, b := range []*box{first, host} {
		dir := cluster.DefaultLayout(b.root).Config
		_, before, err := enroll.Identity(dir)
		if err != nil {
			t.Fatal(err)
		}
		if said := b.isonet("", "cluster", "renew"); !strings.Contains(said, "not time") {
			t.Errorf("renew says %s", said)
		}
		b.isonet("", "cluster", "renew", "--force")
		_, after, err := enroll.Identity(dir)
		if err != nil || after.SerialNumber.Cmp(before.SerialNumber) == 0 || after.Subject.CommonName != before.Subject.CommonName {
			t.Errorf("the certificate after a renewal: %v, %v", after.Subject, err)
		}
	}
	first.isonet("", "network", "create", "green")

	// A backup, a schema, and a member that is gone.
	backup := filepath.Join(t.TempDir(), "fleet.db")
	first.isonet("", "cluster", "backup", backup)
	first.isonet("", "cluster", "upgrade")
	processes[2].Kill()
	first.isonet("", "cluster", "remove", boxes[2].address, "--yes")
	var s cluster.Status
	if err := json.Unmarshal([]byte(first.isonet("", "cluster", "status", "-o", "json")), &s); err != nil || len(s.Servers) != 2 {
		t.Errorf("%d members, %v", len(s.Servers), err)
	}

	// All members are lost.
	if o := (command{args: words("cluster restore --yes " + backup), root: first.root}).run(t.Context()); o.code != exitError || !strings.Contains(o.stderr, "runs: stop") {
		t.Errorf("restored while a member runs: %+v", o)
	}
	processes[0].Kill()
	processes[1].Kill()
	first.isonet("", "cluster", "restore", backup, "--yes")
	first.start(first.member().MemberCommand())
	first.eventually("green", "network", "list")
	first.eventually("created", "network", "create", "red")
}

// TestUnits holds the units of the packages against the command lines of the servers.
func TestUnits(t *testing.T) {
	fleet := wire.Fleet{Members: []string{"192.0.2.1", "192.0.2.2"}}
	m := cluster.Member{Layout: cluster.DefaultLayout("/"), Ports: cluster.DefaultPort, Address: "192.0.2.1"}
	variables := strings.NewReplacer("${ISONET_LISTEN}", "pssl:6653:192.0.2.1", "${ISONET_MEMBERS}", cluster.Endpoints(fleet.Members, m.Ports))
	for unit, want := range map[string][]string{
		"isonet-member": m.MemberCommand(), "isonet-relay": m.RelayCommand(fleet.Members...), "isonet-status": m.ReportsCommand(),
	} {
		text := read(t, "../../scripts/packaging/"+unit+".service")
		_, command, _ := strings.Cut(strings.ReplaceAll(text, "\\\n", ""), "\nExecStart=/usr/sbin/")
		command, _, _ = strings.Cut(command, "\n")
		if got := strings.Fields(variables.Replace(command)); !slices.Equal(got, want) {
			t.Errorf("%s runs\n%q, want\n%q", unit, got, want)
		}
	}
}
