// Package nic watches the network interfaces of the host itself through
// rtnetlink(7), with their counters. It changes nothing.
package nic
