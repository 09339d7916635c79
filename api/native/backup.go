package native

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// getBackup tells all that operators asked for.
func (r resources) getBackup(c *rest.Call) error {
	r.TellStale(c)
	return c.SendJSON(http.StatusOK, backupOf(r.Store.Snapshot(), time.Now()))
}

func backupOf(d *model.Desired, now time.Time) wire.Backup {
	b := wire.Backup{
		Format: wire.BackupFormat, Version: wire.BackupVersion, Made: now.UTC().Truncate(time.Second), Revision: d.Revision,
		Networks: []wire.BackupNetwork{}, Hosts: []wire.BackupHost{}, Attachments: []wire.BackupAttachment{},
	}
	for _, n := range slices.SortedFunc(maps.Values(d.Networks), func(a, b model.Network) int { return strings.Compare(a.Name, b.Name) }) {
		shown := wire.BackupNetwork{
			ID: string(n.ID), Name: n.Name, Description: n.Description, Comment: n.Comment, MTU: n.MTU, Label: n.Label,
			Bridge: n.VdsmName, PortIsolation: n.PortIsolation,
		}
		n.Show(&shown.Settings)
		b.Networks = append(b.Networks, shown)
	}
	for _, id := range slices.Sorted(maps.Keys(d.Hosts)) {
		h := d.Hosts[id]
		b.Hosts = append(b.Hosts, wire.BackupHost{ID: string(id), SystemID: h.SystemID, Name: h.Name, Named: h.Named, Labels: h.Labels})
	}
	for _, id := range slices.Sorted(maps.Keys(d.Attachments)) {
		at := d.Attachments[id]
		b.Attachments = append(b.Attachments, wire.BackupAttachment{Host: string(at.Host), Network: string(at.Network), Properties: at.Properties})
	}
	b.Checksum = b.Sum()
	return b
}

// restoreBackup makes the desired state that of a backup.
func (r resources) restoreBackup(c *rest.Call) error {
	var request wire.RestoreRequest
	if err := c.ReadLargeJSON(&request, rest.Large); err != nil {
		return err
	}
	backup, err := desiredOf(request.Backup)
	if err != nil {
		return err
	}
	o := change.Options{Force: request.Force}
	if o.Timeout, err = rest.Patience(request.ConnectivityTimeout); err != nil {
		return err
	}
	var made change.Restored
	_, err = c.Write(o, func(ctx context.Context, o change.Options) (done change.Done, err error) {
		made, done, err = r.Writer.Restore(ctx, o, backup, request.Older)
		return done, err
	})
	if err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, wire.Restored{
		Created: append([]string{}, made.Created...), Changed: append([]string{}, made.Changed...),
		Removed: append([]string{}, made.Removed...), Hosts: append([]string{}, made.Hosts...),
	})
}

// desiredOf returns the desired state of a backup, which is checked as a whole.
func desiredOf(b wire.Backup) (*model.Desired, error) {
	switch {
	case b.Format != wire.BackupFormat:
		return nil, rest.Refuse(rest.ErrValue, "This is no backup of isonet: its format is %q.", b.Format)
	case b.Version < 1 || b.Version > wire.BackupVersion:
		return nil, rest.Refuse(rest.ErrValue, "The backup has version %d, and this isonetd knows versions up to %d: restore it with a newer isonetd.", b.Version, wire.BackupVersion)
	case b.Checksum != b.Sum():
		return nil, rest.Refuse(rest.ErrValue, "The backup is damaged or was changed: its checksum is not that of its content.")
	}
	d := model.NewDesired()
	d.Revision = b.Revision
	for _, n := range b.Networks {
		network := model.Network{
			ID: model.ID(n.ID), Name: n.Name, Description: n.Description, Comment: n.Comment, MTU: n.MTU, Label: n.Label,
			VdsmName: n.Bridge, PortIsolation: n.PortIsolation, Revision: 1,
		}
		network.Apply(n.Settings)
		d.Networks[network.ID] = network
	}
	for _, h := range b.Hosts {
		d.Hosts[model.ID(h.ID)] = model.Host{ID: model.ID(h.ID), SystemID: h.SystemID, Name: h.Name, Named: h.Named, Labels: h.Labels}
	}
	if len(d.Networks) != len(b.Networks) || len(d.Hosts) != len(b.Hosts) {
		return nil, rest.Refuse(rest.ErrValue, "The backup has an id twice.")
	}
	for _, at := range b.Attachments {
		if _, err := d.Attach(model.ID(at.Host), model.ID(at.Network), at.Properties); err != nil {
			return nil, err
		}
	}
	return d, d.Validate()
}
