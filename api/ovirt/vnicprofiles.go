package ovirt

import (
	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
)

// vnicProfileResource is the profiles of vNICs, one of each network.
type vnicProfileResource struct{ site }

// vnicProfile renders the profile of a network.
func (v *view) vnicProfile(n model.Network, f follow) *vnicProfileDTO {
	d := v.bareVnicProfile(n)
	if f.has("network") {
		d.Network = v.bareNetwork(n)
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

func (r vnicProfileResource) list() handler {
	return show(r.site, vnicProfileLinks(), searched((*view).sortedNetworks, fields[model.Network]{
		"name":           func(n model.Network) string { return n.Name },
		"datacenter":     func(model.Network) string { return defaultName },
		"description":    func(model.Network) string { return "" },
		"network_name":   func(n model.Network) string { return n.Name },
		"passthrough":    func(model.Network) string { return "false" },
		"port_mirroring": func(model.Network) string { return "false" },
	}), each("vnic_profiles", (*view).vnicProfile))
}

func (r vnicProfileResource) get() handler {
	return show(r.site, vnicProfileLinks(), vnicProfileAt, (*view).vnicProfile)
}

// vnicProfileAt returns the network whose profile the path names.
func vnicProfileAt(c *rest.Call, v *view) (model.Network, error) {
	id, err := c.ID("vnicprofile")
	if err != nil {
		return model.Network{}, err
	}
	for _, n := range v.desired.Networks {
		if vnicProfileID(n.ID) == id {
			return n, nil
		}
	}
	return model.Network{}, model.Unknown(id)
}

func (r vnicProfileResource) listOfNetwork() handler {
	return show(r.site, vnicProfileLinks(), func(c *rest.Call, v *view) ([]model.Network, error) {
		n, err := networkAt(c, v.desired)
		return rest.Limit(c, []model.Network{n}), err
	}, each("vnic_profiles", (*view).vnicProfile))
}

func (r vnicProfileResource) getOfNetwork() handler {
	return show(r.site, vnicProfileLinks(), func(c *rest.Call, v *view) (model.Network, error) {
		n, err := networkAt(c, v.desired)
		if err == nil {
			err = onlyAt(c, "vnicprofile", vnicProfileID(n.ID))
		}
		return n, err
	}, (*view).vnicProfile)
}
