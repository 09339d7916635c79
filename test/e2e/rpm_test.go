package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The rpm is installed, used, upgraded and removed by dnf, on a host that enables
// no service by itself, as those of Fedora and its kin do.
func TestRPM(t *testing.T) {
	t.Parallel()
	rpmHost, err := buildImage("rpm-host")
	if err != nil {
		t.Fatal(err)
	}
	h := newBooted(t, rpmHost)
	h.run(`mkdir -p /etc/systemd/system-preset; echo 'disable *' >/etc/systemd/system-preset/50-none.preset`)
	h.providesWhatItHas()
	h.installRPM("v1.0.0-3-gabcdef0")

	t.Run("everything is in its place", func(t *testing.T) {
		h := h.in(t)
		if got := h.run(`rpm --query isonet --queryformat '%{NAME} %{VERSION}'`); got != "isonet 1.0.0+3.gabcdef0" {
			t.Errorf("it is %q", got)
		}
		list := h.run(`rpm --query --list isonet`)
		for _, want := range []string{
			"/usr/sbin/isonetd", "/usr/bin/isonet", "/usr/lib/systemd/system/isonetd.service", "/usr/share/man/man8/isonetd.8.gz",
			"/usr/share/man/man5/isonetd.yaml.5.gz", "/usr/share/man/man1/isonet-network-create.1.gz", "/usr/share/zsh/site-functions/_isonet",
			"/usr/share/isonet/isolated-networks.ovsschema", "/usr/share/isonet/contrib/prometheus/rules.yml", "/usr/share/doc/isonet/docs/howto.md",
			"/usr/share/bash-completion/completions/isonet", "/usr/share/fish/vendor_completions.d/isonet.fish", "/usr/share/licenses/isonet/LICENSE",
		} {
			if !strings.Contains(list, want+"\n") {
				t.Errorf("%s is missing", want)
			}
		}
		if got := h.run(`rpm --query --configfiles isonet`); got != "/etc/isonet/isonetd.yaml\n" {
			t.Errorf("configuration files: %q", got)
		}
		if got := h.run(`rpm --query --requires isonet`); !strings.Contains(got, "/usr/sbin/ovs-vswitchd\n") {
			t.Errorf("it requires %q", got)
		}
		// Files, their owners and modes.
		h.run(`rpm --verify isonet`)
	})
	t.Run("the presets say whether it starts", func(t *testing.T) {
		h := h.in(t)
		if _, got := h.exec(t.Context(), `systemctl is-enabled isonetd`); got != "disabled\n" {
			t.Errorf("the service is %s", got)
		}
		h.run(`systemctl enable --now isonetd`)
		if got := h.run(`stat -c '%U:%G %a' /run/isonet/isonetd.sock`); got != "root:isonet 660\n" {
			t.Errorf("the socket is %s", got)
		}
	})
	t.Run("an upgrade loses no packet and keeps the configuration", func(t *testing.T) {
		h := h.in(t)
		h.run(`isonet network create red; isonet attach red`)
		h.plugVeth(red1, red2)
		h.eventually("the VMs may talk", func() error { return h.answers(red1, red2.ip) })
		h.run(`echo 'log-level: debug' >>/etc/isonet/isonetd.yaml`)
		before := h.run(`systemctl show -P MainPID isonetd`)
		h.losesNoPing(func() { h.installRPM("v1.1.0") })
		if after := h.run(`systemctl show -P MainPID isonetd`); after == before {
			t.Error("the old isonetd still runs")
		}
		if got := h.run(`systemctl is-enabled isonetd; systemctl is-active isonetd`); got != "enabled\nactive\n" {
			t.Errorf("is-enabled and is-active say %q", got)
		}
		h.run(`grep '^log-level: debug' /etc/isonet/isonetd.yaml`)
		if got := h.run(`isonet network list`); !strings.Contains(got, "red") {
			t.Errorf("the networks after the upgrade: %s", got)
		}
	})
	t.Run("traffic flows after the removal", func(t *testing.T) {
		h := h.in(t)
		h.losesNoPing(func() { h.run(`dnf --assumeyes remove isonet`) })
		if code, out := h.exec(t.Context(), `systemctl is-active isonetd`); code == 0 {
			t.Errorf("isonetd is %s", out)
		}
		h.run(`! test -e /etc/systemd/system/multi-user.target.wants/isonetd.service`)
		h.run(`getent group isonet; test -s /var/lib/isonet/isonet.db; grep '^log-level: debug' /etc/isonet/isonetd.yaml.rpmsave`)
	})
}

// installRPM makes the rpm of a version and installs it.
func (h *host) installRPM(version string) {
	h.t.Helper()
	h.copyTo(buildPackage(h.t, version, "rpm"), "/root/isonet.rpm")
	h.run(`dnf --assumeyes install /root/isonet.rpm`)
}

// providesWhatItHas tells rpm of what Debian's own packages installed and isonet
// requires.
func (h *host) providesWhatItHas() {
	h.t.Helper()
	const has = `
name: debian
arch: all
version: 1.0.0
maintainer: nobody <nobody@localhost>
description: what Debian installed
provides: [/usr/sbin/ovs-vswitchd, /usr/sbin/groupadd]
`
	dir := h.t.TempDir()
	config, file := filepath.Join(dir, "nfpm.yaml"), filepath.Join(dir, "debian.rpm")
	if err := os.WriteFile(config, []byte(has), 0o600); err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.CommandContext(h.t.Context(), nfpm(h.t), "package", "--config", config, "--target", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("make an rpm: %v\n%s", err, out)
	}
	h.copyTo(file, "/root/debian.rpm")
	h.run(`test -x /usr/sbin/ovs-vswitchd; test -x /usr/sbin/groupadd; rpm --install /root/debian.rpm`)
}

// answers says whether a ping from a VM is answered.
func (h *host) answers(from vm, ip string) error {
	h.t.Helper()
	if code, out := h.exec(h.t.Context(), fmt.Sprintf(`ip netns exec %s ping -n -c 1 -W 1 %s`, from.name, ip)); code != 0 {
		return fmt.Errorf("exit code %d: %s", code, out)
	}
	return nil
}
