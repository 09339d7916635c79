package model

import "time"

// Machine is how the machine of a host is, and how much of it is in use. What is not
// known is zero or nil.
type Machine struct {
	Memory *Memory
	CPU    *CPUUse
	// Load is the average number of tasks that ran or waited for a processor or a disk
	// in the last five minutes.
	Load *float64
	// Boot is when the kernel started.
	Boot       time.Time
	Processors Processors
	// Kernel is its release, and Manufacturer and Product are what the machine's maker
	// says.
	Kernel, Manufacturer, Product string
}

// Memory is in bytes.
type Memory struct {
	Total, Available, Shared, Buffers, Cached uint64
	SwapTotal, SwapFree, SwapCached           uint64
}

// CPUUse is the part of the time that all processors together spent, in percent, as an
// average of an interval. The rest was stolen by the hypervisor below.
type CPUUse struct {
	// User has the guests of KVM, System the interrupts, and Idle the waits for disks.
	User, System, Idle float64
	Interval           time.Duration
	Until              time.Time
}

// Processors are those that are online.
type Processors struct {
	// Sockets and the cores of each, and the threads of each core. They are 0 on a machine
	// whose sockets differ.
	Sockets, Cores, Threads int
	// MHz is the clock of the first one when isonetd looked at it.
	MHz int
	// Name is the model's, as the maker says it.
	Name string
}
