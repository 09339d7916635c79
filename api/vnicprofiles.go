package api

import (
	"github.com/isonet/isonet/model"
)

// Every network has one vNIC profile of its own name, which clients need to
// give a VM a NIC in the network. It cannot be changed.

func vnicProfileID(network model.ID) model.ID {
	return model.DeriveID("vnicprofile " + string(network))
}

// vnicProfile renders the profile of a network.
func (v *view) vnicProfile(n model.Network, f follow) *vnicProfileDTO {
	d := &vnicProfileDTO{
		entity: *v.ref("vnicprofiles", vnicProfileID(n.ID)), Name: &n.Name, Description: new(""),
		PassThrough:   &passThroughDTO{Mode: "disabled"},
		PortMirroring: new(boolean(false)),
		Network:       &networkDTO{entity: *v.ref("networks", n.ID)},
	}
	if f.has("network") {
		d.Network = v.network(n, f.under("network"))
	}
	return d
}

func vnicProfileLinks() links { return links{"network": nil} }

// vnicProfiles renders the profiles of networks.
func (v *view) vnicProfiles(networks []model.Network, f follow) *vnicProfilesDTO {
	list := &vnicProfilesDTO{}
	for _, n := range networks {
		list.VnicProfile = append(list.VnicProfile, v.vnicProfile(n, f))
	}
	return list
}

func (a *API) listVnicProfiles(c *call) (document, error) {
	f, err := c.follow(vnicProfileLinks())
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	found, err := find(c, sortedNetworks(v.desired), fields[model.Network]{
		"name":           {of: func(n model.Network) string { return n.Name }},
		"datacenter":     {of: func(model.Network) string { return defaultName }},
		"description":    {of: func(model.Network) string { return "" }},
		"network_filter": {},
		"network_name":   {of: func(n model.Network) string { return n.Name }},
		"passthrough":    {of: func(model.Network) string { return "false" }},
		"port_mirroring": {of: func(model.Network) string { return "false" }},
		"qos_name":       {},
	})
	return v.vnicProfiles(found, f), err
}

func (a *API) getVnicProfile(c *call) (document, error) {
	f, err := c.follow(vnicProfileLinks())
	if err != nil {
		return nil, err
	}
	id, err := c.id("vnicprofile")
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	for _, n := range v.desired.Networks {
		if vnicProfileID(n.ID) == id {
			return v.vnicProfile(n, f), nil
		}
	}
	return nil, model.Unknown(id)
}

func (a *API) listNetworkVnicProfiles(c *call) (document, error) {
	f, err := c.follow(vnicProfileLinks())
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	n, err := c.network(v.desired)
	if err != nil {
		return nil, err
	}
	return v.vnicProfiles(limit(c, []model.Network{n}), f), nil
}

func (a *API) getNetworkVnicProfile(c *call) (document, error) {
	f, err := c.follow(vnicProfileLinks())
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	n, err := c.network(v.desired)
	if err != nil {
		return nil, err
	}
	if err := c.is("vnicprofile", vnicProfileID(n.ID)); err != nil {
		return nil, err
	}
	return v.vnicProfile(n, f), nil
}
