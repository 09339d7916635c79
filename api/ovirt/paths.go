package ovirt

import (
	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// What a path names is found by these. What is no id cannot name anything.

func networkAt(c *rest.Call, d *model.Desired) (model.Network, error) {
	id, err := c.ID("network")
	if err != nil {
		return model.Network{}, err
	}
	n, ok := d.Networks[id]
	if !ok {
		return model.Network{}, model.Unknown(id)
	}
	return n, nil
}

// labelledNetworkAt returns the network of the path if it has the path's label.
func labelledNetworkAt(c *rest.Call, d *model.Desired) (model.Network, error) {
	n, err := networkAt(c, d)
	if err != nil {
		return n, err
	}
	if label := c.PathValue("label"); n.Label == "" || n.Label != label {
		return n, model.Unknown(label)
	}
	return n, nil
}

func hostAt(c *rest.Call, d *model.Desired) (model.Host, error) {
	id, err := c.ID("host")
	if err != nil {
		return model.Host{}, err
	}
	h, ok := d.Hosts[id]
	if !ok {
		return model.Host{}, model.Unknown(id)
	}
	return h, nil
}

func attachmentAt(c *rest.Call, d *model.Desired) (model.Attachment, error) {
	h, err := hostAt(c, d)
	if err != nil {
		return model.Attachment{}, err
	}
	id, err := c.ID("attachment")
	if err != nil {
		return model.Attachment{}, err
	}
	for _, n := range d.Networks {
		if model.AttachmentID(h.ID, n.ID) != id {
			continue
		}
		if at, attached := d.AttachmentOf(h.ID, n.ID); attached {
			return at, nil
		}
	}
	return model.Attachment{}, model.Unknown(id)
}

// hostNIC is a network interface of a host.
type hostNIC struct {
	model.NIC
	host model.ID
}

func nicAt(c *rest.Call, v *view) (hostNIC, error) {
	h, err := hostAt(c, v.desired)
	if err != nil {
		return hostNIC{}, err
	}
	id, err := c.ID("nic")
	if err != nil {
		return hostNIC{}, err
	}
	for _, n := range v.nics.of(h.ID) {
		if model.NICID(h.ID, n.Name) == id {
			return hostNIC{n, h.ID}, nil
		}
	}
	return hostNIC{}, model.Unknown(id)
}

// onlyAt reports that the id in the path is the one object of its collection.
func onlyAt(c *rest.Call, name string, only model.ID) error {
	id, err := c.ID(name)
	if err == nil && id != only {
		err = model.Unknown(id)
	}
	return err
}

// The subjects are what conditions of a request can be about.

func theNetwork(c *rest.Call, d *model.Desired) (any, error) { return networkAt(c, d) }

func itsLabel(c *rest.Call, d *model.Desired) (any, error) {
	n, err := networkAt(c, d)
	return n.Label, err
}

func theHost(c *rest.Call, d *model.Desired) (any, error) {
	h, err := hostAt(c, d)
	return []any{h.Name, h.Labels, h.Maintenance, d.On(h.ID)}, err
}

func hostLabels(c *rest.Call, d *model.Desired) (any, error) {
	h, err := hostAt(c, d)
	return h.Labels, err
}

func theAttachment(c *rest.Call, d *model.Desired) (any, error) { return attachmentAt(c, d) }

// aboutHost are the options of a write about the host in the path.
func aboutHost(c *rest.Call, force bool) change.Options {
	host, _ := c.ID("host") // the write itself refuses what is none
	return change.Options{Host: host, Force: force}
}
