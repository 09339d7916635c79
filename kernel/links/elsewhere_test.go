package links

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
)

// onTop says what is stacked on v0.
func onTop(l map[string]plan.Device) []string {
	var names []string
	for _, r := range l["v0"].Upper {
		name := r.Kind + " " + r.Name
		if !r.Elsewhere {
			name += " here"
		}
		names = append(names, name)
	}
	return names
}

func carries(t *testing.T, w *Watcher, want ...string) {
	t.Helper()
	await(t, w, fmt.Sprintf("on top of v0: %q", want), func(l map[string]plan.Device) bool { return slices.Equal(onTop(l), want) })
}

// kinds are devices that are stacked on v0, as far as the kernel can make them.
func kinds(t *testing.T, namespace string) map[string]string {
	t.Helper()
	all := map[string]string{"macvlan": "mode bridge", "ipvlan": "mode l2", "vlan": "id 7", "macsec": "", "macvtap": "mode bridge", "ipvtap": "mode l2"}
	for kind, options := range all {
		if _, err := tryIP(namespace, "link add link v0 name probe type "+kind+" "+options); err != nil {
			t.Logf("this kernel lacks the kind %s", kind)
			delete(all, kind)
			continue
		}
		ip(t, namespace, "link del probe")
	}
	if len(all) == 0 {
		t.Fatal("the kernel can stack nothing: this tests nothing")
	}
	return all
}

// A device on top that moves to another namespace stays on top, until it is gone
// there, comes back or its namespace goes.
func TestADeviceOnTopMovesAway(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	w, _ := start(t, host, receiveBuffer)
	ip(t, host, "link add v0 type veth peer name w0")
	for kind, options := range kinds(t, host) {
		add := "link add link v0 name top type " + kind + " " + options
		ip(t, host, add)
		carries(t, w, kind+" top here")
		ip(t, host, "link set top netns "+vm)
		carries(t, w, kind+" top")
		ip(t, vm, "link set top name renamed")
		carries(t, w, kind+" renamed")
		ip(t, vm, "link set renamed netns "+host)
		carries(t, w, kind+" renamed here")
		ip(t, host, "link set renamed netns "+vm)
		carries(t, w, kind+" renamed")
		ip(t, vm, "link del renamed")
		carries(t, w)
	}
	gone := "vanishing-" + host
	for _, args := range [][]string{{"netns", "add", gone}, {"-n", host, "link", "add", "link", "v0", "name", "top", "type", "macvlan"}} {
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	ip(t, host, "link set top netns "+gone)
	carries(t, w, "macvlan top")
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "delete", gone).CombinedOutput(); err != nil {
		t.Fatalf("ip netns delete: %v\n%s", err, out)
	}
	carries(t, w)
	ip(t, host, "link add link v0 name top type macvlan")
	ip(t, host, "link set top netns "+vm)
	carries(t, w, "macvlan top")
	ip(t, host, "link del v0")
	await(t, w, "v0 is gone", func(l map[string]plan.Device) bool { _, there := l["v0"]; return !there })
}

// A device below others moves away and comes back: the kernel says nothing of those on it.
func TestTheDeviceBelowComesBack(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	w, _ := start(t, host, receiveBuffer)
	ip(t, host, "link add v0 type veth peer name w0")
	for kind, options := range kinds(t, host) {
		ip(t, host, "link add link v0 name top type "+kind+" "+options)
		for range 2 {
			ip(t, host, "link set v0 netns "+vm)
			agree(t, w, host)
			ip(t, vm, "link set v0 netns "+host)
			agree(t, w, host)
		}
		ip(t, host, "link del top")
	}
}

// What was stacked in another namespace before somebody looked is found if this
// namespace has an id for that one: a veth joins them, or a device was moved
// there.
func TestADeviceOnTopWasElsewhereBefore(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	ip(t, host, "link add v0 type veth peer name w0")
	ip(t, host, "link add v9 type veth peer name eth0 netns "+vm)
	ip(t, vm, "link add x0 type veth peer name x1")
	ip(t, vm, "link add link x0 name other type macvlan") // x0 has an ifindex of the host's, too
	ip(t, host, "link add link v0 name top netns "+vm+" type macvlan")
	w, _ := start(t, host, receiveBuffer)
	carries(t, w, "macvlan top")
	ip(t, host, "link add link v0 name made netns "+vm+" type macvlan")
	carries(t, w, "macvlan made", "macvlan top")
	ip(t, vm, "link del top")
	carries(t, w, "macvlan made")
}
