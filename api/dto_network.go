package api

type networkDTO struct {
	entity
	Name            *string          `xml:"name" json:"name,omitempty"`
	Description     *string          `xml:"description" json:"description,omitempty"`
	Comment         *string          `xml:"comment" json:"comment,omitempty"`
	Link            []linkDTO        `xml:"link" json:"link,omitempty"`
	DNS             content          `xml:"dns_resolver_configuration,omitempty" json:"dns_resolver_configuration,omitempty"`
	Display         *boolean         `xml:"display" json:"display,omitempty"`
	MTU             *integer         `xml:"mtu" json:"mtu,omitempty"`
	PortIsolation   *boolean         `xml:"port_isolation" json:"port_isolation,omitempty"`
	ProfileRequired *boolean         `xml:"profile_required" json:"profile_required,omitempty"`
	Required        *boolean         `xml:"required" json:"required,omitempty"`
	Status          string           `xml:"status,omitempty" json:"status,omitempty"`
	STP             *boolean         `xml:"stp" json:"stp,omitempty"`
	Usages          *usagesDTO       `xml:"usages" json:"usages,omitempty"`
	VdsmName        *string          `xml:"vdsm_name" json:"vdsm_name,omitempty"`
	VLAN            *vlanDTO         `xml:"vlan" json:"vlan,omitempty"`
	Cluster         *entity          `xml:"cluster" json:"cluster,omitempty"`
	DataCenter      *dataCenterDTO   `xml:"data_center" json:"data_center,omitempty"`
	NetworkLabels   *labelsDTO       `xml:"network_labels" json:"network_labels,omitempty"`
	QoS             content          `xml:"qos,omitempty" json:"qos,omitempty"`
	VnicProfiles    *vnicProfilesDTO `xml:"vnic_profiles" json:"vnic_profiles,omitempty"`
	isolationPolicyDTO
}

func (*networkDTO) element() string { return "network" }

type networksDTO struct {
	Network []*networkDTO `xml:"network" json:"network,omitempty"`
}

func (*networksDTO) element() string { return "networks" }

type usagesDTO struct {
	Usage []string `xml:"usage" json:"usage,omitempty"`
}

// vlanDTO has the id as an attribute, like everything in oVirt that has one. The
// element is read too, because it is what a person would write, and a VLAN must
// not get lost.
type vlanDTO struct {
	ID      *integer `xml:"id,attr,omitempty" json:"id,omitempty"`
	Element *integer `xml:"id" json:"-"`
}

// tag returns the VLAN id, in whatever form it was sent; nil is none.
func (d *vlanDTO) tag() *integer {
	if d == nil {
		return nil
	}
	if d.ID != nil {
		return d.ID
	}
	return d.Element
}
