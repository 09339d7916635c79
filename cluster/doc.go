// Package cluster sets up the servers of a fleet on the machine where it runs: a member
// of the cluster that holds the desired state, a relay by which hosts follow it, and the
// server of the hosts' reports. It makes their databases with Open vSwitch's tools, says
// what hosts may write (RBAC, ovsdb(7)), and tells how a member is.
//
// The servers themselves are ovsdb-server, which a service manager runs.
package cluster
