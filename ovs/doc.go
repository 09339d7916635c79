// Package ovs speaks with the host's Open vSwitch: it keeps an immutable
// snapshot of what its database has, commits plans to it as one transaction,
// and counts the networks' traffic.
package ovs
