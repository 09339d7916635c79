package api

import "strconv"

// hostNICDTO is a network interface of a host.
type hostNICDTO struct {
	entity
	Name          string         `xml:"name" json:"name"`
	Link          []linkDTO      `xml:"link" json:"link,omitempty"`
	BaseInterface string         `xml:"base_interface,omitempty" json:"base_interface,omitempty"`
	Bonding       *bondingDTO    `xml:"bonding" json:"bonding,omitempty"`
	Bridged       boolean        `xml:"bridged" json:"bridged"`
	IP            *nicIPDTO      `xml:"ip" json:"ip,omitempty"`
	IPv6          *nicIPDTO      `xml:"ipv6" json:"ipv6,omitempty"`
	MAC           *macDTO        `xml:"mac" json:"mac,omitempty"`
	MTU           integer        `xml:"mtu" json:"mtu"`
	Speed         *long          `xml:"speed" json:"speed,omitempty"`
	Status        string         `xml:"status" json:"status"`
	VLAN          *vlanDTO       `xml:"vlan" json:"vlan,omitempty"`
	Host          *hostDTO       `xml:"host" json:"host,omitempty"`
	Statistics    *statisticsDTO `xml:"statistics" json:"statistics,omitempty"`
}

func (*hostNICDTO) element() string { return "host_nic" }

type hostNICsDTO struct {
	HostNIC []*hostNICDTO `xml:"host_nic" json:"host_nic,omitempty"`
}

func (*hostNICsDTO) element() string { return "host_nics" }

type bondingDTO struct {
	ActiveSlave *entity     `xml:"active_slave" json:"active_slave,omitempty"`
	Options     *optionsDTO `xml:"options" json:"options,omitempty"`
	Slaves      slavesDTO   `xml:"slaves" json:"slaves"`
}

type slavesDTO struct {
	HostNIC []entity `xml:"host_nic" json:"host_nic,omitempty"`
}

type optionsDTO struct {
	Option []optionDTO `xml:"option" json:"option,omitempty"`
}

type optionDTO struct {
	Name  string `xml:"name" json:"name"`
	Type  string `xml:"type,omitempty" json:"type,omitempty"`
	Value string `xml:"value" json:"value"`
}

type nicIPDTO struct {
	Address string `xml:"address" json:"address"`
	Netmask string `xml:"netmask" json:"netmask"`
	Version string `xml:"version" json:"version"`
}

type macDTO struct {
	Address string `xml:"address" json:"address"`
}

// long is a 64-bit integer, written as a string in JSON.
type long uint64

func (l long) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(l), 10), nil
}
