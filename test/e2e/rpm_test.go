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
	const version = "v1.0.0-3-gabcdef0"
	h.installRPM(version)

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
	t.Run("VMs talk", func(t *testing.T) {
		h := h.in(t)
		h.run(`isonet network create red; isonet attach red`)
		h.plugVeth(red1, red2)
		h.eventually("the VMs may talk", func() error { return h.answers(red1, red2.ip) })
	})
	h.lives(life{install: h.installRPM, version: version, remove: "dnf --assumeyes remove isonet"})
	h.run(`getent group isonet; systemctl is-enabled isonetd; dnf --assumeyes remove isonet`)
	h.run(`! test -e /etc/systemd/system/multi-user.target.wants/isonetd.service; test -s /etc/isonet/isonetd.yaml.rpmsave`)
}

// installRPM installs the rpm of a version, be it older than the one that is there.
func (h *host) installRPM(version string) {
	h.t.Helper()
	file := h.bring(version, "rpm")
	h.run(`dnf --assumeyes install ` + file + ` && rpm --query isonet | grep -qF "$(rpm --query --package ` + file + `)" || dnf --assumeyes downgrade ` + file)
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
