package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// mostExposure is the most that "systemd-analyze security" may say of the unit,
// in tenths: 0 is a service without any access, 100 one without any limit.
const mostExposure = 25

// The deb is installed, used, upgraded, removed and purged on a Debian with
// systemd as its init and Open vSwitch as its services. What isonetd does here
// it does with the unit's capabilities and within its sandbox.
func TestPackage(t *testing.T) {
	t.Parallel()
	h := newBooted(t, image)
	h.installDeb("v1.0.0")

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
		h.run(`test -s /usr/share/isonet/contrib/prometheus/alerts.yml -a -s /usr/share/isonet/contrib/grafana/isonet.json -a -s /usr/share/doc/isonet/docs/first-use.md`)
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
	t.Run("a reload takes up the configuration", func(t *testing.T) {
		h := h.in(t)
		before := h.run(`systemctl show -P MainPID isonetd`)
		h.run(`echo 'log-level: debug' >/etc/isonet/isonetd.yaml; isonetd --check-config; systemctl reload isonetd`)
		h.eventually("the reload is logged", func() error {
			if got := h.run(`journalctl -u isonetd --no-pager`); !strings.Contains(got, "reloaded the configuration") {
				return fmt.Errorf("the journal has\n%s", got)
			}
			return nil
		})
		h.run(`echo 'log-level: loud' >/etc/isonet/isonetd.yaml; ! isonetd --check-config; systemctl reload isonetd; rm /etc/isonet/isonetd.yaml`)
		if after := h.run(`systemctl show -P MainPID isonetd; systemctl is-active isonetd`); after != before+"active\n" {
			t.Errorf("the service was %s and is %s", before, after)
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
		h.run(`nft list table netdev isonet | grep ` + red1.port())
		h.reaches(red1, red2.ip)
	})
	h.lives(life{install: h.installDeb, version: "v1.0.0", remove: "apt-get remove --yes isonet", purge: "apt-get purge --yes isonet"})
}

// installDeb installs the deb of a version.
func (h *host) installDeb(version string) {
	h.t.Helper()
	h.run(`DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install ` + h.bring(version, "deb"))
}
