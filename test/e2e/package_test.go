package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

// mostExposure is the most that "systemd-analyze security" may say of the unit,
// in tenths: 0 is a service without any access, 100 one without any limit.
const mostExposure = 25

// The deb is installed, used, upgraded, removed and purged on a Debian with
// systemd as its init and Open vSwitch as its services. What isonetd does here
// it does with the unit's capabilities and within its sandbox.
func TestPackage(t *testing.T) {
	h := newDebian(t)
	h.install("v1.0.0")

	t.Run("the service is up", func(t *testing.T) {
		h := h.in(t)
		if got := h.run(`systemctl is-enabled isonetd; systemctl is-active isonetd`); got != "enabled\nactive\n" {
			t.Errorf("is-enabled and is-active say %q", got)
		}
		if got := h.run(`systemctl show -p StatusText isonetd`); !strings.Contains(got, "networks: 0 active") {
			t.Errorf("the status is %q", got)
		}
		if got := h.run(`stat -c '%U:%G %a' /run/isonet/isonetd.sock`); got != "root:isonet 660\n" {
			t.Errorf("the socket is %s", got)
		}
		h.run(`ovsdb-tool schema-version /usr/share/isonet/isolated-networks.ovsschema`)
		h.run(`test "$(zcat /usr/share/man/man8/isonetd.8.gz | head -c 3)" = ".nh"; bash -n /usr/share/bash-completion/completions/isonet`)
	})
	t.Run("the unit is sound and tight", func(t *testing.T) {
		h := h.in(t)
		if got := h.run(`systemd-analyze verify --man=no isonetd.service 2>&1`); got != "" {
			t.Errorf("systemd-analyze verify: %s", got)
		}
		h.run(fmt.Sprintf(`systemd-analyze security --offline=true --threshold=%d --no-pager isonetd.service`, mostExposure))
		status := h.run(`cat /proc/$(systemctl show -P MainPID isonetd)/status`)
		for _, want := range []string{"CapBnd:\t0000000000001000\n", "CapEff:\t0000000000001000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
			if !strings.Contains(status, want) {
				t.Errorf("the process has not %q:\n%s", want, status)
			}
		}
	})
	t.Run("the group may use it, others may not", func(t *testing.T) {
		h := h.in(t)
		h.run(`setpriv --reuid=nobody --regid=nogroup --groups=isonet isonet network create red --strict`)
		if code, out := h.exec(t.Context(), `setpriv --reuid=nobody --regid=nogroup --clear-groups isonet network create blue`); code == 0 {
			t.Errorf("a user who is not in the group made a network: %s", out)
		}
	})
	t.Run("the capabilities suffice for networks, flows and the guard", func(t *testing.T) {
		h := h.in(t)
		h.run(`isonet attach red`)
		h.plugVeth(red1, red2)
		h.eventually("the guard is on and the flows are in place", func() error {
			status := h.run(`isonet status red`)
			for _, want := range []string{"active", "strict:       active", "host guard:   guarded", red1.port(), red2.port()} {
				if !strings.Contains(status, want) {
					return fmt.Errorf("%q is missing in %s", want, status)
				}
			}
			return nil
		})
		if got := h.run(`cat /proc/sys/net/ipv6/conf/` + red1.port() + `/disable_ipv6`); got != "1\n" {
			t.Errorf("disable_ipv6 of the VM's device is %s", got)
		}
		h.run(`nft list table netdev isonet | grep -q ` + red1.port())
		h.reaches(red1, red2.ip)
	})
	t.Run("an upgrade loses no packet and keeps the configuration", func(t *testing.T) {
		h := h.in(t)
		h.run(`echo 'log-level: debug' >>/etc/isonet/isonetd.yaml`)
		before := h.run(`systemctl show -P MainPID isonetd`)
		h.startPing()
		h.install("v1.1.0")
		h.eventually("the pings go on", func() error { return h.pingsUpTo(200) })
		h.stopPing()
		if after := h.run(`systemctl show -P MainPID isonetd`); after == before {
			t.Error("the old isonetd still runs")
		}
		h.run(`grep -q '^log-level: debug' /etc/isonet/isonetd.yaml; systemctl is-active isonetd`)
		if got := h.run(`isonet network list`); !strings.Contains(got, "red") {
			t.Errorf("the networks after the upgrade: %s", got)
		}
	})
	t.Run("traffic flows after the removal", func(t *testing.T) {
		h := h.in(t)
		h.startPing()
		h.run(`dpkg --remove isonet`)
		last := h.answeredPings()
		h.eventually("the pings go on", func() error { return h.pingsUpTo(last[len(last)-1] + 50) })
		h.stopPing()
		if code, out := h.exec(t.Context(), `systemctl is-active isonetd`); code == 0 {
			t.Errorf("isonetd is %s", out)
		}
		h.run(`test -s /var/lib/isonet/isonet.db; test -e /etc/isonet/isonetd.yaml`)
	})
	t.Run("the purge removes the state and not the bridge", func(t *testing.T) {
		h := h.in(t)
		h.run(`dpkg --purge isonet`)
		h.run(`! test -e /var/lib/isonet; ! test -e /etc/isonet; ! test -e /run/isonet`)
		h.reaches(red1, red2.ip)
	})
}

