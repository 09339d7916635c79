package ovirt

import (
	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
)

// dataCenterResource is the one data center.
type dataCenterResource struct{ site }

// clusterResource is the one cluster, and the networks as it has them.
type clusterResource struct{ site }

// dataCenter follows links of the bare data center.
func (v *view) dataCenter(d *dataCenterDTO, f follow) *dataCenterDTO {
	d.Link = f.leave(d.Link)
	if f.has("clusters") {
		d.Clusters = &clustersDTO{[]*clusterDTO{v.cluster(v.bareCluster(), f.under("clusters"))}}
	}
	if f.has("networks") {
		d.Networks = v.networks(v.sortedNetworks(), f.under("networks"))
	}
	return d
}

func dataCenterLinks() links {
	return links{"clusters": clusterLinks(), "networks": networkLinks()}
}

// cluster follows links of the bare cluster.
func (v *view) cluster(d *clusterDTO, f follow) *clusterDTO {
	d.Link = f.leave(d.Link)
	if f.has("datacenter") {
		d.DataCenter = v.bareDataCenter()
	}
	if f.has("networks") {
		d.Networks = v.clusterNetworks(v.sortedNetworks(), f.under("networks"))
	}
	return d
}

func clusterLinks() links { return links{"datacenter": nil, "networks": networkLinks()} }

// clusterNetwork is a network as a cluster has it: every network is assigned
// and none is required. Like the engine's, it is not operational when a host
// that must have it does not.
func (v *view) clusterNetwork(n model.Network, f follow) *networkDTO {
	d := v.network(n, f)
	d.entity = v.at(string(n.ID), "clusters", string(clusterID()), "networks")
	d.Cluster = v.ref("clusters", clusterID())
	d.Display, d.Required, d.Status = new(boolean(false)), new(boolean(false)), "operational"
	if v.failed()[n.ID] {
		d.Status = "non_operational"
	}
	return d
}

func (v *view) clusterNetworks(list []model.Network, f follow) *networksDTO {
	d := &networksDTO{}
	for _, n := range list {
		d.Network = append(d.Network, v.clusterNetwork(n, f))
	}
	return d
}

func (v *view) theDataCenter() []*dataCenterDTO { return []*dataCenterDTO{v.bareDataCenter()} }

func (v *view) theCluster() []*clusterDTO { return []*clusterDTO{v.bareCluster()} }

func (r dataCenterResource) list() handler {
	return show(r.site, dataCenterLinks(), searched((*view).theDataCenter, fields[*dataCenterDTO]{
		"name":        func(d *dataCenterDTO) string { return *d.Name },
		"comment":     func(d *dataCenterDTO) string { return *d.Comment },
		"description": func(d *dataCenterDTO) string { return *d.Description },
		"status":      func(d *dataCenterDTO) string { return d.Status },
	}), each("data_centers", (*view).dataCenter))
}

func (r dataCenterResource) get() handler {
	return show(r.site, dataCenterLinks(), one((*view).bareDataCenter), (*view).dataCenter)
}

func (r dataCenterResource) listClusters() handler {
	return show(r.site, clusterLinks(), limited((*view).theCluster), each("clusters", (*view).cluster))
}

func (r dataCenterResource) listNetworks() handler {
	return show(r.site, networkLinks(), limited((*view).sortedNetworks), each("networks", (*view).network))
}

func (r clusterResource) list() handler {
	return show(r.site, clusterLinks(), searched((*view).theCluster, fields[*clusterDTO]{
		"name":        func(d *clusterDTO) string { return *d.Name },
		"comment":     func(d *clusterDTO) string { return *d.Comment },
		"datacenter":  func(*clusterDTO) string { return defaultName },
		"description": func(d *clusterDTO) string { return *d.Description },
		"initialized": func(*clusterDTO) string { return "true" },
	}), each("clusters", (*view).cluster))
}

func (r clusterResource) get() handler {
	return show(r.site, clusterLinks(), one((*view).bareCluster), (*view).cluster)
}

func (r clusterResource) listNetworks() handler {
	return show(r.site, networkLinks(), limited((*view).sortedNetworks), each("networks", (*view).clusterNetwork))
}

func (r clusterResource) getNetwork() handler {
	return show(r.site, networkLinks(), in(networkAt), (*view).clusterNetwork)
}

// addNetwork accepts the assignment of a network to the cluster, which
// every network has by itself.
func (r clusterResource) addNetwork(c *rest.Call) (rest.Document, error) {
	var body networkDTO
	if err := c.Read(&body); err != nil {
		return nil, err
	}
	if body.ID == "" && value(body.Name) == "" {
		return nil, rest.Refuse(rest.ErrIncomplete, "Network [id|name] required for add")
	}
	v := r.view(c)
	n, err := referred(v.desired, &body)
	if err != nil {
		return nil, err
	}
	return r.assigned(c, v, n, &body)
}

// updateNetwork accepts what the assignment of a network to the cluster
// is in any case. The network itself is not changed here, as in the engine.
func (r clusterResource) updateNetwork(c *rest.Call) (rest.Document, error) {
	var body networkDTO
	if err := c.Read(&body); err != nil {
		return nil, err
	}
	v := r.view(c)
	n, err := networkAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	if err := sameID(body.entity, n.ID); err != nil {
		return nil, err
	}
	return r.assigned(c, v, n, &body)
}

func (r clusterResource) assigned(c *rest.Call, v *view, n model.Network, body *networkDTO) (rest.Document, error) {
	f, err := followed(c, networkLinks())
	if err != nil {
		return nil, err
	}
	if err := body.refuseRole(n.Name); err != nil {
		return nil, err
	}
	return v.clusterNetwork(n, f), nil
}

// refuseRole refuses what only a network that hosts reach can be in a cluster.
func (d *networkDTO) refuseRole(network string) error {
	if value(d.Required) {
		return model.Invalidf("The isolated network '%s' cannot be required in the cluster: a host without it is no worse. Use required=false.", network)
	}
	if value(d.Display) {
		return model.Invalidf("The isolated network '%s' cannot be the display network: the host does not reach it. Use display=false.", network)
	}
	for _, usage := range value(d.Usages).Usage {
		if usage != "vm" {
			return model.Invalidf("The isolated network '%s' cannot have the usage '%s' in the cluster: the host does not reach it. Use 'vm' only.", network, usage)
		}
	}
	return nil
}

// removeNetwork refuses to take a network from the cluster.
func (r clusterResource) removeNetwork(c *rest.Call) (rest.Document, error) {
	n, err := networkAt(c, r.Store.Snapshot())
	if err != nil {
		return nil, err
	}
	return nil, model.Conflictf("Cannot remove Network. Every isolated network is in the cluster, so that '%s' cannot be taken from it. To remove the network itself, use DELETE %s/networks/%s; to take it from a host, remove its attachment.",
		n.Name, c.Base(), n.ID)
}
