package api

type dataCenterDTO struct {
	entity
	Name        *string      `xml:"name" json:"name,omitempty"`
	Description *string      `xml:"description" json:"description,omitempty"`
	Comment     *string      `xml:"comment" json:"comment,omitempty"`
	Link        []linkDTO    `xml:"link" json:"link,omitempty"`
	Local       *boolean     `xml:"local" json:"local,omitempty"`
	Status      string       `xml:"status,omitempty" json:"status,omitempty"`
	Clusters    *clustersDTO `xml:"clusters" json:"clusters,omitempty"`
	Networks    *networksDTO `xml:"networks" json:"networks,omitempty"`
}

func (*dataCenterDTO) element() string { return "data_center" }

type dataCentersDTO struct {
	DataCenter []*dataCenterDTO `xml:"data_center" json:"data_center,omitempty"`
}

func (*dataCentersDTO) element() string { return "data_centers" }

type clusterDTO struct {
	entity
	Name        *string           `xml:"name" json:"name,omitempty"`
	Description *string           `xml:"description" json:"description,omitempty"`
	Comment     *string           `xml:"comment" json:"comment,omitempty"`
	Link        []linkDTO         `xml:"link" json:"link,omitempty"`
	SwitchType  string            `xml:"switch_type,omitempty" json:"switch_type,omitempty"`
	Version     *compatibilityDTO `xml:"version" json:"version,omitempty"`
	DataCenter  *dataCenterDTO    `xml:"data_center" json:"data_center,omitempty"`
	Networks    *networksDTO      `xml:"networks" json:"networks,omitempty"`
}

func (*clusterDTO) element() string { return "cluster" }

type clustersDTO struct {
	Cluster []*clusterDTO `xml:"cluster" json:"cluster,omitempty"`
}

func (*clustersDTO) element() string { return "clusters" }

// compatibilityDTO is the compatibility version of a cluster.
type compatibilityDTO struct {
	Major integer `xml:"major" json:"major"`
	Minor integer `xml:"minor" json:"minor"`
}
