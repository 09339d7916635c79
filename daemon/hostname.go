package daemon

import (
	"context"
	"os"
	"time"
)

// lookAtName is how often the machine's name is looked at.
const lookAtName = 5 * time.Second

// followName lets the host have the name of the machine, unless an operator chose
// another, until ctx ends. A machine often gets its name after its first services
// have started.
func (h *host) followName(ctx context.Context) error {
	ticker := time.NewTicker(lookAtName)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		name, err := os.Hostname()
		status := h.loop.Status()
		own, known := h.own.Snapshot().Hosts[status.HostID]
		if err != nil || name == "" || !known || status.Idle() != nil || own.Named || own.Name == name {
			continue
		}
		if err := h.own.FollowName(ctx, own.ID, name); err != nil {
			h.log.Warn("the host did not get the name of the machine; trying again", "name", name, "error", err, "in", lookAtName)
			continue
		}
		h.log.Info("the host has the name of the machine", "before", own.Name, "name", name)
	}
}
