package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
)

// serve runs the guard of these devices as isonetd does, until the test ends.
func (l *lab) serve(devices ...Device) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	watching := ovstest.GoInside(l.host, func() error { return l.guard.Run(ctx) })
	applying := ovstest.GoInside(l.host, func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-l.guard.Disturbed():
				if _, err := l.guard.Apply(ctx, devices); err != nil && ctx.Err() == nil {
					return err
				}
			}
		}
	})
	l.t.Cleanup(func() {
		cancel()
		for _, done := range []<-chan error{watching, applying} {
			if err := <-done; err != nil {
				l.t.Error(err)
			}
		}
	})
}

// index returns the ifindex of a device of the host.
func (l *lab) index(device string) int {
	l.t.Helper()
	var index int
	ovstest.Inside(l.t, l.host, func() error {
		link, err := netlink.LinkByName(device)
		if err == nil {
			index = link.Attrs().Index
		}
		return err
	})
	return index
}

// ruleset returns the rules without the handles.
func (l *lab) ruleset() string {
	l.t.Helper()
	return run(l.t, l.host, "nft", "list", "ruleset")
}

// chain returns the name of the guard's chain on a device.
func (l *lab) chain(prefix, device string) string {
	l.t.Helper()
	for line := range strings.Lines(l.ruleset()) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "chain" && strings.HasPrefix(fields[1], prefix) && strings.HasSuffix(fields[1], "-"+device) {
			return fields[1]
		}
	}
	l.t.Fatalf("no chain %s of %s:\n%s", prefix, device, l.ruleset())
	return ""
}

// Whatever somebody makes of the tables, they are put back, and both hold again: the
// VM does not reach the host, and the VMs reach each other.
func TestAlteredRulesArePutBack(t *testing.T) { onBoth(t, alteredRulesArePutBack) }

func alteredRulesArePutBack(t *testing.T, l *lab) {
	target := linkLocal(t, l.host, "h1")
	l.apply("h1", "h2")
	want := l.ruleset()
	alterations := alteredStack()
	if !l.inKernel {
		maps.Copy(alterations, l.alteredDevices())
	}
	for name, command := range alterations {
		run(t, l.host, "nft", command)
		if sameRules(l.ruleset(), want) {
			t.Errorf("%s: that changed nothing", name)
		}
		l.apply("h1", "h2")
		if got := l.ruleset(); !sameRules(got, want) {
			t.Errorf("%s: the rules are\n%s\nwant\n%s", name, got, want)
		}
		// Frames of the VMs pass again, or the barrier of this would not.
		l.expect(name, nil, l.leaks("h1", target))
	}
	if l.sysctl("h1") != "1" {
		t.Error("IPv6 is on")
	}
	l.apply()
	if l.sysctl("h1") != "0" {
		t.Error("who alters the rules makes the guard forget IPv6")
	}
}

// alteredDevices are commands of nft(8) that change the rules on single devices.
func (l *lab) alteredDevices() map[string]string {
	in, out := l.chain("ingress", "h1"), l.chain("egress", "h1")
	return map[string]string{
		"all rules are flushed":           "flush table netdev isonet",
		"a chain is flushed":              "flush chain netdev isonet " + out,
		"the shared chain is flushed":     "flush chain netdev isonet own-frames",
		"the table is deleted":            "delete table netdev isonet",
		"a chain is deleted":              "delete chain netdev isonet " + in,
		"a rule accepts first":            "insert rule netdev isonet " + in + " accept",
		"a rule of another kind":          "insert rule netdev isonet " + out + " counter",
		"a rule drops first":              "insert rule netdev isonet " + out + " drop",
		"a rule in the shared chain":      "insert rule netdev isonet own-frames accept",
		"the policy is accept":            "chain netdev isonet " + in + " { policy accept ; }",
		"the table is dormant":            "add table netdev isonet { flags dormant ; }",
		"a chain of somebody else's":      "add chain netdev isonet foreign { type filter hook ingress device up0 priority 0 ; policy drop ; }",
		"a chain jumps to the shared one": "add chain netdev isonet foreign ; add rule netdev isonet foreign jump own-frames",
		"chains of somebody else's jump": "add chain netdev isonet one ; add chain netdev isonet two ; " +
			"add rule netdev isonet one jump two",
		"a chain has another device": "delete chain netdev isonet " + in +
			" ; add chain netdev isonet " + in + " { type filter hook ingress device h2 priority -500 ; policy drop ; }",
		"a chain has another hook": "delete chain netdev isonet " + in +
			" ; add chain netdev isonet " + in + " { type filter hook egress device h1 priority -500 ; policy drop ; }",
		"a chain has another priority": "delete chain netdev isonet " + in +
			" ; add chain netdev isonet " + in + " { type filter hook ingress device h1 priority 0 ; policy drop ; }",
		"a chain has two devices": "delete chain netdev isonet " + in +
			" ; add chain netdev isonet " + in + " { type filter hook ingress devices = { h1, up0 } priority -500 ; policy drop ; }",
		"a chain has no hook": "delete chain netdev isonet " + in + " ; add chain netdev isonet " + in,
	}
}

