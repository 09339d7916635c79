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
func (d *Daemon) followName(ctx context.Context) error {
	ticker := time.NewTicker(lookAtName)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		name, err := os.Hostname()
		status := d.loop.Status()
		host, known := d.own.Snapshot().Hosts[status.HostID]
		if err != nil || name == "" || !known || status.Idle() != nil || host.Named || host.Name == name {
			continue
		}
		if err := d.own.FollowName(ctx, host.ID, name); err != nil {
			d.log.Warn("the host did not get the name of the machine; trying again", "name", name, "error", err, "in", lookAtName)
			continue
		}
		d.log.Info("the host has the name of the machine", "before", host.Name, "name", name)
	}
}
