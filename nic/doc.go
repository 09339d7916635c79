// Package nic is a view of the network devices of the host: those that are
// interfaces of the host itself, with their counters. It changes nothing.
package nic
