package load

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
)

const (
	meminfo = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nBuffers: 10 kB\nCached: 500 kB\nSwapCached: 1 kB\n" +
		"SwapTotal: 2000 kB\nSwapFree: 1500 kB\nShmem: 20 kB\n"
	before = "cpu  100 10 50 800 20 5 5 10 0 0\ncpu0 100 10 50 800 20 5 5 10 0 0\nbtime 1767322800\n"
	after  = "cpu  140 10 60 845 20 5 5 15 30 0\ncpu0 140 10 60 845 20 5 5 15 30 0\nbtime 1767322800\n"
)

// machine writes what a kernel tells.
func machine(t *testing.T, files map[string]string) tracker {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sys"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tracker{proc: filepath.Join(dir, "proc"), sys: filepath.Join(dir, "sys")}
}

func kernel() map[string]string {
	return map[string]string{"proc/meminfo": meminfo, "proc/stat": before, "proc/loadavg": "0.50 1.25 2.00 1/100 4711\n"}
}

// core adds a processor to what a kernel tells.
func core(files map[string]string, cpu, socket, core string) {
	at := "sys/devices/system/cpu/cpu" + cpu + "/topology/"
	files[at+"physical_package_id"], files[at+"core_id"] = socket+"\n", core+"\n"
	files[at+"core_siblings_list"], files[at+"thread_siblings_list"] = "0\n", "0\n"
}

func TestSample(t *testing.T) {
	files := kernel()
	files["proc/sys/kernel/osrelease"] = "6.1.0-18-amd64\n"
	files["sys/class/dmi/id/sys_vendor"], files["sys/class/dmi/id/product_name"] = "Maker\n", "Machine 9\n"
	tr := machine(t, files)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first, err := tr.sample(at)
	if err != nil {
		t.Fatal(err)
	}
	if first.CPU != nil {
		t.Errorf("the use is known before there is a second sample: %+v", first.CPU)
	}
	if err := os.WriteFile(filepath.Join(tr.proc, "stat"), []byte(after), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := tr.sample(at.Add(period))
	if err != nil {
		t.Fatal(err)
	}
	want := model.Machine{
		Memory: &model.Memory{
			Total: 1000 << 10, Available: 600 << 10, Shared: 20 << 10, Buffers: 10 << 10, Cached: 500 << 10,
			SwapTotal: 2000 << 10, SwapFree: 1500 << 10, SwapCached: 1 << 10,
		},
		CPU:  &model.CPUUse{User: 40, System: 10, Idle: 45, Interval: period, Until: at.Add(period)},
		Load: new(1.25), Boot: time.Unix(1767322800, 0),
		Kernel: "6.1.0-18-amd64", Manufacturer: "Maker", Product: "Machine 9",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(tr.proc, "stat"), []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err = tr.sample(at.Add(2 * period)); err != nil || got.CPU != nil {
		t.Errorf("counters that went back: %+v, %v", got.CPU, err)
	}
}

func TestTopology(t *testing.T) {
	for name, c := range map[string]struct {
		processors [][3]string // number, socket, core
		want       [3]int
	}{
		"none":                {nil, [3]int{0, 0, 0}},
		"one":                 {[][3]string{{"0", "0", "0"}}, [3]int{1, 1, 1}},
		"threads":             {[][3]string{{"0", "0", "0"}, {"1", "0", "0"}, {"2", "0", "1"}, {"3", "0", "1"}}, [3]int{1, 2, 2}},
		"sockets":             {[][3]string{{"0", "0", "0"}, {"1", "1", "0"}}, [3]int{2, 1, 1}},
		"sockets that differ": {[][3]string{{"0", "0", "0"}, {"1", "1", "0"}, {"2", "1", "1"}}, [3]int{0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			files := kernel()
			for _, p := range c.processors {
				core(files, p[0], p[1], p[2])
			}
			got, err := new(machine(t, files)).sample(time.Now())
			if p := got.Processors; err != nil || [3]int{p.Sockets, p.Cores, p.Threads} != c.want {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

// What the kernel does not tell is not shown, and it is logged once.
func TestWhatCannotBeRead(t *testing.T) {
	for missing := range kernel() {
		files := kernel()
		delete(files, missing)
		tr := machine(t, files)
		var log strings.Builder
		s := &Sampler{proc: tr.proc, sys: tr.sys, log: slog.New(slog.NewTextHandler(&log, nil))}
		ctx, cancel := context.WithCancel(t.Context())
		ticks, ended := make(chan time.Time), make(chan struct{})
		go func() { defer close(ended); s.follow(ctx, ticks, func() {}) }()
		for range 3 {
			ticks <- time.Now()
		}
		cancel()
		<-ended
		if diff := cmp.Diff(model.Machine{}, s.Snapshot()); diff != "" {
			t.Errorf("without %s: %s", missing, diff)
		}
		if n := strings.Count(log.String(), "cannot be read"); n != 1 {
			t.Errorf("without %s it is logged %d times:\n%s", missing, n, log.String())
		}
	}
	files := kernel()
	files["proc/meminfo"] = "MemTotal: 1000 kB\n"
	if got, err := new(machine(t, files)).sample(time.Now()); err != nil || got.Memory != nil {
		t.Errorf("a kernel that does not say what is to be had: %+v, %v", got.Memory, err)
	}
}

// The kernel that runs the test tells everything.
func TestThisMachine(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() { defer close(ended); s.follow(ctx, ticks, func() {}) }()
	deadline := time.Now().Add(3 * time.Minute)
	m := s.Snapshot()
	for m.CPU == nil && time.Now().Before(deadline) { // until the clock of the kernel has ticked
		ticks <- time.Now()
		m = s.Snapshot()
	}
	cancel()
	<-ended
	if m.Memory == nil || m.Memory.Total < m.Memory.Available || m.Memory.Available == 0 {
		t.Errorf("the memory is %+v", m.Memory)
	}
	if m.CPU == nil || m.CPU.User < 0 || m.CPU.User+m.CPU.System+m.CPU.Idle > 100.001 {
		t.Errorf("the use of processors is %+v", m.CPU)
	}
	if m.Load == nil || m.Boot.IsZero() || !m.Boot.Before(time.Now()) {
		t.Errorf("the load is %v, and the boot was %v", m.Load, m.Boot)
	}
}
