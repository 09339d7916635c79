// Package traffic turns the counters that Open vSwitch publishes per interface
// into totals per network that never fall. It is pure: no I/O, and the time is
// passed in.
package traffic
