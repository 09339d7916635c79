// Package counters follows the counters that Open vSwitch publishes, and
// nothing else, over a connection of its own. vswitchd writes the counters of
// all interfaces every few seconds; a general copy of the database would cost
// many times as much (docs/adr/0005-traffic-that-lasts.md).
package counters
