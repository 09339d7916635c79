package nic

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// period is the time between two samples, which rates are an average over. It
// is the one that Open vSwitch has for its statistics.
const period = 5 * time.Second

// Devices are the network devices of the namespace that Run is started in.
// Package kernel/links has the real ones.
type Devices interface {
	// Links returns the devices, nil before they are known. A change makes another
	// value.
	Links() *plan.Links
	// Changed is closed when the answer of Links changes.
	Changed() <-chan struct{}
}

// Sampler keeps the newest sample of the host's network interfaces.
type Sampler struct {
	devices Devices
	log     *slog.Logger
	sample  atomic.Pointer[[]model.NIC]
}

// New returns a Sampler; Run runs it.
func New(devices Devices, log *slog.Logger) *Sampler { return &Sampler{devices: devices, log: log} }

// Snapshot returns the network interfaces in the order of their names, which
// nobody changes. There are none before the first sample, and while the kernel
// refuses to tell.
func (s *Sampler) Snapshot() []model.NIC {
	if nics := s.sample.Load(); nics != nil {
		return *nics
	}
	return nil
}

// Run samples the interfaces of the network namespace that it is started in
// until ctx ends. What goes wrong is logged: a host without this knowledge
// serves isolated networks all the same.
func (s *Sampler) Run(ctx context.Context) {
	handle, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	if err != nil {
		s.log.Error("the host's network interfaces will not be shown, because there is no netlink socket: allow isonetd the address family AF_NETLINK", "error", err)
		return
	}
	defer handle.Close()
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	s.follow(ctx, rtnetlink{handle, os.DirFS("/sys/class/net")}, ticker.C)
}

// follow publishes a sample now and after every tick.
func (s *Sampler) follow(ctx context.Context, k kernel, ticks <-chan time.Time) {
	for changed := s.devices.Changed(); s.devices.Links() == nil; changed = s.devices.Changed() {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
	t := tracker{kernel: k, devices: s.devices}
	failing := false
	for {
		nics, err := t.sample(time.Now())
		switch {
		case err != nil && !failing:
			s.log.Warn("the host's network interfaces cannot be read and are not shown; trying on", "error", err)
		case err == nil && failing:
			s.log.Info("the host's network interfaces can be read again")
		}
		failing = err != nil
		s.sample.Store(&nics)
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
	}
}
