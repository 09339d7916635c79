package change

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
)

// drawDesired draws networks, hosts, labels and attachments, by few names.
func drawDesired(t *rapid.T, systems ...string) *model.Desired {
	d := model.NewDesired()
	labels := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"x", "y"}), rapid.ID)
	for i, system := range systems {
		h := model.Host{ID: model.NewID(), SystemID: system, Name: system, Named: rapid.Bool().Draw(t, "named")}
		d.Hosts[h.ID] = h
		if err := d.AddLabel(h.ID, labels.Draw(t, "labels")...); err != nil {
			t.Fatal(err)
		}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"red", "green", "blue"}), rapid.ID).Draw(t, "networks") {
			n, exists := d.NetworkByName(name)
			if !exists {
				n = model.Network{
					ID: model.DeriveID(name), Name: name, VdsmName: name, MTU: rapid.SampledFrom([]int{0, 1400}).Draw(t, "mtu"),
					Label: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "label"), Strict: rapid.Bool().Draw(t, "strict"), Revision: int64(i + 1),
				}
				d.Networks[n.ID] = n
			}
			if rapid.Bool().Draw(t, "attached") {
				if _, err := d.Attach(h.ID, n.ID, map[string]string{"a": name}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return d
}

// stands is what of a desired state a backup brings back: networks without their counts
// of changes, and by the system-ids of hosts the labels and attachments.
func stands(d *model.Desired, systems ...string) map[string]any {
	all := map[string]any{}
	for id, n := range d.Networks {
		n.Revision = 0
		all["network "+string(id)] = n
	}
	for _, system := range systems {
		h, exists := d.HostOf(system)
		if !exists {
			continue
		}
		attached := map[model.ID]map[string]string{}
		for _, at := range d.Attachments {
			if at.Host == h.ID {
				attached[at.Network] = at.Properties
			}
		}
		all["labels of "+system], all["attachments of "+system] = h.Labels, attached
	}
	return all
}

// Whatever there is, a restore makes it what the backup has, by changes that are valid,
// and a second one changes nothing. Hosts keep their ids, and those that the backup does
// not know keep what is left for them.
func TestRestoreProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backup, now := drawDesired(t, "a", "b"), drawDesired(t, "b", "c")
		b, _ := now.HostOf("b")
		c, _ := now.HostOf("c")
		restore(now, backup)
		if err := now.Validate(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(stands(backup, "a", "b"), stands(now, "a", "b")); diff != "" {
			t.Errorf("(-backup +restored):\n%s", diff)
		}
		if still, _ := now.HostOf("b"); still.ID != b.ID {
			t.Errorf("the host b was %s and is %s", b.ID, still.ID)
		}
		if still := now.Hosts[c.ID]; cmp.Diff(still.Labels, c.Labels) != "" {
			t.Errorf("the host c had the labels %v and has %v", c.Labels, still.Labels)
		}
		again := now.Clone()
		restore(again, backup)
		if diff := cmp.Diff(now, again); diff != "" {
			t.Errorf("a second restore changes (-once +twice):\n%s", diff)
		}
		if made := compared(now, again); len(made.Created)+len(made.Changed)+len(made.Removed)+len(made.Hosts) > 0 {
			t.Errorf("a second restore tells of %+v", made)
		}
	})
}

// A backup of one host is for the one host of another machine, too.
func TestRestoreOnAnotherMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backup, now := drawDesired(t, "a"), drawDesired(t, "z")
		z, _ := now.HostOf("z")
		restore(now, backup)
		if err := now.Validate(); err != nil {
			t.Fatal(err)
		}
		a, _ := backup.HostOf("a")
		if len(now.Hosts) != 1 || now.Hosts[z.ID].SystemID != "z" || cmp.Diff(now.Hosts[z.ID].Labels, a.Labels) != "" {
			t.Errorf("the hosts are %+v", now.Hosts)
		}
		if len(now.Attachments) != len(backup.Attachments) {
			t.Errorf("%d attachments, want %d", len(now.Attachments), len(backup.Attachments))
		}
	})
}
