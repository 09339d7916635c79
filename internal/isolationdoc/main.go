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

isonetd judges every port and every setting of its networks' bridges, as soon as Open vSwitch or the kernel reports a change.
` + "`isonet status`, `isonet doctor`, `/isonet/status`" + ` and the metrics show the findings.

- **Evidence** comes from the configuration in OVSDB and from the kernel (rtnetlink), never from external_ids, which anybody can write.
- **The first row that matches a port wins.** isonet allows only what it knows: a tap with Ethernet frames, a veth whose other end is in another
  network namespace, a vhost-user port, and an internal port that was moved into another namespace. isonet does not see what is behind the other end of a veth or
  inside a VM.
- **A port is the device that Open vSwitch opened**: Interface ` + "`ifindex`" + ` where Open vSwitch reports it, else its name or an altname. A rename changes nothing.
  A device whose name another one got is still the port's, because Open vSwitch goes on receiving from it. isonetd
  remembers which devices a port has had, also across restarts. A device has left the host when the kernel says so.
- **Other network namespaces.** isonet sees what is stacked on a port's device there, such as a container's macvlan, if the host has an id for the namespace
  (ip-netns(8)). The host gets an id when a device is moved there from the host, or a veth joins the two. isonet does not see what is created in a namespace
  without an id.
- **Not known yet** is pending and not a finding: a port that Open vSwitch has not opened, a device that isonet does not see, an internal port that is still on the
  host, down and without an address. After a grace time of 10 seconds isonet judges it by what is known. A port that is unplugged and plugged in again within a
  minute gets no new grace time. isonet leaves alone a port whose device is gone: no frame passes it.
- **Plugged in first and moved afterwards.** Container tools do that with a veth. It is in quarantine until its other end has left the host. If the other end is
  still there after the grace time, isonetd removes the port.
- **Quarantine** sets the port to ` + "`vlan_mode=trunk trunks=4095`" + ` and notes the reason and the former settings in its external_ids. When the
  cause is gone, isonetd judges the port again. If the port is allowed, it gets its former settings back. Frames that a VM itself tags with VLAN 4095 can still pass
  between a port in quarantine and others.
- **Repeated repairs** are delayed more and more. isonetd makes five repairs of the same port or setting at once. From then on each repair waits twice as long as
  the one before, up to a minute. The network is *contested* until nothing was repaired for five minutes.
- **Mirrors.** After a mirror is gone, Open vSwitch 3.1 goes on copying the frames of flows that are in use. The transaction that removes a mirror therefore also
  toggles priority tags on the bridge's local port. That makes Open vSwitch compute all flows again. It changes nothing else, because that port
  carries no frames.
- **RSTP.** After RSTP is disabled, Open vSwitch 3.1 no longer floods to the ports that existed. isonetd therefore takes the bridge down and up: the
  transaction that disables RSTP sets a datapath type that does not exist, and isonetd restores the datapath type when Open vSwitch has applied that. The ports' rows
  are not touched, and the ports keep their numbers. VMs lose their link for some milliseconds. An internal port would lose its device, and a VM
  its dpdkvhostuser socket. While such a port is plugged in, isonetd leaves RSTP on and reports it.

The policy of a network says what isonetd does: *enforce* (the default), *quarantine* or *report*. Under *report* isonetd changes nothing, except that it ends
the quarantine of ports that it had cut off. What makes a bridge the network's does not depend on the policy. isonetd always keeps its marks, datapath type, fail mode, OpenFlow
versions, flow tables, MTU, local port and the flows of a strict network.

| Reason | What | Evidence | enforce | quarantine | report | What to do |
|---|---|---|---|---|---|---|
`

const columnsHead = `
## Every column of Open vSwitch's database

These tables say what isonet does about each column of ovs-vswitchd.conf.db(5), and about each key of its maps that is documented there, on its networks' bridges.

- **kept**: repaired under any policy, because it makes the bridge the network's.
- **restored**: set back as the policy says.
- **judged**: evidence about a port. The port is removed or cut off as the policy says.
- **reported**: reported and left alone.
- **read**: what Open vSwitch reports, on which isonet acts.
- **no bearing**: it does not change who reaches whom.

A key that is off by default is on when its value is ` + "`true`" + `, in upper or lower case, as Open vSwitch reads it. The columns are those of
Open vSwitch 2.17 to 4.0. isonet ignores other columns and reports them as a notice of the host (` + "`isonet doctor`" + `).
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
