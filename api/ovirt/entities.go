package ovirt

import (
	"strconv"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/wire"
)

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
	wire.Settings[boolean, integer]
}

func (*networkDTO) Element() string { return "network" }

type networksDTO struct {
	Network []*networkDTO `xml:"network" json:"network,omitempty"`
}

func (l *networksDTO) items() []*networkDTO {
	if l == nil {
		return nil
	}
	return l.Network
}

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

type dataCenterDTO struct {
	entity
	Name        *string           `xml:"name" json:"name,omitempty"`
	Description *string           `xml:"description" json:"description,omitempty"`
	Comment     *string           `xml:"comment" json:"comment,omitempty"`
	Link        []linkDTO         `xml:"link" json:"link,omitempty"`
	Local       *boolean          `xml:"local" json:"local,omitempty"`
	Status      string            `xml:"status,omitempty" json:"status,omitempty"`
	Version     *compatibilityDTO `xml:"version" json:"version,omitempty"`
	Clusters    *clustersDTO      `xml:"clusters" json:"clusters,omitempty"`
	Networks    *networksDTO      `xml:"networks" json:"networks,omitempty"`
}

func (*dataCenterDTO) Element() string { return "data_center" }

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

func (*clusterDTO) Element() string { return "cluster" }

type clustersDTO struct {
	Cluster []*clusterDTO `xml:"cluster" json:"cluster,omitempty"`
}

// compatibilityDTO is the compatibility version of a cluster.
type compatibilityDTO struct {
	Major integer `xml:"major" json:"major"`
	Minor integer `xml:"minor" json:"minor"`
}

type vnicProfileDTO struct {
	entity
	Name          *string         `xml:"name" json:"name,omitempty"`
	Description   *string         `xml:"description" json:"description,omitempty"`
	PassThrough   *passThroughDTO `xml:"pass_through" json:"pass_through,omitempty"`
	PortMirroring *boolean        `xml:"port_mirroring" json:"port_mirroring,omitempty"`
	Network       *networkDTO     `xml:"network" json:"network,omitempty"`
}

func (*vnicProfileDTO) Element() string { return "vnic_profile" }

type vnicProfilesDTO struct {
	VnicProfile []*vnicProfileDTO `xml:"vnic_profile" json:"vnic_profile,omitempty"`
}

type passThroughDTO struct {
	Mode string `xml:"mode" json:"mode"`
}

// labelDTO is a label; its text is the id.
type labelDTO struct {
	entity
	HostNIC *nicDTO `xml:"host_nic" json:"host_nic,omitempty"`
	Network *entity `xml:"network" json:"network,omitempty"`
	Host    *entity `xml:"host" json:"host,omitempty"`
}

func (*labelDTO) Element() string { return "network_label" }

type labelsDTO struct {
	NetworkLabel []*labelDTO `xml:"network_label" json:"network_label,omitempty"`
}

// items returns the members of a list that may be absent.
func (l *labelsDTO) items() []*labelDTO {
	if l == nil {
		return nil
	}
	return l.NetworkLabel
}

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

func (*attachmentDTO) Element() string { return "network_attachment" }

type attachmentsDTO struct {
	NetworkAttachment []*attachmentDTO `xml:"network_attachment" json:"network_attachment,omitempty"`
}

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

type hostDTO struct {
	entity
	Actions            *linksDTO            `xml:"actions" json:"actions,omitempty"`
	Name               *string              `xml:"name" json:"name,omitempty"`
	Comment            *string              `xml:"comment" json:"comment,omitempty"`
	Link               []linkDTO            `xml:"link" json:"link,omitempty"`
	Address            *string              `xml:"address" json:"address,omitempty"`
	CPU                shown[cpuDTO]        `xml:"cpu" json:"cpu,omitzero"`
	Hardware           shown[hardwareDTO]   `xml:"hardware_information" json:"hardware_information,omitzero"`
	Memory             shown[long]          `xml:"memory" json:"memory,omitzero"`
	OS                 shown[osDTO]         `xml:"os" json:"os,omitzero"`
	Status             string               `xml:"status,omitempty" json:"status,omitempty"`
	Type               string               `xml:"type,omitempty" json:"type,omitempty"`
	Cluster            *clusterDTO          `xml:"cluster" json:"cluster,omitempty"`
	NetworkAttachments *attachmentsDTO      `xml:"network_attachments" json:"network_attachments,omitempty"`
	NetworkLabels      *labelsDTO           `xml:"network_labels" json:"network_labels,omitempty"`
	NICs               *hostNICsDTO         `xml:"nics" json:"nics,omitempty"`
	Statistics         shown[statisticsDTO] `xml:"statistics" json:"statistics,omitzero"`
}

