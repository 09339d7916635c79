package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/isonet/isonet/kernel/guard"
	"github.com/isonet/isonet/report"
)

// The values of host-guard.
const (
	hostGuardAuto = "auto"
	hostGuardOff  = "off"
)

const hostGuardIsOff = "host-guard is off in the configuration of isonetd: VMs can reach the network stack of the host unless something else keeps them apart"

// hostGuard is the guard as the loop uses it.
type hostGuard struct {
	*guard.Guard
}

// Left returns the devices that an earlier isonetd left guarded.
func (g hostGuard) Left(ctx context.Context) ([]report.Device, error) {
	left, err := g.Guard.Left(ctx)
	return convert[report.Device](left), err
}

// Protect puts the guard on exactly these devices.
func (g hostGuard) Protect(ctx context.Context, devices []report.Device) (report.Protection, error) {
	done, err := g.Apply(ctx, convert[guard.Device](devices))
	return report.Protection{
		Guarded: convert[report.Device](done.Guarded), Unavailable: done.Unavailable, Limited: done.Limited,
		Verified: done.Verified,
	}, err
}

// convert makes devices of one package those of the other, which are the same.
func convert[To, From guard.Device | report.Device](devices []From) []To {
	converted := make([]To, len(devices))
	for i, d := range devices {
		converted[i] = To(d)
	}
	return converted
}

// noGuard takes away what an isonetd with a guard left, and guards nothing.
type noGuard struct {
	guard *guard.Guard
	log   *slog.Logger
}

// Left returns nothing: nothing is to stay guarded.
func (noGuard) Left(context.Context) ([]report.Device, error) { return nil, nil }

// Protect guards nothing.
func (g noGuard) Protect(ctx context.Context, _ []report.Device) (report.Protection, error) {
	if err := g.guard.Clear(ctx); err != nil {
		// Without the privilege an isonetd before this one had none either.
		g.log.Debug("host-guard is off, and rules of an earlier isonetd cannot be looked for", "error", err)
	}
	return report.Protection{Unavailable: hostGuardIsOff, Verified: time.Now()}, nil
}

// Disturbed never yields.
func (g noGuard) Disturbed() <-chan struct{} { return nil }

// startGuard starts the host guard after the loop, which says what to guard.
// What it has put in place stays when it stops.
func (h *host) startGuard(start starter) {
	log := h.log.With("component", "guard")
	g := guard.New(log)
	if h.guardOff {
		start("guard", func(ctx context.Context) error { return h.loop.GuardHost(ctx, noGuard{g, log}) })
		return
	}
	start("rules", g.Run)
	start("guard", func(ctx context.Context) error { return h.loop.GuardHost(ctx, hostGuard{g}) })
}