// alteredStack are commands of nft(8) that change the rules of the host's stack.
func alteredStack() map[string]string {
	set := func(options, elements string) string {
		return "delete table arp isonet ; add table arp isonet ; add set arp isonet guarded { type iface_index ; " + options + " } ; " +
			"add element arp isonet guarded { " + elements + " } ; add chain arp isonet from-vms { type filter hook input priority -500 ; } ; " +
			"add rule arp isonet from-vms iif @guarded drop ; add chain arp isonet to-vms { type filter hook output priority -500 ; } ; " +
			"add rule arp isonet to-vms oif @guarded drop"
	}
	return map[string]string{
		"the ruleset is flushed":          "flush ruleset",
		"the stack's rules are flushed":   "flush table inet isonet",
		"the stack's table is deleted":    "delete table arp isonet",
		"the stack's table is dormant":    "add table inet isonet { flags dormant ; }",
		"the set is empty":                "flush set inet isonet guarded",
		"a device is taken out":           "delete element arp isonet guarded { h1 }",
		"a NIC is put in":                 "add element inet isonet guarded { up0 }",
		"an element has a comment":        `delete element inet isonet guarded { h1 } ; add element inet isonet guarded { h1 comment "mine" }`,
		"elements end":                    set("flags timeout ;", "h1 timeout 1h, h2 timeout 1h"),
		"all others are in the set":       set("", "h1, h2, *"),
		"the set has intervals":           set("flags interval ;", "h1, h2"),
		"ARP of a device is accepted":     "insert rule arp isonet from-vms iif h1 accept",
		"what goes out is accepted":       "insert rule inet isonet to-vms accept",
		"the stack's chain is flushed":    "flush chain arp isonet to-vms",
		"the stack's chain is deleted":    "delete chain inet isonet from-vms",
		"the stack's policy is drop":      "chain inet isonet to-vms { policy drop ; }",
		"the stack's chain has no hook":   "delete chain inet isonet from-vms ; add chain inet isonet from-vms ; add rule inet isonet from-vms iif @guarded drop",
		"a rule has another verdict":      "flush chain inet isonet from-vms ; add rule inet isonet from-vms iif @guarded accept",
		"a rule looks for others":         "flush chain inet isonet from-vms ; add rule inet isonet from-vms iif != @guarded drop",
		"a rule looks the other way":      "flush chain inet isonet to-vms ; add rule inet isonet to-vms iif @guarded drop",
		"a chain in the stack's table":    "add chain inet isonet foreign { type filter hook forward priority 0 ; policy drop ; }",
		"a set in the stack's table":      "add set arp isonet foreign { type ipv4_addr ; }",
		"a chain uses the set":            "add chain inet isonet foreign ; add rule inet isonet foreign iif @guarded accept",
		"the stack's chain comes later":   "delete chain arp isonet to-vms ; add chain arp isonet to-vms { type filter hook output priority 0 ; } ; add rule arp isonet to-vms oif @guarded drop",
		"the stack's chain hooks another": "delete chain inet isonet to-vms ; add chain inet isonet to-vms { type filter hook output priority -500 ; } ; add rule inet isonet to-vms oif @guarded drop",
	}
}

// sameRules compares rules whose tables and chains may come in another order.
func sameRules(a, b string) bool {
	blocks := func(rules string) map[string]string {
		table, within, all := "", "", map[string]string{}
		for line := range strings.Lines(rules) {
			name := strings.TrimSuffix(strings.TrimSpace(line), " {")
			switch {
			case strings.HasPrefix(line, "table "):
				table, within = name, ""
			case strings.HasPrefix(line, "\tchain "), strings.HasPrefix(line, "\tset "):
				within = name
			}
			all[table+" "+within] += strings.TrimSpace(line) + "\n"
		}
		return all
	}
	return maps.Equal(blocks(a), blocks(b))
}

