package api

import (
	"github.com/isonet/isonet/model"
)

// oVirt's clients look for a data center and a cluster. isonet has one of each.
const defaultName = "Default"

func dataCenterID() model.ID { return model.DeriveID("datacenter " + defaultName) }

func clusterID() model.ID { return model.DeriveID("cluster " + defaultName) }

func (v *view) dataCenter() *dataCenterDTO {
	e := *v.ref("datacenters", dataCenterID())
	return &dataCenterDTO{
		entity: e, Name: new(defaultName), Description: new(""), Comment: new(""),
		Link:  []linkDTO{linkTo(e, "clusters"), linkTo(e, "networks")},
		Local: new(boolean(false)), Status: "up",
	}
}

func (v *view) cluster() *clusterDTO {
	e := *v.ref("clusters", clusterID())
	return &clusterDTO{
		entity: e, Name: new(defaultName), Description: new(""), Comment: new(""),
		Link:       []linkDTO{linkTo(e, "networks")},
		DataCenter: v.ref("datacenters", dataCenterID()),
	}
}

// clusterNetwork is a network as a cluster has it: every network is assigned
// and none is required.
func (v *view) clusterNetwork(n model.Network) *networkDTO {
	d := v.network(n, nil)
	d.entity = v.at(string(n.ID), "clusters", string(clusterID()), "networks")
	d.Cluster = v.ref("clusters", clusterID())
	d.Display, d.Required, d.Status = new(boolean(false)), new(boolean(false)), "operational"
	return d
}

// is reports that the id in the path is the one object of its collection.
func (c *call) is(name string, only model.ID) error {
	id, err := c.id(name)
	if err == nil && id != only {
		err = model.NotFoundf("Entity not found: %s", id)
	}
	return err
}

func (a *API) listDataCenters(c *call) (document, error) {
	list, err := find(c, []*dataCenterDTO{a.view(c).dataCenter()}, fields[*dataCenterDTO]{
		"name":   func(d *dataCenterDTO) string { return *d.Name },
		"status": func(d *dataCenterDTO) string { return d.Status },
	})
	return &dataCentersDTO{list}, err
}

func (a *API) getDataCenter(c *call) (document, error) {
	if err := c.is("datacenter", dataCenterID()); err != nil {
		return nil, err
	}
	return a.view(c).dataCenter(), nil
}

func (a *API) listDataCenterClusters(c *call) (document, error) {
	if err := c.is("datacenter", dataCenterID()); err != nil {
		return nil, err
	}
	return a.listClusters(c)
}

func (a *API) listDataCenterNetworks(c *call) (document, error) {
	if err := c.is("datacenter", dataCenterID()); err != nil {
		return nil, err
	}
	return a.listNetworks(c)
}

func (a *API) addDataCenterNetwork(c *call) (document, error) {
	if err := c.is("datacenter", dataCenterID()); err != nil {
		return nil, err
	}
	return a.addNetwork(c)
}

func (a *API) getDataCenterNetwork(c *call) (document, error) {
	if err := c.is("datacenter", dataCenterID()); err != nil {
		return nil, err
	}
	return a.getNetwork(c)
}

func (a *API) listClusters(c *call) (document, error) {
	list, err := find(c, []*clusterDTO{a.view(c).cluster()}, fields[*clusterDTO]{
		"name":       func(d *clusterDTO) string { return *d.Name },
		"datacenter": func(*clusterDTO) string { return defaultName },
	})
	return &clustersDTO{list}, err
}

func (a *API) getCluster(c *call) (document, error) {
	if err := c.is("cluster", clusterID()); err != nil {
		return nil, err
	}
	return a.view(c).cluster(), nil
}

func (a *API) listClusterNetworks(c *call) (document, error) {
	if err := c.is("cluster", clusterID()); err != nil {
		return nil, err
	}
	v := a.view(c)
	list := &networksDTO{}
	for _, n := range limit(c, sortedNetworks(v.desired)) {
		list.Network = append(list.Network, v.clusterNetwork(n))
	}
	return list, nil
}

func (a *API) getClusterNetwork(c *call) (document, error) {
	if err := c.is("cluster", clusterID()); err != nil {
		return nil, err
	}
	v := a.view(c)
	n, err := c.network(v.desired)
	if err != nil {
		return nil, err
	}
	return v.clusterNetwork(n), nil
}

// addClusterNetwork accepts the assignment of a network to the cluster, which
// every network has by itself.
func (a *API) addClusterNetwork(c *call) (document, error) {
	if err := c.is("cluster", clusterID()); err != nil {
		return nil, err
	}
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
	return v.clusterNetwork(n), nil
}
