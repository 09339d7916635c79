package history_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
)

const host, red = model.ID("host"), model.ID("red")

func desired() *model.Desired {
	d := model.NewDesired()
	d.Hosts[host] = model.Host{ID: host, Name: "kvm1", SystemID: "s"}
	d.Networks[red] = model.Network{ID: red, Name: "red", MTU: 1400, VdsmName: "red", Revision: 1}
	return d
}

func attach(d *model.Desired, properties map[string]string) {
	id := model.AttachmentID(host, red)
	d.Attachments[id] = model.Attachment{ID: id, Host: host, Network: red, Explicit: true, Properties: properties}
}

func TestText(t *testing.T) {
	attached := desired()
	attach(attached, map[string]string{"purpose": "lab"})
	for name, c := range map[string]struct {
		before *model.Desired
		edit   func(*model.Desired)
		want   string
	}{
		"nothing": {desired(), func(d *model.Desired) { d.Revision++ }, ""},
		"added": {
			desired(), func(d *model.Desired) {
				d.Networks["b"] = model.Network{ID: "b", Name: "blue", VdsmName: "blue", MACLock: true}
			},
			`added network "blue": mac_lock "true", name "blue", vdsm_name "blue"`,
		},
		"updated": {
			desired(), func(d *model.Desired) {
				d.Networks[red] = model.Network{ID: red, Name: "crimson", MTU: 9000, VdsmName: "red", PortIsolation: true, Revision: 2}
			},
			`updated network "red": mtu "1400" to "9000", name "red" to "crimson", port_isolation "" to "true"`,
		},
		"removed": {
			desired(), func(d *model.Desired) { delete(d.Networks, red) }, `removed network "red": mtu "1400", name "red", vdsm_name "red"`,
		},
		"attached": {
			desired(), func(d *model.Desired) { attach(d, map[string]string{"purpose": "lab"}) },
			`added attachment "red on kvm1": property purpose "lab"`,
		},
		"detached with its network": {
			attached, func(d *model.Desired) { clear(d.Attachments); clear(d.Networks) },
			`removed network "red": mtu "1400", name "red", vdsm_name "red"; removed attachment "red on kvm1": property purpose "lab"`,
		},
		"labelled": {
			desired(), func(d *model.Desired) {
				d.Hosts[host] = model.Host{ID: host, Name: "kvm1", SystemID: "s", Labels: []string{"a", "b"}}
			},
			`updated host "kvm1": labels "" to "a, b"`,
		},
		"a hostile text": {
			desired(), func(d *model.Desired) {
				n := d.Networks[red]
				n.Description = "x\n\"; removed network \"blue\"\x1b[2J"
				d.Networks[red] = n
			},
			`updated network "red": description "" to "x\n\"; removed network \"blue\"\x1b[2J"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			after := c.before.Clone()
			c.edit(after)
			if got := history.Text(history.Changes(c.before, after)...); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTextIsBounded(t *testing.T) {
	before, after := desired(), desired()
	for i := range 5000 {
		id := model.ID(fmt.Sprint(i))
		after.Networks[id] = model.Network{ID: id, Name: strings.Repeat("🚀", 256), Description: strings.Repeat("é\n", 2000)}
	}
	if n := utf8.RuneCountInString(history.Text(history.Changes(before, after)...)); n > 2000 {
		t.Errorf("the text has %d characters", n)
	}
}
