package ovirt

import (
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// The bare representations are those of which no link was followed. What refers to
// another object up or across shows it so, which keeps replies finite.

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

func (v *view) bareDataCenter() *dataCenterDTO {
	e := *v.ref("datacenters", dataCenterID())
	return &dataCenterDTO{
		entity: e, Name: new(defaultName), Description: new("The default data center"), Comment: new(""),
		Link:  linksTo(e, "clusters", "networks"),
		Local: new(boolean(false)), Status: "up",
		Version: &compatibilityDTO{Major: compatibleMajor, Minor: compatibleMinor},
	}
}

func (v *view) bareCluster() *clusterDTO {
	e := *v.ref("clusters", clusterID())
	return &clusterDTO{
		entity: e, Name: new(defaultName), Description: new("The default cluster"), Comment: new(""),
		Link:       linksTo(e, "networks"),
		SwitchType: "ovs",
		Version:    &compatibilityDTO{Major: compatibleMajor, Minor: compatibleMinor},
		DataCenter: &dataCenterDTO{entity: *v.ref("datacenters", dataCenterID())},
	}
}

// bareNetwork renders a network of the data center.
func (v *view) bareNetwork(n model.Network) *networkDTO {
	e := *v.ref("networks", n.ID)
	d := &networkDTO{
		entity: e, Name: &n.Name, Description: &n.Description, Comment: &n.Comment,
		Link:          linksTo(e, "networklabels", "vnicprofiles"),
		MTU:           new(integer(n.MTU)),
		PortIsolation: new(boolean(n.PortIsolation)),
		STP:           new(boolean(false)),
		Usages:        &usagesDTO{[]string{"vm"}},
		VdsmName:      &n.VdsmName,
		DataCenter:    &dataCenterDTO{entity: *v.ref("datacenters", dataCenterID())},
	}
	n.Show(&d.Settings)
	return d
}

// Every network has one vNIC profile of its own name, which clients need to
// give a VM a NIC in the network. It cannot be changed.
func vnicProfileID(network model.ID) model.ID {
	return model.DeriveID("vnicprofile " + string(network))
}

func (v *view) bareVnicProfile(n model.Network) *vnicProfileDTO {
	return &vnicProfileDTO{
		entity: *v.ref("vnicprofiles", vnicProfileID(n.ID)), Name: &n.Name, Description: new(""),
		PassThrough:   &passThroughDTO{Mode: "disabled"},
		PortMirroring: new(boolean(false)),
		Network:       &networkDTO{entity: *v.ref("networks", n.ID)},
	}
}

// hostType is what oVirt's clients know a host that is no appliance as.
const hostType = "rhel"

func (v *view) bareHost(h model.Host) *hostDTO {
	e := *v.ref("hosts", h.ID)
	d := &hostDTO{
		entity: e, Name: &h.Name, Comment: new(""), Address: &h.Name,
		Actions: &linksDTO{linksTo(e, "activate", "commitnetconfig", "deactivate", "setupnetworks", "syncallnetworks")},
		Link:    linksTo(e, "networkattachments", "networklabels", "nics", "statistics", "unmanagednetworks"),
		Status:  v.hostStatus(h),
		Type:    hostType,
		Cluster: &clusterDTO{entity: *v.ref("clusters", clusterID())},
	}
	v.hardware(d, h.ID)
	return d
}

// hostStatus is "up" while nothing is missing on which verdicts rest. A host of which
// nothing is known is not.
func (v *view) hostStatus(h model.Host) string {
	s, known := v.statusOf(h.ID)
	return change.StateOf(h, s, known)
}
