package ovirt

import (
	"slices"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// labelResource is the labels of networks and of hosts.
type labelResource struct{ site }

// labelOfNetwork renders the label of a network.
func (v *view) labelOfNetwork(n model.Network) *labelDTO {
	return &labelDTO{
		entity:  v.at(n.Label, "networks", string(n.ID), "networklabels"),
		Network: v.ref("networks", n.ID),
	}
}

func (v *view) labelsOfNetwork(n model.Network) *labelsDTO {
	list := &labelsDTO{}
	if n.Label != "" {
		list.NetworkLabel = append(list.NetworkLabel, v.labelOfNetwork(n))
	}
	return list
}

// labelOfHost renders a label of a host.
func (v *view) labelOfHost(host model.ID, label string) *labelDTO {
	return &labelDTO{
		entity: v.at(label, "hosts", string(host), "networklabels"),
		Host:   v.ref("hosts", host),
	}
}

func (v *view) labelsOfHost(h model.Host) *labelsDTO {
	list := &labelsDTO{}
	for _, label := range h.Labels {
		list.NetworkLabel = append(list.NetworkLabel, v.labelOfHost(h.ID, label))
	}
	return list
}

// readLabel reads a body that is one label.
func readLabel(c *rest.Call) (*labelDTO, error) {
	var body labelDTO
	if err := c.Read(&body); err != nil {
		return nil, err
	}
	if body.ID == "" {
		return nil, rest.Refuse(rest.ErrIncomplete, "NetworkLabel [id] required for add")
	}
	return &body, nil
}

func (r labelResource) listOfNetwork(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	n, err := networkAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	return listOf("network_labels", rest.Limit(c, v.labelsOfNetwork(n).NetworkLabel)), nil
}

func (r labelResource) getOfNetwork(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	n, err := labelledNetworkAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	return v.labelOfNetwork(n), nil
}

func (r labelResource) addToNetwork(c *rest.Call) (rest.Document, error) {
	label, err := readLabel(c)
	if err != nil {
		return nil, err
	}
	own := r.ownNICs()
	if err := label.HostNIC.refuse(own, own.host); err != nil {
		return nil, err
	}
	var n model.Network
	after, err := r.Write(c, change.Options{}, func(d *model.Desired) error {
		var err error
		if n, err = networkAt(c, d); err != nil {
			return err
		}
		if n.Label != "" {
			return model.Invalidf("Cannot add Label. The specified network is already labeled. Remove the label '%s' first.", n.Label)
		}
		n.Label = label.ID
		return d.UpdateNetwork(n)
	})
	if err != nil {
		return nil, err
	}
	return r.viewOf(c, after).labelOfNetwork(n), nil
}

func (r labelResource) removeFromNetwork(c *rest.Call) (rest.Document, error) {
	_, err := r.Write(c, change.Options{Force: c.Flag("force")}, func(d *model.Desired) error {
		n, err := labelledNetworkAt(c, d)
		if err != nil {
			return err
		}
		n.Label = ""
		return d.UpdateNetwork(n)
	})
	return complete(), err
}

func (r labelResource) listOfHost(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	h, err := hostAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	return listOf("network_labels", rest.Limit(c, v.labelsOfHost(h).NetworkLabel)), nil
}

func (r labelResource) getOfHost(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	h, err := hostAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	label := c.PathValue("label")
	if !slices.Contains(h.Labels, label) {
		return nil, model.Unknown(label)
	}
	return v.labelOfHost(h.ID, label), nil
}

func (r labelResource) addToHost(c *rest.Call) (rest.Document, error) {
	label, err := readLabel(c)
	if err != nil {
		return nil, err
	}
	var host model.ID
	after, err := r.Write(c, aboutHost(c, false), func(d *model.Desired) error {
		h, err := hostAt(c, d)
		if err != nil {
			return err
		}
		if err := label.HostNIC.refuse(r.ownNICs(), h.ID); err != nil {
			return err
		}
		host = h.ID
		return d.AddLabel(h.ID, label.ID)
	})
	if err != nil {
		return nil, err
	}
	return r.viewOf(c, after).labelOfHost(host, label.ID), nil
}

func (r labelResource) removeFromHost(c *rest.Call) (rest.Document, error) {
	_, err := r.Write(c, aboutHost(c, c.Flag("force")), func(d *model.Desired) error {
		h, err := hostAt(c, d)
		if err != nil {
			return err
		}
		return d.RemoveLabel(h.ID, c.PathValue("label"))
	})
	return complete(), err
}
