package cluster

import (
	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/store"
)

// MemberCommand returns the command line of the ovsdb-server of a member. The units of
// the packages run the same.
func (m Member) MemberCommand() []string {
	return append(
		m.Layout.server(member, m.Layout.Servers()), "--remote="+passive(m.Address, m.Ports.Servers()), m.Layout.database(member),
	)
}

// RelayCommand returns that of a relay, which takes what it tells from members.
func (m Member) RelayCommand(members ...string) []string {
	return append(
		m.Layout.server(relay, m.Layout.Both()), "--remote=db:"+store.Database+","+store.Database+",connections",
		"relay:"+store.Database+":"+Endpoints(members, m.Ports),
	)
}

// ReportsCommand returns that of the server of reports.
func (m Member) ReportsCommand() []string {
	return append(
		m.Layout.server(status, m.Layout.Both()), "--remote=db:"+fleet.Database+","+fleet.Database+",connections",
		m.Layout.database(status),
	)
}

// server returns what the command lines of all servers have. It trusts the certificates
// in a file.
func (l Layout) server(name, trusted string) []string {
	return []string{
		"ovsdb-server", "--no-chdir", "-vconsole:info", "-vsyslog:off", "-vfile:off",
		"--remote=punix:" + l.socket(name), "--unixctl=" + l.control(name),
		"--private-key=" + l.Identity(), "--certificate=" + l.Identity(), "--ca-cert=" + trusted,
	}
}
