package api

type statisticDTO struct {
	entity
	Name        string    `xml:"name" json:"name"`
	Description string    `xml:"description" json:"description"`
	Kind        string    `xml:"kind" json:"kind"`
	Type        string    `xml:"type" json:"type"`
	Unit        string    `xml:"unit" json:"unit"`
	Values      valuesDTO `xml:"values" json:"values"`
	Host        *entity   `xml:"host" json:"host,omitempty"`
	HostNIC     *entity   `xml:"host_nic" json:"host_nic,omitempty"`
}

func (*statisticDTO) element() string { return "statistic" }

type statisticsDTO struct {
	Statistic []*statisticDTO `xml:"statistic" json:"statistic,omitempty"`
}

func (*statisticsDTO) element() string { return "statistics" }

type valuesDTO struct {
	Value []valueDTO `xml:"value" json:"value,omitempty"`
}

type valueDTO struct {
	Datum  decimal `xml:"datum,omitempty" json:"datum,omitempty"`
	Detail string  `xml:"detail,omitempty" json:"detail,omitempty"`
}
