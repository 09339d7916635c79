package api

type attachmentDTO struct {
	entity
	Link                   []linkDTO               `xml:"link" json:"link,omitempty"`
	DNS                    content                 `xml:"dns_resolver_configuration,omitempty" json:"dns_resolver_configuration,omitempty"`
	InSync                 *boolean                `xml:"in_sync" json:"in_sync,omitempty"`
	Isolation              *isolationDTO           `xml:"isolation" json:"isolation,omitempty"`
	IPAddressAssignments   *ipAssignmentsDTO       `xml:"ip_address_assignments" json:"ip_address_assignments,omitempty"`
	Properties             *propertiesDTO          `xml:"properties" json:"properties,omitempty"`
	ReportedConfigurations *reportedConfigurations `xml:"reported_configurations" json:"reported_configurations,omitempty"`
	Host                   *hostDTO                `xml:"host" json:"host,omitempty"`
	HostNIC                *nicDTO                 `xml:"host_nic" json:"host_nic,omitempty"`
	Network                *networkDTO             `xml:"network" json:"network,omitempty"`
	QoS                    content                 `xml:"qos,omitempty" json:"qos,omitempty"`
	Statistics             *statisticsDTO          `xml:"statistics" json:"statistics,omitempty"`
}

func (*attachmentDTO) element() string { return "network_attachment" }

type attachmentsDTO struct {
	NetworkAttachment []*attachmentDTO `xml:"network_attachment" json:"network_attachment,omitempty"`
}

func (*attachmentsDTO) element() string { return "network_attachments" }

// items returns the members of a list that may be absent.
func (l *attachmentsDTO) items() []*attachmentDTO {
	if l == nil {
		return nil
	}
	return l.NetworkAttachment
}

type ipAssignmentsDTO struct {
	IPAddressAssignment []ipAssignmentDTO `xml:"ip_address_assignment" json:"ip_address_assignment,omitempty"`
}

// items returns the members of a list that may be absent.
func (l *ipAssignmentsDTO) items() []ipAssignmentDTO {
	if l == nil {
		return nil
	}
	return l.IPAddressAssignment
}

type ipAssignmentDTO struct {
	AssignmentMethod *string `xml:"assignment_method" json:"assignment_method,omitempty"`
	IP               *ipDTO  `xml:"ip" json:"ip,omitempty"`
}

type ipDTO struct {
	Address string `xml:"address,omitempty" json:"address,omitempty"`
	Gateway string `xml:"gateway,omitempty" json:"gateway,omitempty"`
	Netmask string `xml:"netmask,omitempty" json:"netmask,omitempty"`
}

type propertiesDTO struct {
	Property []propertyDTO `xml:"property" json:"property,omitempty"`
}

type propertyDTO struct {
	Name  string `xml:"name" json:"name"`
	Value string `xml:"value" json:"value"`
}

type reportedConfigurations struct {
	ReportedConfiguration []reportedConfiguration `xml:"reported_configuration" json:"reported_configuration,omitempty"`
}

// reportedConfiguration is without ActualValue and InSync as long as nobody can tell.
type reportedConfiguration struct {
	ActualValue   string   `xml:"actual_value,omitempty" json:"actual_value,omitempty"`
	ExpectedValue string   `xml:"expected_value" json:"expected_value"`
	InSync        *boolean `xml:"in_sync" json:"in_sync,omitempty"`
	Name          string   `xml:"name" json:"name"`
}
