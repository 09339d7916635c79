package api

type vnicProfileDTO struct {
	entity
	Name          *string         `xml:"name" json:"name,omitempty"`
	Description   *string         `xml:"description" json:"description,omitempty"`
	PassThrough   *passThroughDTO `xml:"pass_through" json:"pass_through,omitempty"`
	PortMirroring *boolean        `xml:"port_mirroring" json:"port_mirroring,omitempty"`
	Network       *networkDTO     `xml:"network" json:"network,omitempty"`
}

func (*vnicProfileDTO) element() string { return "vnic_profile" }

type vnicProfilesDTO struct {
	VnicProfile []*vnicProfileDTO `xml:"vnic_profile" json:"vnic_profile,omitempty"`
}

func (*vnicProfilesDTO) element() string { return "vnic_profiles" }

type passThroughDTO struct {
	Mode string `xml:"mode" json:"mode"`
}