// cpuDTO is the processors of a host. The speed is in MHz.
type cpuDTO struct {
	Name     string       `xml:"name,omitempty" json:"name,omitempty"`
	Speed    *integer     `xml:"speed" json:"speed,omitempty"`
	Topology *topologyDTO `xml:"topology" json:"topology,omitempty"`
}

// topologyDTO has the cores of each socket and the threads of each core.
type topologyDTO struct {
	Cores   integer `xml:"cores" json:"cores"`
	Sockets integer `xml:"sockets" json:"sockets"`
	Threads integer `xml:"threads" json:"threads"`
}

type hardwareDTO struct {
	Manufacturer string `xml:"manufacturer,omitempty" json:"manufacturer,omitempty"`
	ProductName  string `xml:"product_name,omitempty" json:"product_name,omitempty"`
}

type osDTO struct {
	Type    string          `xml:"type,omitempty" json:"type,omitempty"`
	Version *fullVersionDTO `xml:"version" json:"version,omitempty"`
}

type fullVersionDTO struct {
	FullVersion string `xml:"full_version" json:"full_version"`
}

func (*hostDTO) Element() string { return "host" }

// nicDTO refers to a NIC in a request. Isolated networks have none, so that it
// is only read to be refused, except when it is empty.
type nicDTO struct {
	entity
	Name string `xml:"name,omitempty" json:"name,omitempty"`
}

type nicsDTO struct {
	HostNIC []nicDTO `xml:"host_nic" json:"host_nic,omitempty"`
}

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

func (*hostNICDTO) Element() string { return "host_nic" }

type hostNICsDTO struct {
	HostNIC []*hostNICDTO `xml:"host_nic" json:"host_nic,omitempty"`
}

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

func (*statisticDTO) Element() string { return "statistic" }

type statisticsDTO struct {
	Statistic []*statisticDTO `xml:"statistic" json:"statistic,omitempty"`
}

type valuesDTO struct {
	Value []valueDTO `xml:"value" json:"value,omitempty"`
}

type valueDTO struct {
	Datum  decimal `xml:"datum,omitempty" json:"datum,omitempty"`
	Detail string  `xml:"detail,omitempty" json:"detail,omitempty"`
}

// actionDTO is both the parameters and the outcome of an action.
type actionDTO struct {
	Async                          *boolean        `xml:"async" json:"async,omitempty"`
	CheckConnectivity              *boolean        `xml:"check_connectivity" json:"check_connectivity,omitempty"`
	CommitOnSuccess                *boolean        `xml:"commit_on_success" json:"commit_on_success,omitempty"`
	ConnectivityTimeout            *integer        `xml:"connectivity_timeout" json:"connectivity_timeout,omitempty"`
	Fault                          *faultDTO       `xml:"fault" json:"fault,omitempty"`
	Force                          *boolean        `xml:"force" json:"force,omitempty"`
	Host                           *entity         `xml:"host" json:"host,omitempty"`
	ModifiedBonds                  *nicsDTO        `xml:"modified_bonds" json:"modified_bonds,omitempty"`
	ModifiedLabels                 *labelsDTO      `xml:"modified_labels" json:"modified_labels,omitempty"`
	ModifiedNetworkAttachments     *attachmentsDTO `xml:"modified_network_attachments" json:"modified_network_attachments,omitempty"`
	RemovedBonds                   *nicsDTO        `xml:"removed_bonds" json:"removed_bonds,omitempty"`
	RemovedLabels                  *labelsDTO      `xml:"removed_labels" json:"removed_labels,omitempty"`
	RemovedNetworkAttachments      *attachmentsDTO `xml:"removed_network_attachments" json:"removed_network_attachments,omitempty"`
	Status                         string          `xml:"status,omitempty" json:"status,omitempty"`
	SynchronizedNetworkAttachments *attachmentsDTO `xml:"synchronized_network_attachments" json:"synchronized_network_attachments,omitempty"`
}

func (*actionDTO) Element() string { return "action" }

// complete is the answer to what has been done.
func complete() *actionDTO { return &actionDTO{Status: "complete"} }

type faultDTO struct {
	Detail string `xml:"detail" json:"detail"`
	Reason string `xml:"reason" json:"reason"`
	// Refusals are what the detail says of, for who asks for them.
	Refusals []wire.Refusal `xml:"-" json:"refusals,omitempty"`
}

func (*faultDTO) Element() string { return "fault" }

