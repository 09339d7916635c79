package change

import (
	"context"

	"github.com/isonet/isonet/model"
)

// Register makes the host of this machine a part of the desired state again, after
// somebody removed it, and returns it. It has the labels and the networks that it had
// last, as far as they exist. If they are not known, it has those with bridges.
func (w *Writer) Register(ctx context.Context, o Options) (model.Host, Done, error) {
	var made model.Host
	done, err := w.Write(ctx, o, func(d *model.Desired) error {
		host, attachments, known := w.host.Former()
		if _, there := d.Hosts[host.ID]; there || !known {
			return model.Refuse(model.ErrConflict, model.HostThere, "Cannot register Host. The desired state has the host of this machine, or isonetd does not know yet which one it is: see 'isonet status'.")
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
