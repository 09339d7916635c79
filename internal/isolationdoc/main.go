// Command isolationdoc writes what isonet judges and does about isolation as
// Markdown to the file that it is given.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: isolationdoc FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(document()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "isolationdoc:", err)
		os.Exit(1)
	}
}

const head = `<!-- Written by "go generate ./model/isolation". Change the texts in model/isolation and internal/isolationdoc. -->

# Isolation

isonetd judges every port and every setting of its networks' bridges, as soon as Open vSwitch or the kernel tells of a change.
What it finds is in ` + "`isonet status`, `isonet doctor`, `/isonet/status`" + ` and the metrics.

- **Evidence** comes from the configuration in OVSDB and from the kernel (rtnetlink), never from external_ids, which anybody can write.
- **The first line that matches a port wins.** Allowed is only what is known: a tap with Ethernet frames, a veth whose other end is in another
  network namespace, a vhost-user port, and an internal port that was moved into another namespace. What lies behind the other end of a veth or
  inside a VM is out of sight.
- **A port is the device that Open vSwitch opened**: Interface ` + "`ifindex`" + `, where Open vSwitch tells it, else its name or an altname. A rename changes nothing,
  and a device whose name another one got stays the port's as well: Open vSwitch goes on receiving from it. isonetd
  remembers which devices a port has had, also while it does not run. A device has left the host when the kernel says so.
- **Other network namespaces** tell of what is stacked on a port's device there, such as a container's macvlan, if the host has an id for them (ip-netns(8)). It
  has one as soon as a device was moved there from the host, or a veth joins the two. What was made right in a namespace without an id is not seen.
- **Not known yet** is pending and not a finding: a port that Open vSwitch has not opened, a device that is not seen, an internal port still with the
  host that is down and has no address. After a grace time of 10 seconds it is judged by what is known. A port that is unplugged and plugged in again within a
  minute gets no new grace time. A port whose device is gone is left alone: nothing passes it.
- **Plugged in first and moved afterwards**, as container tools do, a veth is in quarantine until its other end has left the host. It is removed when that
  has not happened after the grace time.
- **Quarantine** sets the port to ` + "`vlan_mode=trunk trunks=4095`" + ` and notes the reason and the former settings in its external_ids. A port whose cause is
  gone is judged anew and, if it is allowed, gets its former settings back. Frames that a VM tags with VLAN 4095 by itself can still pass between a port in
  quarantine and others.
- **Who keeps putting it back** meets a growing delay: five repairs of the same port or setting are made at once, then each waits twice as long as
  the one before, up to a minute, and the network is *contested* until nothing was repaired for five minutes.
- **Mirrors.** Open vSwitch 3.1 goes on copying flows that are in use after a mirror is gone. The transaction that removes a mirror therefore also
  switches priority tags on the bridge's local port on or off, which makes Open vSwitch compute all flows anew and changes nothing else, because that port
  carries no frames.
- **RSTP.** After RSTP is disabled, Open vSwitch 3.1 floods to none of the ports that were there. isonetd therefore takes the bridge down and up: with the same
  transaction that disables RSTP the bridge gets a datapath type that does not exist, and its own again when Open vSwitch has applied that. The ports' rows
  are not touched and the ports keep their numbers; VMs lose their link for some milliseconds. An internal port would lose its device, and a VM
  its dpdkvhostuser socket, so that while one of those is plugged in RSTP stays on and is reported.

The policy of a network says what is done: *enforce* (the default), *quarantine* or *report*. Under *report* isonetd changes nothing, but lets ports go that it
had cut off itself. What makes a bridge the network's is no matter of the policy: its marks, datapath type, fail mode, OpenFlow versions, flow tables, MTU, local port and the flows of a strict network are always put right.

| Reason | What | Evidence | enforce | quarantine | report | What to do |
|---|---|---|---|---|---|---|
`

const columnsHead = `
## Every column of Open vSwitch's database

What isonet does about each column of ovs-vswitchd.conf.db(5), and each key of its maps that is documented there, on its networks' bridges.

- **kept**: put right under any policy, because it makes the bridge the network's.
- **restored**: put back as the policy says. **judged**: evidence about a port, which is removed or cut off as the policy says. **reported**: told of and left alone.
- **read**: Open vSwitch's word, on which isonet acts. **no bearing**: it changes nothing about who reaches whom.

A key that is off by default is on when its value is ` + "`true`" + ` in any case, as Open vSwitch reads it. The columns are those of
Open vSwitch 2.17 to 4.0. Others are not looked at, and told as a notice of the host (` + "`isonet doctor`" + `).
`

// does says what is done about an entry under a policy.
func does(e isolation.Entry, p model.Policy) string {
	after := e.Under(p)
	if e.Meanwhile == "" {
		return string(after)
	}
	e.Enforce = e.Meanwhile
	if meanwhile := e.Under(p); meanwhile != after {
		return fmt.Sprintf("%s, after the grace time %s", meanwhile, after)
	}
	return string(after)
}

// document returns the text of the whole file.
func document() string {
	var b strings.Builder
	b.WriteString(head)
	reasons(&b)
	b.WriteString(columnsHead)
	for _, table := range isolation.Tables() {
		fmt.Fprintf(&b, "\n### %s\n\n| Column | isonet | Why | Reasons |\n|---|---|---|---|\n", table)
		for _, c := range isolation.Columns() {
			if c.Table == table {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", names(c), c.Does, c.Why, quoted(c.Reasons))
			}
		}
	}
	return b.String()
}

func names(c isolation.Column) string {
	if slices.Equal(c.Names, []string{"*"}) {
		return "all"
	}
	return quoted(c.Names)
}

func quoted[T ~string](names []T) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = "`" + string(name) + "`"
	}
	return strings.Join(list, ", ")
}

// reasons writes the decision table.
func reasons(b *strings.Builder) {
	for _, e := range isolation.Table() {
		what := e.What
		if e.Notice {
			what += " (a notice: it does not break the isolation by itself)"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |", e.Reason, what, e.Evidence)
		for _, p := range model.Policies() {
			fmt.Fprintf(b, " %s |", does(e, p))
		}
		fmt.Fprintf(b, " %s |\n", e.Remedy)
	}
}
