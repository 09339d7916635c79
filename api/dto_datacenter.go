package api

type dataCenterDTO struct {
	entity
	Name        *string   `xml:"name" json:"name,omitempty"`
	Description *string   `xml:"description" json:"description,omitempty"`
	Comment     *string   `xml:"comment" json:"comment,omitempty"`
	Link        []linkDTO `xml:"link" json:"link,omitempty"`
	Local       *boolean  `xml:"local" json:"local,omitempty"`
	Status      string    `xml:"status,omitempty" json:"status,omitempty"`
}

func (*dataCenterDTO) element() string { return "data_center" }

type dataCentersDTO struct {
	DataCenter []*dataCenterDTO `xml:"data_center" json:"data_center,omitempty"`
}

func (*dataCentersDTO) element() string { return "data_centers" }

type clusterDTO struct {
	entity
	Name        *string   `xml:"name" json:"name,omitempty"`
	Description *string   `xml:"description" json:"description,omitempty"`
	Comment     *string   `xml:"comment" json:"comment,omitempty"`
	Link        []linkDTO `xml:"link" json:"link,omitempty"`
	DataCenter  *entity   `xml:"data_center" json:"data_center,omitempty"`
}

func (*clusterDTO) element() string { return "cluster" }

type clustersDTO struct {
	Cluster []*clusterDTO `xml:"cluster" json:"cluster,omitempty"`
}

func (*clustersDTO) element() string { return "clusters" }
