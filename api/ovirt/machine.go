package ovirt

import (
	"fmt"
	"strconv"

	"github.com/isonet/isonet/model"
)

// machineTable lists the engine's statistics of a host in its order. What isonet cannot
// tell is not in it: the use of KSM, and of huge pages. Used memory is what cannot be had
// without swapping, as vdsm counts it.
func machineTable() []statistic[model.Machine] {
	return []statistic[model.Machine]{
		{
			"7816602b-c05c-3db7-a4da-3769f7ad8896", "memory.total", "Total memory",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.Total }),
		},
		{
			"b7499508-c1c3-32f0-8174-c1783e57bb08", "memory.used", "Used memory",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.Total - m.Available }),
		},
		{
			"5a0fba9d-33d7-3cbf-addd-ba462040c946", "memory.free", "Free memory",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.Available }),
		},
		{
			"ffc0e1fd-fa34-3f85-9862-8a841c1658bc", "memory.shared", "Shared memory",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.Shared }),
		},
		{
			"c81c86f0-bc61-3c78-a543-898b8339d03f", "memory.buffers", "IO buffers",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.Buffers }),
		},
		{
			"1b6244ee-8dbd-365d-8762-482ddc05ee11", "memory.cached", "OS caches",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.Cached }),
		},
		{
			"c43847d7-3bc1-3aaf-b92c-902e64bbdb5b", "swap.total", "Total swap",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.SwapTotal }),
		},
		{
			"1a4c1c9b-f3cc-301e-82ce-47d4b9fb5a46", "swap.free", "Free swap",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.SwapFree }),
		},
		{
			"27686b4e-ba8d-3576-bc70-d68cbd8a2ba9", "swap.used", "Used swap",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.SwapTotal - m.SwapFree }),
		},
		{
			"ea00da15-de2d-3393-a7cb-810c4b19ed07", "swap.cached", "Swap also in memory",
			"gauge", "integer", "bytes",
			memory(func(m *model.Memory) uint64 { return m.SwapCached }),
		},
		{
			"a1fab379-66e2-3b1d-9914-81a9e79cb719", "cpu.current.user", "User CPU usage",
			"gauge", "decimal", "percent",
			use(func(u *model.CPUUse) float64 { return u.User }),
		},
		{
			"a98c1e11-078c-3593-a57e-4b12c1ce9815", "cpu.current.system", "System CPU usage",
			"gauge", "decimal", "percent",
			use(func(u *model.CPUUse) float64 { return u.System }),
		},
		{
			"4ae97794-f56d-3f05-a9e7-8798887cd1ac", "cpu.current.idle", "Idle CPU usage",
			"gauge", "decimal", "percent",
			use(func(u *model.CPUUse) float64 { return u.Idle }),
		},
		{
			"65860dae-c890-312e-9314-5c01f31225ab", "cpu.load.avg.5m", "CPU 5 minute load average",
			"gauge", "decimal", "percent",
			loadAverage,
		},
		{
			"3ceb2072-a5a5-3b21-9bb2-e966471fd81c", "boot.time", "Boot time of the machine",
			"gauge", "integer", "none",
			bootTime,
		},
	}
}

func memory(of func(*model.Memory) uint64) func(model.Machine) (valueDTO, bool) {
	return func(m model.Machine) (valueDTO, bool) {
		if m.Memory == nil {
			return valueDTO{}, false
		}
		return valueDTO{Datum: counter(of(m.Memory))}, true
	}
}

func use(of func(*model.CPUUse) float64) func(model.Machine) (valueDTO, bool) {
	return func(m model.Machine) (valueDTO, bool) {
		if m.CPU == nil {
			return valueDTO{}, false
		}
		detail := fmt.Sprintf("average of the %.1f s until %s", m.CPU.Interval.Seconds(), moment(m.CPU.Until))
		return valueDTO{Datum: gauge(of(m.CPU)), Detail: detail}, true
	}
}

// loadAverage is the load and no part of a hundred, whatever its unit: so the engine has
// it.
func loadAverage(m model.Machine) (valueDTO, bool) {
	if m.Load == nil {
		return valueDTO{}, false
	}
	return valueDTO{Datum: gauge(*m.Load)}, true
}

// bootTime is in seconds since 1970.
func bootTime(m model.Machine) (valueDTO, bool) {
	if m.Boot.IsZero() {
		return valueDTO{}, false
	}
	return valueDTO{Datum: decimal(strconv.FormatInt(m.Boot.Unix(), 10))}, true
}

// machineStatistics renders the statistics of a host. One that this daemon does not run
// on has them without values.
func (v *view) machineStatistics(h model.Host) *statisticsDTO {
	e := *v.ref("hosts", h.ID)
	return statisticsBelow(e, func(d *statisticDTO) { d.Host = &e }, machineTable(), v.machine, v.own(h.ID))
}

// hardware adds to a host what is known of its machine. The members are there on every
// host, because programs look into them unasked.
func (v *view) hardware(d *hostDTO, id model.ID) {
	cpu, os, hardware := &cpuDTO{}, &osDTO{}, &hardwareDTO{}
	d.CPU.value, d.OS.value, d.Hardware.value = cpu, os, hardware
	if !v.own(id) {
		return
	}
	m := v.machine
	cpu.Name, cpu.Speed = m.Processors.Name, nonZero(m.Processors.MHz)
	if p := m.Processors; p.Sockets > 0 {
		cpu.Topology = &topologyDTO{Cores: integer(p.Cores), Sockets: integer(p.Sockets), Threads: integer(p.Threads)}
	}
	if m.Memory != nil {
		d.Memory.value = new(long(m.Memory.Total))
	}
	if m.Kernel != "" {
		os.Type, os.Version = "Linux", &fullVersionDTO{m.Kernel}
	}
	hardware.Manufacturer, hardware.ProductName = m.Manufacturer, m.Product
}

func nonZero(n int) *integer {
	if n == 0 {
		return nil
	}
	return new(integer(n))
}