// The kernel forgets that IPv6 is off when it has to do without it for a while.
func TestIPv6ThatComesBackIsSwitchedOff(t *testing.T) {
	l := newLab(t)
	linkLocal(t, l.host, "h1")
	index := l.index("h1")
	l.serve(Device{Index: index, Name: "h1"}, Device{Index: l.index("h2"), Name: "h2"})
	off := func(when string) {
		t.Helper()
		ovstest.Eventually(t, when+": IPv6 is off", func() error {
			if got := l.sysctl("h1"); got != "1" {
				return fmt.Errorf("disable_ipv6 is %s", got)
			}
			if got := run(t, l.host, "ip", "-6", "address", "show", "dev", "h1"); strings.TrimSpace(got) != "" {
				return fmt.Errorf("the addresses are %s", got)
			}
			return nil
		})
	}
	off("first")
	for range 3 {
		ip(t, l.host, "link set h1 mtu 1200")
		ip(t, l.host, "link set h1 mtu 1400")
		off("the MTU was below 1280")
	}
	run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.h1.disable_ipv6=0")
	off("somebody switched it on")
	run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
	run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0")
	off("somebody switched it on for all")
	ip(t, l.host, "link set h1 down")
	run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.h1.disable_ipv6=0")
	ip(t, l.host, "link set h1 up")
	off("it was switched on while the device was down")
}

// A device stays the same under another name; another device that gets its name,
// or its number, is another one.
func TestADeviceIsKnownByItsIndex(t *testing.T) {
	l := newLab(t)
	index := l.index("h1")
	l.serve(Device{Index: index, Name: "h1"}, Device{Index: l.index("h2"), Name: "h2"})
	on := func(device string, want bool) {
		t.Helper()
		ovstest.Eventually(t, fmt.Sprintf("%s is guarded: %t", device, want), func() error {
			rules := l.ruleset()
			if strings.Contains(rules, fmt.Sprintf("ingress device %q", device)) != want {
				return errors.New(rules)
			}
			return nil
		})
	}
	on("h1", true)
	ip(t, l.host, "link set h1 down")
	ip(t, l.host, "link set h1 name other")
	ip(t, l.host, "link set other up")
	on("other", true)
	on("h1", false)
	ip(t, l.host, "link add h1 type veth peer name h1-peer")
	on("h1", false)
}

// What an earlier process guarded is known by its rules.
func TestLeft(t *testing.T) {
	l := newLab(t)
	left := func() []Device {
		t.Helper()
		var devices []Device
		ovstest.Inside(t, l.host, func() (err error) {
			devices, err = New(slog.New(slog.DiscardHandler)).Left(context.Background())
			return err
		})
		return devices
	}
	if got := left(); len(got) != 0 {
		t.Errorf("without rules: %v", got)
	}
	h1, h2, bare := Device{Index: l.index("h1"), Name: "h1"}, Device{Index: l.index("h2"), Name: "h2"}, Device{Index: l.index("up0"), Name: "up0", InKernel: true}
	ovstest.Inside(t, l.host, func() error {
		_, err := l.guard.Apply(context.Background(), []Device{h1, h2, bare, {Name: "not-there"}})
		return err
	})
	want := []Device{h1, h2, bare}
	slices.SortFunc(want, compareDevices)
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
	ip(t, l.host, "link set h2 down")
	ip(t, l.host, "link set h2 name other")
	ip(t, l.host, "link del h1")
	for i := range want {
		if want[i].Name == "h2" {
			want[i].Name = "other"
		}
	}
	want = slices.DeleteFunc(want, func(d Device) bool { return d.Name == "h1" })
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
	// A table that somebody filled is no memory.
	run(t, l.host, "nft", "flush ruleset; add table netdev isonet; add chain netdev isonet ingress-x; add chain netdev isonet ingress-ipv6-1-lo")
	if got := left(); len(got) != 1 || got[0].Name != "lo" {
		t.Errorf("left are %v", got)
	}
}

