package api

type networkDTO struct {
	entity
	Name            *string          `xml:"name" json:"name,omitempty"`
	Description     *string          `xml:"description" json:"description,omitempty"`
	Comment         *string          `xml:"comment" json:"comment,omitempty"`
	Link            []linkDTO        `xml:"link" json:"link,omitempty"`
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
	VnicProfiles    *vnicProfilesDTO `xml:"vnic_profiles" json:"vnic_profiles,omitempty"`
}

func (*networkDTO) element() string { return "network" }

type networksDTO struct {
	Network []*networkDTO `xml:"network" json:"network,omitempty"`
}

func (*networksDTO) element() string { return "networks" }

type usagesDTO struct {
	Usage []string `xml:"usage" json:"usage,omitempty"`
}

type vlanDTO struct {
	ID *integer `xml:"id" json:"id,omitempty"`
}
