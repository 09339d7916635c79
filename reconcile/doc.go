// Package reconcile is the one loop of isonet: it compares the desired state
// with what Open vSwitch has, applies the difference, and tells how it stands.
package reconcile
