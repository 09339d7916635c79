package api

// labelDTO is a label; its text is the id.
type labelDTO struct {
	entity
	HostNIC *nicDTO `xml:"host_nic" json:"host_nic,omitempty"`
	Network *entity `xml:"network" json:"network,omitempty"`
	Host    *entity `xml:"host" json:"host,omitempty"`
}

func (*labelDTO) element() string { return "network_label" }

type labelsDTO struct {
	NetworkLabel []*labelDTO `xml:"network_label" json:"network_label,omitempty"`
}

func (*labelsDTO) element() string { return "network_labels" }

// items returns the members of a list that may be absent.
func (l *labelsDTO) items() []*labelDTO {
	if l == nil {
		return nil
	}
	return l.NetworkLabel
}
