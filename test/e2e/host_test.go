package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/wait"
)

// patience bounds every wait for a condition.
const patience = 30 * time.Second

// host is a container that plays a virtualization host.
type host struct {
	t         *testing.T
	container testcontainers.Container
	client    *http.Client
	api       string // https URL of the API
	metrics   string // URL of the metrics
	id        string // of the host in the API
	pid       string // of isonetd in the container
}

// newHost starts a host with Open vSwitch and isonetd.
func newHost(t *testing.T) *host {
	t.Helper()
	t.Parallel()
	identity := newIdentity(t)
	c, err := testcontainers.Run(t.Context(), image,
		testcontainers.WithLogger(log.TestLogger(t)),
		// A test that dies cannot remove its container, so it ends by itself.
		testcontainers.WithCmd("sleep", "30m"),
		testcontainers.WithHostConfigModifier(mayMakeNetworks),
		testcontainers.WithFiles(
			testcontainers.ContainerFile{HostFilePath: bin + "isonetd", ContainerFilePath: "/usr/local/sbin/isonetd", FileMode: 0o755},
			testcontainers.ContainerFile{HostFilePath: bin + "isonet", ContainerFilePath: "/usr/local/bin/isonet", FileMode: 0o755},
			testcontainers.ContainerFile{Reader: strings.NewReader(identity.cert), ContainerFilePath: "/etc/isonet/cert.pem", FileMode: 0o644},
			testcontainers.ContainerFile{Reader: strings.NewReader(identity.key), ContainerFilePath: "/etc/isonet/key.pem", FileMode: 0o600},
			testcontainers.ContainerFile{Reader: strings.NewReader(identity.users), ContainerFilePath: "/etc/isonet/users", FileMode: 0o600},
		),
		testcontainers.WithWaitStrategy(wait.ForLog("openvswitch is ready").WithStartupTimeout(patience)),
	)
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, container: c, client: identity.client}
	ip, err := c.ContainerIP(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.api = "https://" + ip + ":8443/ovirt-engine/api"
	h.metrics = "http://" + ip + ":9475/metrics"
	t.Cleanup(h.showLogs)
	// One table for the guards that plug makes.
	h.run(`nft add table netdev e2e_guard`)
	h.startDaemon()
	h.id = attribute(t, h.get("/hosts"), "host", "id")
	return h
}

// mayMakeNetworks lets the container make network devices and namespaces.
func mayMakeNetworks(c *container.HostConfig) {
	init := true
	c.Init = &init
	c.AutoRemove = true
	c.CapAdd = []string{"NET_ADMIN", "SYS_ADMIN"}
	c.SecurityOpt = []string{"apparmor=unconfined"} // which would forbid mounts
	c.Devices = []container.DeviceMapping{{
		PathOnHost: "/dev/net/tun", PathInContainer: "/dev/net/tun", CgroupPermissions: "rwm",
	}}
}

// showLogs helps to understand a failure.
func (h *host) showLogs() {
	if !h.t.Failed() {
		return
	}
	_, out := h.exec(context.Background(), `tail -n 60 /var/log/isonetd.log; ovs-vsctl show; tail -n 20 /var/log/openvswitch/ovs-vswitchd.log`)
	h.t.Log(out)
}

// startDaemon starts isonetd and returns when it answers.
func (h *host) startDaemon() {
	h.t.Helper()
	h.pid = strings.TrimSpace(h.run(`
		setsid isonetd --users-file /etc/isonet/users --tls-cert /etc/isonet/cert.pem --tls-key /etc/isonet/key.pem \
			--listen 0.0.0.0:8443 --metrics-listen 0.0.0.0:9475 --host-guard off --log-level debug </dev/null >>/var/log/isonetd.log 2>&1 &
		echo $!`))
	h.eventually("isonetd answers and knows its host", func() error {
		status, body, err := h.request(http.MethodGet, "/hosts", "")
		if err == nil && (status != http.StatusOK || !strings.Contains(body, "<host ")) {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return err
	})
}

// killDaemon ends isonetd without giving it a chance to tidy up.
func (h *host) killDaemon() {
	h.t.Helper()
	h.run(`kill -9 ` + h.pid)
	h.eventually("isonetd is gone", func() error {
		if code, _ := h.exec(h.t.Context(), `kill -0 `+h.pid); code == 0 {
			return fmt.Errorf("process %s still runs", h.pid)
		}
		return nil
	})
}

// exec runs a shell script in the container and returns its exit code and its
// output, standard error included.
func (h *host) exec(ctx context.Context, script string) (code int, output string) {
	h.t.Helper()
	code, reader, err := h.container.Exec(ctx, []string{"bash", "-euo", "pipefail", "-c", script}, exec.Multiplexed())
	if err != nil {
		h.t.Fatalf("exec: %v", err)
	}
	out, err := io.ReadAll(reader)
	if err != nil {
		h.t.Fatalf("read the output of %q: %v", script, err)
	}
	return code, string(out)
}

// run runs a script that must succeed and returns its output.
func (h *host) run(script string) string {
	h.t.Helper()
	code, out := h.exec(h.t.Context(), script)
	if code != 0 {
		h.t.Fatalf("exit code %d of: %s\n%s", code, script, out)
	}
	return out
}

// vsctl runs ovs-vsctl, which returns when vswitchd has done what was asked.
func (h *host) vsctl(args ...string) string {
	h.t.Helper()
	return h.run("ovs-vsctl --timeout=20 " + strings.Join(args, " "))
}

// request sends one request to the API over TLS with the right password.
func (h *host) request(method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.api+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.SetBasicAuth(user, password)
	req.Header.Set("Accept", "application/xml")
	if body != "" {
		req.Header.Set("Content-Type", "application/xml")
	}
	return h.send(req)
}

func (h *host) send(req *http.Request) (status int, answer string, err error) {
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	answered, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answered), err
}