// A device that goes from one datapath to the other is guarded all the time, and is
// so after a restart and after an update.
func TestFromOneDatapathToTheOther(t *testing.T) {
	l := newLab(t)
	l.inKernel = true
	target := linkLocal(t, l.host, "h1")
	restart := func() { l.guard = New(slog.New(slog.DiscardHandler)) }
	for _, before := range []string{
		"", // nothing
		fmt.Sprintf("add chain netdev isonet bare-ipv6-%d-h1", l.index("h1")),
		fmt.Sprintf("add chain netdev isonet ingress-ipv6-%d-h1 { type filter hook ingress device h1 priority -500 ; policy drop ; }", l.index("h1")),
	} {
		if before != "" { // as an isonetd left it that had no other rules
			run(t, l.host, "nft", "add table netdev isonet ; "+before)
			run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.h1.disable_ipv6=1")
			restart()
		}
		l.apply("h1", "h2")
		if rules := l.ruleset(); strings.Contains(rules, "gress") || strings.Count(rules, `elements = { "h1", "h2" }`) != 2 {
			t.Errorf("in the kernel after %q the rules are %s", before, rules)
		}
		l.expect("in the kernel", nil, l.leaks("h1", target))
		l.inKernel = false
		l.apply("h1", "h2")
		if rules := l.ruleset(); !strings.Contains(rules, `hook ingress device "h1"`) || strings.Contains(rules, "bare-") {
			t.Errorf("of the userspace datapath the rules are %s", rules)
		}
		l.expect("of the userspace datapath", nil, l.leaks("h1", target))
		l.inKernel = true
		restart()
		l.apply("h1", "h2")
		if got := l.sysctl("h1"); got != "1" {
			t.Errorf("disable_ipv6 is %s", got)
		}
		restart()
		l.apply()
		if got := l.sysctl("h1"); got != "0" || l.ruleset() != "" {
			t.Errorf("all devices were let go: disable_ipv6 is %s, and the rules are %s", got, l.ruleset())
		}
	}
}

// A program that holds a table keeps isonetd from it, which is no lack of
// privileges.
func TestTheTableOfAnotherProgram(t *testing.T) {
	for _, family := range []string{"netdev", "inet", "arp"} {
		t.Run(family, func(t *testing.T) { theTableOfAnotherProgram(t, family) })
	}
}

func theTableOfAnotherProgram(t *testing.T, family string) {
	host := ovstest.Namespace(t)
	ip(t, host, "link add v0 type veth peer name v1")
	release := holdTable(t, host, family)
	g := New(slog.New(slog.DiscardHandler))
	apply := func() (report Report) {
		ovstest.Inside(t, host, func() (err error) {
			report, err = g.Apply(context.Background(), named("v0"))
			return err
		})
		return report
	}
	if got := apply(); got.Unavailable != needsTable || len(got.Guarded) > 0 {
		t.Errorf("the report is %+v", got)
	}
	release()
	if got := apply(); got.Unavailable != "" || len(got.Guarded) != 1 {
		t.Errorf("the report is %+v", got)
	}
}

// holdTable lets another program own a table of the guard's until it is released.
func holdTable(t *testing.T, host, family string) (release func()) {
	t.Helper()
	nft := exec.CommandContext(t.Context(), "ip", "netns", "exec", host, "nft", "-i")
	input, err := nft.StdinPipe()
	if err == nil {
		err = nft.Start()
	}
	if err == nil {
		_, err = io.WriteString(input, "add table "+family+" isonet { flags owner ; }\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	ovstest.Eventually(t, "the table is another program's", func() error {
		if tables := run(t, host, "nft", "list", "tables"); !strings.Contains(tables, family+" isonet") {
			return fmt.Errorf("the tables are %q", tables)
		}
		return nil
	})
	return func() {
		if err := errors.Join(input.Close(), nft.Wait()); err != nil {
			t.Error(err)
		}
	}
}

// What does not become as it was put is no success, and is not tried for ever.
func TestWhatDoesNotSettleIsAnError(t *testing.T) {
	l := newLab(t)
	linkLocal(t, l.host, "h1")
	file := filepath.Join(t.TempDir(), "disable_ipv6")
	if err := os.WriteFile(file, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	ovstest.Inside(t, l.host, func() error {
		// The mounts of this thread only, which ends with this function. What is
		// written to the setting has no effect.
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := unix.Mount(file, "/proc/sys/net/ipv6/conf/h1/disable_ipv6", "", unix.MS_BIND, ""); err != nil {
			return err
		}
		if _, err := l.guard.Apply(context.Background(), named("h1")); !errors.Is(err, errUnsettled) {
			t.Errorf("Apply: %v", err)
		}
		return nil
	})
}
