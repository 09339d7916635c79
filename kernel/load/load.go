// Package load tells how much of the machine is in use, from the kernel's /proc and
// /sys (proc(5)). It changes nothing.
package load

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/sysfs"

	"github.com/isonet/isonet/model"
)

// period is the time between two samples, over which the use of processors is an
// average. The second one comes earlier, so that the use is known soon after the start.
const (
	period = 10 * time.Second
	soon   = time.Second
)

// Sampler keeps the newest sample of the machine.
type Sampler struct {
	proc, sys string
	log       *slog.Logger
	sample    atomic.Pointer[model.Machine]
}

// New returns a Sampler; Run runs it.
func New(log *slog.Logger) *Sampler {
	return &Sampler{proc: procfs.DefaultMountPoint, sys: sysfs.DefaultMountPoint, log: log}
}

// Snapshot returns the newest sample. It has nothing before the first one, and while
// the kernel refuses to tell.
func (s *Sampler) Snapshot() model.Machine {
	if m := s.sample.Load(); m != nil {
		return *m
	}
	return model.Machine{}
}

// Run samples until ctx ends. What goes wrong is logged: a host without this knowledge
// serves isolated networks all the same.
func (s *Sampler) Run(ctx context.Context) {
	ticker := time.NewTicker(soon)
	defer ticker.Stop()
	s.follow(ctx, ticker.C, func() { ticker.Reset(period) })
}

// follow publishes a sample now and after every tick. It calls ticked after each.
func (s *Sampler) follow(ctx context.Context, ticks <-chan time.Time, ticked func()) {
	t := tracker{proc: s.proc, sys: s.sys}
	failing := false
	for {
		m, err := t.sample(time.Now())
		switch {
		case err != nil && !failing:
			s.log.Warn("the use of the machine cannot be read and is not shown; trying on", "error", err)
		case err == nil && failing:
			s.log.Info("the use of the machine can be read again")
		}
		failing = err != nil
		s.sample.Store(&m)
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			ticked()
		}
	}
}

// tracker takes samples, each with what it needs of the one before.
type tracker struct {
	proc, sys string
	before    procfs.CPUStat
	at        time.Time // of before; zero if there is none
	// fixed is what hardly ever changes. It is read again when the number of processors
	// that are online does.
	fixed  model.Machine
	online int
}

// round leaves two digits behind the point.
func round(percent float64) float64 { return math.Round(100*percent) / 100 }

func (t *tracker) sample(now time.Time) (model.Machine, error) {
	fs, err := procfs.NewFS(t.proc)
	if err != nil {
		return model.Machine{}, fmt.Errorf("open %s: %w", t.proc, err)
	}
	memory, err := fs.Meminfo()
	if err != nil {
		return model.Machine{}, fmt.Errorf("read the use of memory: %w", err)
	}
	stat, err := fs.Stat()
	if err != nil {
		return model.Machine{}, fmt.Errorf("read the use of processors: %w", err)
	}
	average, err := fs.LoadAvg()
	if err != nil {
		return model.Machine{}, fmt.Errorf("read the load: %w", err)
	}
	if len(stat.CPU) != t.online {
		t.online, t.fixed = len(stat.CPU), t.look(fs)
	}
	m := t.fixed
	m.Memory, m.CPU, m.Load = memoryOf(memory), useOf(t.before, stat.CPUTotal), &average.Load5
	m.Boot = time.Unix(int64(stat.BootTime), 0) //nolint:gosec // seconds since 1970
	if t.at.IsZero() {
		m.CPU = nil // it would be the average since the kernel started
	}
	if m.CPU != nil {
		m.CPU.Interval, m.CPU.Until = now.Sub(t.at), now
	}
	t.before, t.at = stat.CPUTotal, now
	return m, nil
}

// look returns what hardly ever changes. A machine that does not say it has nothing
// there.
func (t *tracker) look(fs procfs.FS) model.Machine {
	m := model.Machine{Processors: processors(fs, t.sys)}
	if release, err := os.ReadFile(filepath.Join(t.proc, "sys/kernel/osrelease")); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	sys, err := sysfs.NewFS(t.sys)
	if err != nil {
		return m
	}
	if dmi, err := sys.DMIClass(); err == nil {
		m.Manufacturer, m.Product = value(dmi.SystemVendor), value(dmi.ProductName)
	}
	return m
}

// value returns what a pointer points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// memoryOf returns nil for a kernel that does not say how much there is, and how much
// is to be had.
func memoryOf(m procfs.Meminfo) *model.Memory {
	if m.MemTotalBytes == nil || m.MemAvailableBytes == nil {
		return nil
	}
	return &model.Memory{
		Total: *m.MemTotalBytes, Available: *m.MemAvailableBytes, Shared: value(m.ShmemBytes), Buffers: value(m.BuffersBytes), Cached: value(m.CachedBytes),
		SwapTotal: value(m.SwapTotalBytes), SwapFree: value(m.SwapFreeBytes), SwapCached: value(m.SwapCachedBytes),
	}
}

// useOf compares two samples. Guests are in User already. It is nil when no time has
// passed, or when the kernel's counters went back.
func useOf(a, b procfs.CPUStat) *model.CPUUse {
	user := b.User + b.Nice - a.User - a.Nice
	system := b.System + b.IRQ + b.SoftIRQ - a.System - a.IRQ - a.SoftIRQ
	idle := max(0, b.Idle-a.Idle) + max(0, b.Iowait-a.Iowait) // they do go back a little (proc(5))
	stolen := b.Steal - a.Steal
	all := user + system + idle + stolen
	if all <= 0 || user < 0 || system < 0 || stolen < 0 {
		return nil
	}
	return &model.CPUUse{User: round(100 * user / all), System: round(100 * system / all), Idle: round(100 * idle / all)}
}

// processors returns what is known of the processors that are online.
func processors(fs procfs.FS, sys string) model.Processors {
	var p model.Processors
	if infos, err := fs.CPUInfo(); err == nil && len(infos) > 0 {
		p.Name, p.MHz = infos[0].ModelName, int(math.Round(infos[0].CPUMHz))
	}
	p.Sockets, p.Cores, p.Threads = topology(sys)
	return p
}

// topology counts sockets, the cores of each and the threads of each core. It has
// nothing of a machine that cannot be told so.
func topology(sys string) (sockets, cores, threads int) {
	fs, err := sysfs.NewFS(sys)
	if err != nil {
		return 0, 0, 0
	}
	cpus, err := fs.CPUs()
	if err != nil {
		return 0, 0, 0
	}
	inSocket, inCore := map[string]int{}, map[string]int{}
	all := 0
	for _, cpu := range cpus {
		at, err := cpu.Topology()
		if err != nil {
			continue // it is offline
		}
		all++
		inSocket[at.PhysicalPackageID]++
		inCore[at.PhysicalPackageID+" "+at.CoreID]++
	}
	if all == 0 {
		return 0, 0, 0
	}
	sockets, cores, threads = len(inSocket), len(inCore)/len(inSocket), all/len(inCore)
	if sockets*cores*threads != all {
		return 0, 0, 0
	}
	return sockets, cores, threads
}
