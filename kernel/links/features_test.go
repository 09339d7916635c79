package links

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
)

// A device that has another name when it is asked for its features is asked again by
// that name.
func TestOffloadsOfARenamedTap(t *testing.T) {
	named := func(name string) link { return link{device: plan.Device{Index: 7, Name: name, VnetHeader: true}} }
	known := newTable()
	for _, name := range []string{"tap", "other"} {
		known.put(7, named(name))
		if _, asks := known.featured[7]; !asks {
			t.Errorf("%s is not asked for its features", name)
		}
		clear(known.featured)
	}
	known.put(7, named("other"))
	if _, asks := known.featured[7]; asks {
		t.Error("a device of which nothing changed is asked for its features")
	}
}

// TestOffloadsOfATap has whoever holds a tap say what it takes, as vswitchd and QEMU
// do after they made it.
func TestOffloadsOfATap(t *testing.T) {
	namespace := ovstest.Namespace(t)
	w, _ := start(t, namespace, receiveBuffer)
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: "tap"}, Mode: netlink.TUNTAP_MODE_TAP,
		Queues: 1, Flags: netlink.TUNTAP_DEFAULTS | netlink.TUNTAP_VNET_HDR,
	}
	ovstest.Inside(t, namespace, func() error { return netlink.LinkAdd(tap) })
	t.Cleanup(func() {
		if err := tap.Fds[0].Close(); err != nil {
			t.Errorf("close the tap: %v", err)
		}
	})
	takes := func(flags int) {
		t.Helper()
		if err := unix.IoctlSetInt(int(tap.Fds[0].Fd()), unix.TUNSETOFFLOAD, flags); err != nil {
			t.Fatal(err)
		}
	}
	sees := func(w *Watcher, what string, noTSO bool) {
		t.Helper()
		await(t, w, what, func(l map[string]plan.Device) bool { return l["tap"].VnetHeader && l["tap"].NoTSO == noTSO })
	}
	const checksums, segments = unix.TUN_F_CSUM, unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	sees(w, "a new tap takes nothing that is open", true)
	takes(segments)
	sees(w, "it takes segments", false)
	agree(t, w, namespace)
	takes(checksums)
	sees(w, "it takes checksums alone", true)
	agree(t, w, namespace)
	ip(t, namespace, "link set tap mtu 1400 up")
	await(t, w, "what else changes leaves that as it was", func(l map[string]plan.Device) bool { return l["tap"].MTU == 1400 && l["tap"].Up && l["tap"].NoTSO })
	ip(t, namespace, "link set tap down name other")
	ip(t, namespace, "link set other name tap")
	later, _ := start(t, namespace, receiveBuffer)
	sees(later, "it was there before", true)
	takes(segments)
	sees(later, "it takes segments again", false)
	sees(w, "it takes segments again", false)
}
