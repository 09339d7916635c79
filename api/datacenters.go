package api

import (
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// oVirt's clients look for a data center and a cluster. isonet has one of each.
// Both have a description, as in a new engine: libgovirt complains of empty ones.
const defaultName = "Default"

// The compatibility version of the cluster: that of an engine 4.5.
const (
	compatibleMajor = 4
	compatibleMinor = 7
)

func dataCenterID() model.ID { return model.DeriveID("datacenter " + defaultName) }

func clusterID() model.ID { return model.DeriveID("cluster " + defaultName) }

// dataCenter has a description, because libgovirt complains of an empty one; so
// has the cluster.
func (v *view) dataCenter(f follow) *dataCenterDTO {
	e := *v.ref("datacenters", dataCenterID())
	d := &dataCenterDTO{
		entity: e, Name: new(defaultName), Description: new("The default data center"), Comment: new(""),
		Local: new(boolean(false)), Status: "up",
	}
	for _, rel := range []string{"clusters", "networks"} {
		if !f.has(rel) {
			d.Link = append(d.Link, linkTo(e, rel))
		}
	}
	if f.has("clusters") {
		d.Clusters = &clustersDTO{[]*clusterDTO{v.cluster(f.under("clusters"))}}
	}
	if f.has("networks") {
		d.Networks = v.networks(sortedNetworks(v.desired), f.under("networks"))
	}
	return d
}

func dataCenterLinks() links {
	return links{"clusters": clusterLinks(), "networks": networkLinks()}
}

func (v *view) cluster(f follow) *clusterDTO {
	e := *v.ref("clusters", clusterID())
	d := &clusterDTO{
		entity: e, Name: new(defaultName), Description: new("The default cluster"), Comment: new(""),
		SwitchType: "ovs",
		Version:    &compatibilityDTO{Major: compatibleMajor, Minor: compatibleMinor},
		DataCenter: &dataCenterDTO{entity: *v.ref("datacenters", dataCenterID())},
	}
	if f.has("datacenter") {
		d.DataCenter = v.dataCenter(f.under("datacenter"))
	}
	if f.has("networks") {
		d.Networks = v.clusterNetworks(sortedNetworks(v.desired), f.under("networks"))
	} else {
		d.Link = append(d.Link, linkTo(e, "networks"))
	}
	return d
}

func clusterLinks() links { return links{"datacenter": nil, "networks": networkLinks()} }

// clusterNetwork is a network as a cluster has it: every network is assigned
// and none is required. Like the engine's, it is not operational when a host
// that must have it does not; isonet knows that of the host that it runs on.
func (v *view) clusterNetwork(n model.Network, f follow) *networkDTO {
	d := v.network(n, f)
	d.entity = v.at(string(n.ID), "clusters", string(clusterID()), "networks")
	d.Cluster = v.ref("clusters", clusterID())
	d.Display, d.Required, d.Status = new(boolean(false)), new(boolean(false)), "operational"
	if v.status.Networks[n.ID].State == report.Failed {
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

// is reports that the id in the path is the one object of its collection.
func (c *call) is(name string, only model.ID) error {
	id, err := c.id(name)
	if err == nil && id != only {
		err = model.Unknown(id)
	}
	return err
}

// below makes the handler of a path below the one object of a collection.
func below(name string, only model.ID, f func(*call) (document, error)) func(*call) (document, error) {
	return func(c *call) (document, error) {
		if err := c.is(name, only); err != nil {
			return nil, err
		}
		return f(c)
	}
}

func (a *API) listDataCenters(c *call) (document, error) {
	f, err := c.follow(dataCenterLinks())
	if err != nil {
		return nil, err
	}
	list, err := find(c, []*dataCenterDTO{a.view(c).dataCenter(f)}, fields[*dataCenterDTO]{
		"name":        {of: func(d *dataCenterDTO) string { return *d.Name }},
		"comment":     {of: func(d *dataCenterDTO) string { return *d.Comment }},
		"description": {of: func(d *dataCenterDTO) string { return *d.Description }},
		"status":      {of: func(d *dataCenterDTO) string { return d.Status }},
	})
	return &dataCentersDTO{list}, err
}

func (a *API) getDataCenter(c *call) (document, error) {
	f, err := c.follow(dataCenterLinks())
	if err != nil {
		return nil, err
	}
	return a.view(c).dataCenter(f), nil
}

func (a *API) listDataCenterClusters(c *call) (document, error) {
	f, err := c.follow(clusterLinks())
	if err != nil {
		return nil, err
	}
	return &clustersDTO{limit(c, []*clusterDTO{a.view(c).cluster(f)})}, nil
}

func (a *API) listDataCenterNetworks(c *call) (document, error) {
	f, err := c.follow(networkLinks())
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	return v.networks(limit(c, sortedNetworks(v.desired)), f), nil
}

func (a *API) listClusters(c *call) (document, error) {
	f, err := c.follow(clusterLinks())
	if err != nil {
		return nil, err
	}
	list, err := find(c, []*clusterDTO{a.view(c).cluster(f)}, fields[*clusterDTO]{
		"name":        {of: func(d *clusterDTO) string { return *d.Name }},
		"comment":     {of: func(d *clusterDTO) string { return *d.Comment }},
		"datacenter":  {of: func(*clusterDTO) string { return defaultName }},
		"description": {of: func(d *clusterDTO) string { return *d.Description }},
		"initialized": {of: func(*clusterDTO) string { return "true" }},
	})
	return &clustersDTO{list}, err
}

func (a *API) getCluster(c *call) (document, error) {
	f, err := c.follow(clusterLinks())
	if err != nil {
		return nil, err
	}
	return a.view(c).cluster(f), nil
}

func (a *API) listClusterNetworks(c *call) (document, error) {
	f, err := c.follow(networkLinks())
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	return v.clusterNetworks(limit(c, sortedNetworks(v.desired)), f), nil
}

func (a *API) getClusterNetwork(c *call) (document, error) {
	f, err := c.follow(networkLinks())
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	n, err := c.network(v.desired)
	if err != nil {
		return nil, err
	}
	return v.clusterNetwork(n, f), nil
}

// addClusterNetwork accepts the assignment of a network to the cluster, which
// every network has by itself.
func (a *API) addClusterNetwork(c *call) (document, error) {
	var body networkDTO
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if body.ID == "" && value(body.Name) == "" {
		return nil, refuse(errIncomplete, "Network [id|name] required for add")
	}
	v := a.view(c)
	n, err := referred(v.desired, &body)
	if err != nil {
		return nil, err
	}
	return a.assigned(c, v, n, &body)
}

// updateClusterNetwork accepts what the assignment of a network to the cluster
// is in any case. The network itself is not changed here, as in the engine.
func (a *API) updateClusterNetwork(c *call) (document, error) {
	var body networkDTO
	if err := c.read(&body); err != nil {
		return nil, err
	}
	v := a.view(c)
	n, err := c.network(v.desired)
	if err != nil {
		return nil, err
	}
	if err := sameID(body.entity, n.ID); err != nil {
		return nil, err
	}
	return a.assigned(c, v, n, &body)
}

func (a *API) assigned(c *call, v *view, n model.Network, body *networkDTO) (document, error) {
	f, err := c.follow(networkLinks())
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

// removeClusterNetwork refuses to take a network from the cluster.
func (a *API) removeClusterNetwork(c *call) (document, error) {
	n, err := c.network(a.store.Snapshot())
	if err != nil {
		return nil, err
	}
	return nil, model.Conflictf("Cannot remove Network. Every isolated network is in the cluster, so that '%s' cannot be taken from it. To remove the network itself, use DELETE %s/networks/%s; to take it from a host, remove its attachment.",
		n.Name, c.base, n.ID)
}
