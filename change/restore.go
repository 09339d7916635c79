package change

import (
	"context"
	"maps"
	"slices"

	"github.com/isonet/isonet/model"
)

// Restored is what a restore has made of the desired state: names, sorted.
type Restored struct {
	Created, Changed, Removed []string // of networks
	Hosts                     []string // that have other networks, labels or another name
}

// Restore makes the desired state that of a backup. A backup without the newest changes
// is refused unless older is set, because they would be undone. Hosts are known by their
// system-id and keep the ids that they have now. A host that the backup does not know
// keeps its labels, and its attachments to networks that stay. A backup of one host is
// also for the one host of another machine.
func (w *Writer) Restore(ctx context.Context, o Options, backup *model.Desired, older bool) (Restored, Done, error) {
	done, err := w.Write(ctx, o, func(d *model.Desired) error {
		d.RestsOnAll = true
		if backup.Revision < d.Revision && !older {
			return model.Refuse(model.ErrConflict, model.BackupOlder, "The backup is of revision %d, and the store has revision %d: what was changed since would be undone. Restore it as an older one if that is meant.", backup.Revision, d.Revision)
		}
		restore(d, backup)
		return nil
	})
	if err != nil {
		return Restored{}, done, err
	}
	return compared(done.Before, done.Desired), done, nil
}

func restore(d, backup *model.Desired) {
	hosts, networks := counterparts(d, backup), map[model.ID]model.Network{}
	known := map[model.ID]bool{}
	for _, id := range hosts {
		known[id] = true
	}
	for id, n := range backup.Networks {
		have := d.Networks[id]
		if n.Revision = have.Revision; n != have {
			n.Revision++
		}
		networks[id] = n
	}
	d.Networks = networks
	maps.DeleteFunc(d.Attachments, func(_ model.ID, at model.Attachment) bool {
		_, stays := networks[at.Network]
		return !stays || known[at.Host]
	})
	for id, h := range backup.Hosts {
		have, exists := d.Hosts[hosts[id]]
		if !exists {
			have = model.Host{ID: id, SystemID: h.SystemID}
		}
		have.Labels = slices.Clone(h.Labels)
		if h.Named || !exists {
			have.Name, have.Named = h.Name, h.Named
		}
		d.Hosts[have.ID] = have
		hosts[id] = have.ID
	}
	for _, at := range backup.Attachments {
		at.Host = hosts[at.Host]
		at.ID = model.AttachmentID(at.Host, at.Network)
		d.Attachments[at.ID] = at
	}
}

// counterparts returns the present hosts of those of a backup, by the ids of the backup.
func counterparts(d, backup *model.Desired) map[model.ID]model.ID {
	hosts := map[model.ID]model.ID{}
	for id, h := range backup.Hosts {
		if have, here := d.HostOf(h.SystemID); here {
			hosts[id] = have.ID
		}
	}
	if len(d.Hosts) == 1 && len(backup.Hosts) == 1 {
		for id := range backup.Hosts {
			for only := range d.Hosts {
				hosts[id] = only
			}
		}
	}
	return hosts
}

func compared(before, after *model.Desired) Restored {
	var r Restored
	for id, n := range after.Networks {
		have, exists := before.Networks[id]
		have.Revision = n.Revision
		switch {
		case !exists:
			r.Created = append(r.Created, n.Name)
		case have != n:
			r.Changed = append(r.Changed, n.Name)
		}
	}
	for id, n := range before.Networks {
		if _, stays := after.Networks[id]; !stays {
			r.Removed = append(r.Removed, n.Name)
		}
	}
	had, has := model.NewHostIndex(before), model.NewHostIndex(after)
	for id, h := range after.Hosts {
		have := before.Hosts[id]
		if have.Name != h.Name || !slices.Equal(have.Labels, h.Labels) || !sameAttachments(had.On(id), has.On(id)) {
			r.Hosts = append(r.Hosts, h.Name)
		}
	}
	for _, names := range [][]string{r.Created, r.Changed, r.Removed, r.Hosts} {
		slices.Sort(names)
	}
	return r
}

func sameAttachments(a, b []model.Attachment) bool {
	return slices.EqualFunc(a, b, func(a, b model.Attachment) bool {
		return a.ID == b.ID && a.Explicit == b.Explicit && a.Label == b.Label && maps.Equal(a.Properties, b.Properties)
	})
}
