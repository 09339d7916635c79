package links

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
)

// receive receives every frame of a device by a packet socket, until the function
// that it returns is called.
func receive(t *testing.T, namespace string, index int) (end func()) {
	t.Helper()
	fd := -1
	ovstest.Inside(t, namespace, func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(networkOrder(unix.ETH_P_ALL)), Ifindex: index})
	})
	end = func() {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		fd = -1
	}
	t.Cleanup(end)
	return end
}

// A device is received from as long as there is a socket, whatever becomes of the
// flag: when somebody switches that off, and when the device was away.
func TestWhetherADeviceIsReceivedFrom(t *testing.T) {
	namespace, other := ovstest.Namespace(t), ovstest.Namespace(t)
	w, _ := start(t, namespace, receiveBuffer)
	ip(t, namespace, "link add v0 type veth peer name w0")
	received := func(what string, is bool) plan.Device {
		t.Helper()
		return await(t, w, what, func(links map[string]plan.Device) bool {
			d, there := links["v0"]
			return there && (d.Sockets == plan.Receive || d.Sockets == plan.Unasked && d.Promiscuous) == is
		})["v0"]
	}
	d := received("the device is new", false)
	end := receive(t, namespace, d.Index)
	ip(t, namespace, "link set v0 promisc on")
	received("it was opened", true)
	ip(t, namespace, "link set v0 promisc off")
	ip(t, namespace, "link set v0 alias another")
	await(t, w, "the flag is off", func(map[string]plan.Device) bool { return !truth(t, namespace)["v0"].Promiscuous })
	received("the flag was switched off", true)
	end()
	received("it was closed", false)
	ip(t, namespace, "link set v0 promisc on")
	await(t, w, "the flag is on", func(links map[string]plan.Device) bool { return links["v0"].Promiscuous })
	received("somebody switched the flag on", false)

	end = receive(t, namespace, d.Index)
	received("it was opened again", true)
	ip(t, namespace, "link set v0 netns "+other)
	await(t, w, "the device is away", func(links map[string]plan.Device) bool { _, there := links["v0"]; return !there })
	ip(t, other, "link set v0 netns "+namespace)
	if !truth(t, namespace)["v0"].Promiscuous {
		t.Fatal("it lost the flag")
	}
	if back := received("it came back without the socket", false); back.Index != d.Index {
		t.Errorf("its ifindex was %d and is %d", d.Index, back.Index)
	}
	end()
	receive(t, namespace, d.Index)
	received("it was opened once more", true)
}