// newDebian starts a host whose init is systemd, without isonetd.
func newDebian(t *testing.T) *host {
	t.Helper()
	t.Parallel()
	c, err := testcontainers.Run(t.Context(), image,
		testcontainers.WithLogger(log.TestLogger(t)),
		testcontainers.WithEntrypoint("/lib/systemd/systemd"),
		testcontainers.WithEnv(map[string]string{"container": "docker"}),
		testcontainers.WithHostConfigModifier(mayBoot),
	)
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, container: c}
	t.Cleanup(func() {
		if t.Failed() {
			_, out := h.exec(context.Background(), `journalctl --no-pager -n 80 -u isonetd`)
			t.Log(out)
		}
	})
	h.eventually("systemd has booted", func() error {
		// It may not even answer yet.
		if _, out := h.exec(t.Context(), `systemctl is-system-running 2>&1`); strings.TrimSpace(out) != "running" {
			return fmt.Errorf("it is %s", out)
		}
		return nil
	})
	// A host has IPv6 on new devices, which the engine may have switched off, and
	// its /proc/sys can be written.
	h.run(`mount -o remount,rw /proc/sys; echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6`)
	return h
}

// mayBoot lets systemd be the first process of the container.
func mayBoot(c *container.HostConfig) {
	mayMakeNetworks(c)
	none := false
	c.Init = &none
	c.SecurityOpt = append(c.SecurityOpt, "seccomp=unconfined")
	c.CgroupnsMode = container.CgroupnsModeHost
	c.Binds = []string{"/sys/fs/cgroup:/sys/fs/cgroup:rw"}
	c.Tmpfs = map[string]string{"/run": "", "/tmp": ""}
}

// in is the same host for a part of the test.
func (h *host) in(t *testing.T) *host {
	part := *h
	part.t = t
	return &part
}

// install makes the deb of a version and installs it.
func (h *host) install(version string) {
	h.t.Helper()
	if err := h.container.CopyFileToContainer(h.t.Context(), buildPackage(h.t, version, "deb"), "/root/isonet.deb", 0o644); err != nil {
		h.t.Fatal(err)
	}
	h.run(`DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install /root/isonet.deb`)
}

// buildPackage makes the packages of a version and returns the one of a kind.
func buildPackage(t *testing.T, version, kind string) string {
	t.Helper()
	nfpm, err := filepath.Glob(bin + "tools/nfpm-*")
	if err != nil || len(nfpm) != 1 {
		t.Fatalf("bin/tools has %v for nfpm-* (%v), want one: \"make packages\" makes it", nfpm, err)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../../scripts/packaging/build", nfpm[0], version, dir).CombinedOutput(); err != nil {
		t.Fatalf("make the packages: %v\n%s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*."+kind))
	if err != nil || len(packages) != 1 {
		t.Fatalf("packages: %v (%v)", packages, err)
	}
	return packages[0]
}

// The rpm is only looked at: no machine of the tests has rpm as its own.
func TestRPM(t *testing.T) {
	t.Parallel()
	file := buildPackage(t, "v1.0.0-3-gabcdef0", "rpm")
	rpm := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "rpm", append([]string{"--query", "--package", file}, args...)...).Output()
		if err != nil {
			t.Fatalf("rpm %v: %v", args, err)
		}
		return string(out)
	}
	if got := rpm("--queryformat", "%{NAME} %{VERSION}"); got != "isonet 1.0.0+3.gabcdef0" {
		t.Errorf("it is %q", got)
	}
	list := rpm("--list")
	for _, want := range []string{
		"/usr/sbin/isonetd", "/usr/bin/isonet", "/usr/lib/systemd/system/isonetd.service", "/usr/share/man/man8/isonetd.8.gz",
		"/usr/share/man/man5/isonetd.yaml.5.gz", "/usr/share/man/man1/isonet-network-create.1.gz", "/usr/share/zsh/site-functions/_isonet",
		"/usr/share/isonet/isolated-networks.ovsschema",
		"/usr/share/bash-completion/completions/isonet", "/usr/share/fish/vendor_completions.d/isonet.fish", "/usr/share/licenses/isonet/LICENSE",
	} {
		if !strings.Contains(list, want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
	if got := rpm("--configfiles"); got != "/etc/isonet/isonetd.yaml\n" {
		t.Errorf("configuration files: %q", got)
	}
	if got := rpm("--requires"); !strings.Contains(got, "/usr/sbin/ovs-vswitchd\n") {
		t.Errorf("it requires %q", got)
	}
	scripts := rpm("--scripts")
	for _, want := range []string{"groupadd --system isonet", "systemctl try-restart isonetd.service", "disable --now isonetd.service"} {
		if !strings.Contains(scripts, want) {
			t.Errorf("no script has %q", want)
		}
	}
}

// plugVeth plugs VMs in without a guard of the test's own.
func (h *host) plugVeth(vms ...vm) {
	h.t.Helper()
	for _, v := range vms {
		h.run(fmt.Sprintf(`
			ip netns add %[1]s
			ip link add %[2]s type veth peer name eth0 netns %[1]s
			ip link set %[2]s up
			ip netns exec %[1]s ethtool -K eth0 tx off >/dev/null
			ip -n %[1]s addr add %[3]s/24 dev eth0
			ip -n %[1]s link set eth0 up`, v.name, v.port(), v.ip))
		h.plugAgain(v)
	}
}

// startPing lets the first VM ping the second a hundred times a second.
func (h *host) startPing() {
	h.t.Helper()
	h.run(`setsid ip netns exec red1 ping -n -i 0.01 ` + red2.ip + ` </dev/null >/tmp/ping 2>&1 & echo $! >/tmp/ping.pid`)
	h.eventually("the pings run", func() error { return h.pingsUpTo(20) })
}

// stopPing asserts that no ping was lost.
func (h *host) stopPing() {
	h.t.Helper()
	h.run(`kill -INT $(cat /tmp/ping.pid)`)
	for i, sequence := range h.answeredPings() {
		if sequence != i+1 {
			h.t.Fatalf("ping %d was lost or late", i+1)
		}
	}
}
