package api

type rootDTO struct {
	Link        []linkDTO      `xml:"link" json:"link"`
	ProductInfo productInfoDTO `xml:"product_info" json:"product_info"`
	Summary     summaryDTO     `xml:"summary" json:"summary"`
	Time        timestamp      `xml:"time" json:"time"`
	// Both are absent on the unix socket, which has no users.
	AuthenticatedUser *entity `xml:"authenticated_user" json:"authenticated_user,omitempty"`
	EffectiveUser     *entity `xml:"effective_user" json:"effective_user,omitempty"`
}

func (*rootDTO) element() string { return "api" }

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
