// Package daemon puts the parts of isonetd together: it turns options into a
// typed configuration, wires the packages, and starts and stops them.
package daemon