// call sends a request that must be answered with the given status and returns
// the answer's body.
func (h *host) call(want int, method, path, body string) string {
	h.t.Helper()
	status, answer, err := h.request(method, path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if status != want {
		h.t.Fatalf("%s %s %s\nwas answered with %d instead of %d: %s", method, path, body, status, want, answer)
	}
	return answer
}

func (h *host) get(path string) string {
	h.t.Helper()
	return h.call(http.StatusOK, http.MethodGet, path, "")
}

// createNetwork makes a network with more elements than its name, and returns
// its id.
func (h *host) createNetwork(name, elements string) string {
	h.t.Helper()
	answer := h.call(http.StatusCreated, http.MethodPost, "/networks",
		`<network><name>`+name+`</name><data_center><name>Default</name></data_center>`+elements+`</network>`)
	return attribute(h.t, answer, "network", "id")
}

// setup sends setupnetworks and returns the answer's body.
func (h *host) setup(want int, elements ...string) string {
	h.t.Helper()
	return h.call(want, http.MethodPost, "/hosts/"+h.id+"/setupnetworks", "<action>"+strings.Join(elements, "")+"</action>")
}

// attach and detach are elements of setupnetworks.
func attach(networks ...string) string { return attachments("modified_network_attachments", networks) }

func detach(networks ...string) string { return attachments("removed_network_attachments", networks) }

func attachments(list string, networks []string) string {
	var b strings.Builder
	for _, n := range networks {
		b.WriteString("<network_attachment><network><name>" + n + "</name></network></network_attachment>")
	}
	return "<" + list + ">" + b.String() + "</" + list + ">"
}

const force = "<force>true</force>"

// network makes networks and attaches them to the host.
func (h *host) network(names ...string) {
	h.t.Helper()
	for _, name := range names {
		h.createNetwork(name, "")
	}
	h.setup(http.StatusOK, attach(names...))
}

// vm is a network namespace on a network; its port is called after it.
type vm struct {
	name, bridge, ip string
	mtu              int // bytes; 0 means the default of Linux
}

func (v vm) port() string { return "tap-" + v.name }

// plug makes VMs and plugs them in, as libvirt does with tap devices.
//
// The userspace datapath reads a kernel device through a packet socket, so the
// host's own stack sees the VM's frames too, whatever the bridge does. The
// guard drops them there. It belongs to these tests: isonet does not install
// one, and TestHostIsOutOfReach shows what happens without it.
func (h *host) plug(vms ...vm) {
	h.t.Helper()
	for _, v := range vms {
		mtu := v.mtu
		if mtu == 0 {
			mtu = 1500
		}
		// Without addrgenmode none the kernel of either side would send IPv6
		// neighbour messages on its own.
		h.run(fmt.Sprintf(`
			ip netns add %[1]s
			ip link add %[2]s type veth peer name eth0 netns %[1]s
			nft add chain netdev e2e_guard %[2]s '{ type filter hook ingress device "%[2]s" priority -500; policy drop; }'
			ip link set %[2]s addrgenmode none
			ip link set %[2]s up
			ip -n %[1]s link set lo up
			ip -n %[1]s link set eth0 addrgenmode none mtu %[4]d
			ip netns exec %[1]s ethtool -K eth0 tx off >/dev/null
			ip -n %[1]s addr add %[3]s/24 dev eth0
			ip -n %[1]s link set eth0 up`, v.name, v.port(), v.ip, mtu))
		h.plugAgain(v)
	}
}

// plugAgain adds a VM's port to its bridge.
func (h *host) plugAgain(v vm) {
	h.t.Helper()
	h.vsctl("add-port", v.bridge, v.port())
}

// reaches asserts that pings from a VM are answered.
func (h *host) reaches(from vm, ip string) {
	h.t.Helper()
	if code, out := h.exec(h.t.Context(), ping(from, ip)); code != 0 {
		h.t.Fatalf("%s does not reach %s:\n%s", from.name, ip, out)
	}
}

// isolated asserts that no ping from a VM is answered.
func (h *host) isolated(from vm, ip string) {
	h.t.Helper()
	code, out := h.exec(h.t.Context(), ping(from, ip))
	if code != 1 || !strings.Contains(out, " 0 received") {
		h.t.Fatalf("%s reaches %s, or ping failed:\n%s", from.name, ip, out)
	}
}

func ping(from vm, ip string) string {
	return fmt.Sprintf(`ip netns exec %s ping -n -q -c 5 -i 0.2 -w 2 %s`, from.name, ip)
}

// eventually waits until check returns nil.
func (h *host) eventually(what string, check func() error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			h.t.Fatalf("waited in vain until %s: %v", what, err)
		case <-again.C:
		}
	}
}

// hasBridge reports whether Open vSwitch has a bridge.
func (h *host) hasBridge(name string) bool {
	h.t.Helper()
	switch code, out := h.exec(h.t.Context(), `ovs-vsctl --timeout=20 br-exists `+name); code {
	case 0:
		return true
	case 2:
		return false
	default:
		h.t.Fatalf("br-exists %s: exit code %d: %s", name, code, out)
		return false
	}
}

// row returns what Open vSwitch's database says of a record, without what
// changes by itself.
func (h *host) row(table, record string) string {
	h.t.Helper()
	out := h.vsctl("list", table, record)
	return regexp.MustCompile(`(?m)^(statistics|status|rstp_status).*\n`).ReplaceAllString(out, "")
}
