// Package plan compares the networks that a host must have with what its Open
// vSwitch has, and says what to change. It is pure: no clock, no I/O.
package plan
