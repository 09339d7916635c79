package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// life is how a kind of package comes and goes. Without a purge, the removal is the
// end.
type life struct {
	install func(version string)
	// version is the one that is installed.
	version       string
	remove, purge string
}

// newerSchema makes the store's database that of a newer isonet, as an upgrade does.
const newerSchema = `
	systemctl stop isonetd
	sed 's/"version": "[0-9.]*"/"version": "1000.0.0"/' /usr/share/isonet/isolated-networks.ovsschema >/root/newer.ovsschema
	cp /var/lib/isonet/isonet.db /root/before.db
	ovsdb-tool convert /var/lib/isonet/isonet.db /root/newer.ovsschema`

// lives upgrades, downgrades and removes the package on a host with the VMs red1 and
// red2 on the network red. Not a ping between them is lost in all of it, and what
// operators asked for is there as long as the package is not purged.
func (h *host) lives(l life) {
	h.t.Helper()
	h.run(`
		isonet network create blue --label lab --mtu 1400 --description kept
		isonet label add lab
		echo 'admin:$2a$04$MzsLxnrkjZujAsxigSgjweRXwfGi7Vq5pVVJvznDxi2HEzUvH5uUK' >/etc/isonet/users
		printf 'log-level: debug\nlisten: 127.0.0.1:8443\nusers-file: /etc/isonet/users\n' >/etc/isonet/isonetd.yaml
		systemctl restart isonetd`)
	before := h.asked()
	kept := func(h *host) {
		h.t.Helper()
		if diff := cmp.Diff(before, h.asked()); diff != "" {
			h.t.Errorf("what operators asked for (-before +after):\n%s", diff)
		}
		h.run(`systemctl is-active isonetd; grep -q '^log-level: debug' /etc/isonet/isonetd.yaml`)
	}
	h.t.Run("an upgrade loses no packet and keeps everything", func(t *testing.T) {
		h := h.in(t)
		process := h.run(`systemctl show -P MainPID isonetd`)
		h.losesNoPing(func() { l.install("v1.1.0"); kept(h) })
		if after := h.run(`systemctl show -P MainPID isonetd`); after == process {
			t.Error("the old isonetd still runs")
		}
	})
	h.t.Run("so does a downgrade to one with the same schema", func(t *testing.T) {
		h := h.in(t)
		h.losesNoPing(func() { l.install(l.version); kept(h) })
	})
	h.t.Run("an older one refuses the database of a newer one and leaves it alone", func(t *testing.T) {
		h := h.in(t)
		h.losesNoPing(func() {
			h.run(newerSchema + `; sha256sum /var/lib/isonet/isonet.db >/root/sum; ! timeout 60 systemctl start isonetd; sha256sum --check /root/sum`)
			if said := h.run(`journalctl -u isonetd --no-pager -n 30`); !strings.Contains(said, "newer than") || !strings.Contains(said, "upgrade isonetd") {
				t.Errorf("the journal has no next step:\n%s", said)
			}
			// As the document says: the copy that the upgrade kept.
			h.run(`systemctl stop isonetd; cp /root/before.db /var/lib/isonet/isonet.db; systemctl start isonetd`)
			kept(h)
		})
	})
	h.t.Run("traffic flows after the removal, and a new installation finds everything", func(t *testing.T) {
		h := h.in(t)
		h.run(`cp /etc/isonet/isonetd.yaml /root`)
		h.losesNoPing(func() {
			h.run(l.remove)
			if code, out := h.exec(t.Context(), `systemctl is-active isonetd`); code == 0 {
				t.Errorf("isonetd is %s", out)
			}
			h.run(`test -s /var/lib/isonet/isonet.db; test -s /etc/isonet/users; ovs-vsctl br-exists red; nft list table netdev isonet`)
			l.install("v1.1.0")
			// The rpm sets a changed configuration aside, and starts as the presets say.
			h.run(`cp /root/isonetd.yaml /etc/isonet/isonetd.yaml; systemctl enable isonetd; systemctl restart isonetd`)
			kept(h)
		})
	})
	if l.purge == "" {
		return
	}
	h.t.Run("the purge removes the state and not the bridges, which can be adopted", func(t *testing.T) {
		h := h.in(t)
		h.losesNoPing(func() {
			h.run(`isonet network update red --strict=false`)
			h.run(l.purge)
			h.run(`! test -e /var/lib/isonet; ! test -e /etc/isonet/isonetd.yaml; ! test -e /run/isonet; ovs-vsctl br-exists red`)
			l.install("v1.1.0")
			if got := h.run(`isonet network list`); strings.Contains(got, "red") {
				t.Errorf("the networks after the purge: %s", got)
			}
			h.run(`ovs-vsctl br-exists red; isonet adopt red red`)
		})
	})
}

// asked is what operators asked for, and what isonet knows the networks by.
func (h *host) asked() string {
	h.t.Helper()
	return h.run(`
		isonet export
		isonet network list
		isonet host list
		curl -sS -u admin:secret http://127.0.0.1:8443/ovirt-engine/api/networks | grep -o 'id="[^"]*"' | sort`)
}
