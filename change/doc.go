// Package change is how the desired state is written: it commits a change, waits
// until Open vSwitch has it, and takes it back when Open vSwitch refuses or takes
// too long. A change may be made on condition of a version, and in a draft only.
// It knows nothing of who asks.
package change
