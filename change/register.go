package change

import (
	"context"
	"maps"
	"slices"

	"github.com/isonet/isonet/model"
)

// Register makes the host of this machine a part of the desired state again, after
// somebody removed it, and returns it. It has the labels and the networks that it had
// last, as far as they exist. If they are not known, it has those with bridges.
// It takes force if networks with bridges here do not exist any more: these would go.
func (w *Writer) Register(ctx context.Context, o Options) (model.Host, Done, error) {
	if err := Here(w.own()); err != nil {
		return model.Host{}, Done{}, err
	}
	var made model.Host
	done, err := w.Write(ctx, o, func(d *model.Desired) error {
		host, attachments, known := w.host.Former()
		if _, there := d.Hosts[host.ID]; there || !known {
			return model.Refuse(model.ErrConflict, model.HostThere, "Cannot register Host. The desired state has the host of this machine, or isonetd does not know yet which one it is: see 'isonet status'.")
		}
		if gone := w.bridgesWithout(d, attachments); len(gone) > 0 && !o.Force {
			return model.Conflictf("Cannot register Host. The desired state has no networks for these bridges of the host, which would be removed: %s. Restore a backup with their networks first ('isonet restore'), or force it.", named(gone))
		}
		host.Decommissioned = false
		d.Hosts[host.ID] = host
		for _, a := range attachments {
			if _, exists := d.Networks[a.Network]; exists {
				d.Attachments[a.ID] = a
			}
		}
		made = host
		return nil
	})
	return made, done, err
}

// bridgesWithout names the bridges here of networks that do not exist: of those that this
// host must have or is to get.
func (w *Writer) bridgesWithout(d *model.Desired, attachments []model.Attachment) []string {
	own := w.own()
	if own.Host == nil {
		return nil
	}
	ids := slices.Collect(maps.Keys(own.Networks))
	for _, a := range attachments {
		ids = append(ids, a.Network)
	}
	var names []string
	for _, id := range ids {
		if b, there := own.Host.BridgeOf(id); there && d.Networks[id].ID == "" {
			names = append(names, b.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
