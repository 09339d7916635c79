// Package hosttest runs isonetd as the process that it is, on a private Open
// vSwitch in a network namespace of its own, and does to both what goes wrong on
// real hosts: it kills and stops their processes, and stands on the wires between
// isonetd and its databases.
package hosttest