type rootDTO struct {
	Link        []linkDTO      `xml:"link" json:"link"`
	ProductInfo productInfoDTO `xml:"product_info" json:"product_info"`
	Summary     summaryDTO     `xml:"summary" json:"summary"`
	Time        timestamp      `xml:"time" json:"time"`
	// Both are absent on the unix socket, which has no users.
	AuthenticatedUser *entity `xml:"authenticated_user" json:"authenticated_user,omitempty"`
	EffectiveUser     *entity `xml:"effective_user" json:"effective_user,omitempty"`
}

// Timeless returns the entry without the time of the request.
func (d *rootDTO) Timeless() rest.Document {
	timeless := *d
	timeless.Time = timestamp{}
	return &timeless
}

func (*rootDTO) Element() string { return "api" }

type productInfoDTO struct {
	InstanceID string     `xml:"instance_id" json:"instance_id"`
	Name       string     `xml:"name" json:"name"`
	Vendor     string     `xml:"vendor" json:"vendor"`
	Version    versionDTO `xml:"version" json:"version"`
}

type versionDTO struct {
	Build       integer `xml:"build" json:"build"`
	FullVersion string  `xml:"full_version" json:"full_version"`
	Major       integer `xml:"major" json:"major"`
	Minor       integer `xml:"minor" json:"minor"`
	Revision    integer `xml:"revision" json:"revision"`
}

type summaryDTO struct {
	Hosts          countDTO `xml:"hosts" json:"hosts"`
	StorageDomains countDTO `xml:"storage_domains" json:"storage_domains"`
	Users          countDTO `xml:"users" json:"users"`
	VMs            countDTO `xml:"vms" json:"vms"`
}

type countDTO struct {
	Active integer `xml:"active" json:"active"`
	Total  integer `xml:"total" json:"total"`
}

type userDTO struct {
	entity
	Name      string `xml:"name" json:"name"`
	Principal string `xml:"principal" json:"principal"`
	UserName  string `xml:"user_name" json:"user_name"`
}

func (*userDTO) Element() string { return "user" }

// namedDTO refers to an object, which may exist no more, and has the name that it had.
type namedDTO struct {
	entity
	Name string `xml:"name,omitempty" json:"name,omitempty"`
}

// eventDTO is something that was done. It has an index as its id.
type eventDTO struct {
	entity
	Description   string    `xml:"description" json:"description"`
	Code          integer   `xml:"code" json:"code"`
	CorrelationID string    `xml:"correlation_id,omitempty" json:"correlation_id,omitempty"`
	CustomID      integer   `xml:"custom_id" json:"custom_id"`
	Index         integer   `xml:"index" json:"index"`
	Origin        string    `xml:"origin" json:"origin"`
	Severity      string    `xml:"severity" json:"severity"`
	Time          timestamp `xml:"time" json:"time"`
	Host          *namedDTO `xml:"host" json:"host,omitempty"`
	User          *namedDTO `xml:"user" json:"user,omitempty"`
}

func (*eventDTO) Element() string { return "event" }

// isolationDTO is the verdict on the isolation of an attachment on this host.
type isolationDTO struct {
	Isolated boolean `xml:"isolated" json:"isolated"`
	// Verdict is isolated, not_isolated or unknown; Reason says why it is unknown
	// and what to do.
	Verdict   string  `xml:"verdict" json:"verdict"`
	Reason    string  `xml:"reason,omitempty" json:"reason,omitempty"`
	Contested boolean `xml:"contested" json:"contested"`
	// Strict is active, pending or unknown; it is absent for a network that is not strict.
	Strict    string        `xml:"strict_state,omitempty" json:"strict_state,omitempty"`
	HostGuard *hostGuardDTO `xml:"host_guard" json:"host_guard,omitempty"`
	Findings  *findingsDTO  `xml:"findings" json:"findings,omitempty"`
}

// hostGuardDTO says how the network and the host's network stack are kept apart.
type hostGuardDTO struct {
	State  string `xml:"state" json:"state"`
	Reason string `xml:"reason,omitempty" json:"reason,omitempty"`
}

type findingsDTO struct {
	Finding []findingDTO `xml:"finding" json:"finding,omitempty"`
}

type findingDTO struct {
	Reason      string  `xml:"reason" json:"reason"`
	Port        string  `xml:"port,omitempty" json:"port,omitempty"`
	Setting     string  `xml:"setting,omitempty" json:"setting,omitempty"`
	Detail      string  `xml:"detail" json:"detail"`
	Action      string  `xml:"action" json:"action"`
	Quarantined boolean `xml:"quarantined" json:"quarantined"`
	Notice      boolean `xml:"notice" json:"notice"`
	Remedy      string  `xml:"remedy" json:"remedy"`
}
