package api

import (
	"slices"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

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
func (c *call) readLabel() (*labelDTO, error) {
	var body labelDTO
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if body.ID == "" {
		return nil, refuse(errIncomplete, "NetworkLabel [id] required for add")
	}
	return &body, nil
}

func (a *API) listLabelsOfNetwork(c *call) (document, error) {
	v := a.view(c)
	n, err := c.network(v.desired)
	if err != nil {
		return nil, err
	}
	return &labelsDTO{limit(c, v.labelsOfNetwork(n).NetworkLabel)}, nil
}

func (a *API) getLabelOfNetwork(c *call) (document, error) {
	v := a.view(c)
	n, err := c.labelledNetwork(v.desired)
	if err != nil {
		return nil, err
	}
	return v.labelOfNetwork(n), nil
}

// labelledNetwork returns the network of the path if it has the path's label.
func (c *call) labelledNetwork(d *model.Desired) (model.Network, error) {
	n, err := c.network(d)
	if err != nil {
		return n, err
	}
	if label := c.r.PathValue("label"); n.Label == "" || n.Label != label {
		return n, model.Unknown(label)
	}
	return n, nil
}

func (a *API) addLabelToNetwork(c *call) (document, error) {
	label, err := c.readLabel()
	if err != nil {
		return nil, err
	}
	own := a.ownNICs()
	if err := label.HostNIC.refuse(own, own.host); err != nil {
		return nil, err
	}
	var n model.Network
	after, err := a.write(c, change.Options{}, func(d *model.Desired) error {
		var err error
		if n, err = c.network(d); err != nil {
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
	return a.viewOf(c, after).labelOfNetwork(n), nil
}

func (a *API) removeLabelFromNetwork(c *call) (document, error) {
	_, err := a.write(c, change.Options{Force: c.flag("force")}, func(d *model.Desired) error {
		n, err := c.labelledNetwork(d)
		if err != nil {
			return err
		}
		n.Label = ""
		return d.UpdateNetwork(n)
	})
	return complete(), err
}

func (a *API) listLabelsOfHost(c *call) (document, error) {
	v := a.view(c)
	h, err := c.host(v.desired)
	if err != nil {
		return nil, err
	}
	return &labelsDTO{limit(c, v.labelsOfHost(h).NetworkLabel)}, nil
}

func (a *API) getLabelOfHost(c *call) (document, error) {
	v := a.view(c)
	h, err := c.host(v.desired)
	if err != nil {
		return nil, err
	}
	label := c.r.PathValue("label")
	if !slices.Contains(h.Labels, label) {
		return nil, model.Unknown(label)
	}
	return v.labelOfHost(h.ID, label), nil
}

func (a *API) addLabelToHost(c *call) (document, error) {
	label, err := c.readLabel()
	if err != nil {
		return nil, err
	}
	var host model.ID
	after, err := a.write(c, change.Options{}, func(d *model.Desired) error {
		h, err := c.host(d)
		if err != nil {
			return err
		}
		if err := label.HostNIC.refuse(a.ownNICs(), h.ID); err != nil {
			return err
		}
		host = h.ID
		return d.AddLabel(h.ID, label.ID)
	})
	if err != nil {
		return nil, err
	}
	return a.viewOf(c, after).labelOfHost(host, label.ID), nil
}

func (a *API) removeLabelFromHost(c *call) (document, error) {
	_, err := a.write(c, change.Options{Force: c.flag("force")}, func(d *model.Desired) error {
		h, err := c.host(d)
		if err != nil {
			return err
		}
		return d.RemoveLabel(h.ID, c.r.PathValue("label"))
	})
	return complete(), err
}
