package api

type hostDTO struct {
	entity
	Actions            *linksDTO       `xml:"actions" json:"actions,omitempty"`
	Name               *string         `xml:"name" json:"name,omitempty"`
	Comment            *string         `xml:"comment" json:"comment,omitempty"`
	Link               []linkDTO       `xml:"link" json:"link,omitempty"`
	Address            *string         `xml:"address" json:"address,omitempty"`
	Status             string          `xml:"status,omitempty" json:"status,omitempty"`
	Type               string          `xml:"type,omitempty" json:"type,omitempty"`
	Cluster            *clusterDTO     `xml:"cluster" json:"cluster,omitempty"`
	NetworkAttachments *attachmentsDTO `xml:"network_attachments" json:"network_attachments,omitempty"`
	NetworkLabels      *labelsDTO      `xml:"network_labels" json:"network_labels,omitempty"`
	NICs               *hostNICsDTO    `xml:"nics" json:"nics,omitempty"`
}

func (*hostDTO) element() string { return "host" }

type hostsDTO struct {
	Host []*hostDTO `xml:"host" json:"host,omitempty"`
}

func (*hostsDTO) element() string { return "hosts" }

// nicDTO refers to a NIC in a request. Isolated networks have none, so that it
// is only read to be refused, except when it is empty.
type nicDTO struct {
	entity
	Name string `xml:"name,omitempty" json:"name,omitempty"`
}

type nicsDTO struct {
	HostNIC []nicDTO `xml:"host_nic" json:"host_nic,omitempty"`
}
