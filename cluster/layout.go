package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/isonet/isonet/enroll"
)

// Layout says where the files of a fleet's servers are.
type Layout struct {
	// Config has what the machine got when it joined: its certificate, its key, whom it
	// trusts, and what the units read.
	Config string
	// Data has the databases, and Run the sockets, each in a directory of its server.
	Data, Run string
}

// DefaultLayout is that of the packages, below a directory: "/" on a real machine.
func DefaultLayout(root string) Layout {
	if root == "" {
		root = "/"
	}
	return Layout{
		Config: filepath.Join(root, "var/lib/isonet/fleet"),
		Data:   filepath.Join(root, "var/lib"),
		Run:    filepath.Join(root, "run"),
	}
}

// unitsFile is what the units of systemd read (systemd.exec(5), EnvironmentFile).
const unitsFile = "servers.env"

// Identity returns the path of the key and the certificate of this machine.
func (l Layout) Identity() string { return filepath.Join(l.Config, enroll.IdentityFile) }

// Servers returns the path of the certificate of the servers' authority.
func (l Layout) Servers() string { return filepath.Join(l.Config, enroll.ServersFile) }

// Both returns the path of the certificates of both authorities.
func (l Layout) Both() string { return filepath.Join(l.Config, enroll.BothFile) }

// Units returns the path of what the units read.
func (l Layout) Units() string { return filepath.Join(l.Config, unitsFile) }

// The servers of a fleet, by the names of their units.
const (
	member = "isonet-member"
	relay  = "isonet-relay"
	status = "isonet-status"
)

func (l Layout) database(server string) string { return filepath.Join(l.Data, server, "isonet.db") }

func (l Layout) socket(server string) string { return filepath.Join(l.Run, server, "db.sock") }

func (l Layout) control(server string) string { return filepath.Join(l.Run, server, "ctl") }

// MemberSocket returns the OVSDB endpoint of the member of this machine.
func (l Layout) MemberSocket() string { return "unix:" + l.socket(member) }

// StatusSocket returns the OVSDB endpoint of the server of reports of this machine.
func (l Layout) StatusSocket() string { return "unix:" + l.socket(status) }

// DefaultPort is the first of the four ports of a fleet. They are none of those that
// OVN's databases have.
const DefaultPort = 6651

// Ports are the TCP ports of a fleet, by the first of them.
type Ports int

// Hosts is where a relay listens for hosts, which may write what is theirs.
func (p Ports) Hosts() int { return int(p) }

// Reports is where the server of the hosts' reports listens.
func (p Ports) Reports() int { return int(p) + 1 }

// Servers is where a member listens for relays and API nodes, which may write all.
func (p Ports) Servers() int { return int(p) + 2 }

// Raft is where a member listens for members.
func (p Ports) Raft() int { return int(p) + 3 }

// Check returns an error unless there are four such ports.
func (p Ports) Check() error {
	if p < 1 || p > 65532 {
		return fmt.Errorf("%d is not the first of four ports: use 1 to 65532", p)
	}
	return nil
}

// CheckAddress returns an error unless an address is one under which a server can be
// reached: an IP address, for members of a cluster know each other by theirs.
func CheckAddress(address string) error {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
		return fmt.Errorf("%q is not the IP address of a machine: use one that the other machines reach, such as 192.0.2.1", address)
	}
	return nil
}

// endpoint returns an active connection method of ovsdb(7).
func endpoint(address string, port int) string {
	return "ssl:" + net.JoinHostPort(address, strconv.Itoa(port))
}

// passive returns the passive one.
func passive(address string, port int) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	return fmt.Sprintf("pssl:%d:%s", port, address)
}

// Endpoints returns the endpoints of members by their addresses, for the key store of
// an API node.
func Endpoints(addresses []string, p Ports) string { return list(addresses, p.Servers()) }

// RelayEndpoints returns those of relays, for the key store of a host.
func RelayEndpoints(addresses []string, p Ports) string { return list(addresses, p.Hosts()) }

// ReportEndpoints returns those of servers of reports, for the key fleet-status.
func ReportEndpoints(addresses []string, p Ports) string { return list(addresses, p.Reports()) }

func list(addresses []string, port int) string {
	all := make([]string, 0, len(addresses))
	for _, a := range addresses {
		all = append(all, endpoint(a, port))
	}
	return strings.Join(all, ",")
}
