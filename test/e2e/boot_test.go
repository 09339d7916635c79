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

// newBooted starts a host whose init is systemd, without isonetd.
func newBooted(t *testing.T, image string) *host {
	t.Helper()
	c, err := testcontainers.Run(t.Context(), image,
		testcontainers.WithLogger(log.TestLogger(t)),
		testcontainers.WithEntrypoint("bash", "-euc", boot),
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

// boot becomes systemd. Its newer releases need version 2 of control groups, which
// the engine may not offer; the container has a group of its own in both versions.
const boot = `
	umount --recursive /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	exec /lib/systemd/systemd`

// mayBoot lets systemd be the first process of the container.
func mayBoot(c *container.HostConfig) {
	mayMakeNetworks(c)
	none := false
	c.Init = &none
	c.SecurityOpt = append(c.SecurityOpt, "seccomp=unconfined")
	c.CgroupnsMode = container.CgroupnsModePrivate
	c.Tmpfs = map[string]string{"/run": "", "/tmp": ""}
}

// in is the same host for a part of the test.
func (h *host) in(t *testing.T) *host {
	part := *h
	part.t = t
	return &part
}

// copyTo puts a file of this machine into the container.
func (h *host) copyTo(file, path string) {
	h.t.Helper()
	if err := h.container.CopyFileToContainer(h.t.Context(), file, path, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// bring makes the package of a version, unless the container has it, and returns its
// path there.
func (h *host) bring(version, kind string) string {
	h.t.Helper()
	path := "/root/isonet-" + version + "." + kind
	if code, _ := h.exec(h.t.Context(), `test -e `+path); code != 0 {
		h.copyTo(buildPackage(h.t, version, kind), path)
	}
	return path
}

// buildPackage makes the packages of a version and returns the one of a kind.
func buildPackage(t *testing.T, version, kind string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../../scripts/packaging/build", nfpm(t), version, dir).CombinedOutput(); err != nil {
		t.Fatalf("make the packages: %v\n%s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*."+kind))
	if err != nil || len(packages) != 1 {
		t.Fatalf("packages: %v (%v)", packages, err)
	}
	return packages[0]
}

// nfpm returns the path of the program that makes packages.
func nfpm(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(bin + "tools/nfpm-*")
	if err != nil || len(found) != 1 {
		t.Fatalf("bin/tools has %v for nfpm-* (%v), want one: \"make packages\" makes it", found, err)
	}
	return found[0]
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

// losesNoPing lets the first VM ping the second a hundred times a second, before,
// while and after something happens, and asserts that no ping is lost.
func (h *host) losesNoPing(while func()) {
	h.t.Helper()
	h.run(`setsid ip netns exec red1 ping -n -i 0.01 ` + red2.ip + ` </dev/null >/tmp/ping 2>&1 & echo $! >/tmp/ping.pid`)
	h.eventually("the pings run", func() error { return h.pingsUpTo(20) })
	while()
	last := h.answeredPings()
	h.eventually("the pings go on", func() error { return h.pingsUpTo(last[len(last)-1] + 50) })
	h.run(`kill -INT $(cat /tmp/ping.pid)`)
	for i, sequence := range h.answeredPings() {
		if sequence != i+1 {
			h.t.Fatalf("ping %d was lost or late", i+1)
		}
	}
}
