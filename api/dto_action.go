package api

import "github.com/isonet/isonet/wire"

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

func (*actionDTO) element() string { return "action" }

// complete is the answer to what has been done.
func complete() *actionDTO { return &actionDTO{Status: "complete"} }

type faultDTO struct {
	Detail string `xml:"detail" json:"detail"`
	Reason string `xml:"reason" json:"reason"`
	// Refusals are what the detail says of, for who asks for them.
	Refusals []wire.Refusal `xml:"-" json:"refusals,omitempty"`
}

func (*faultDTO) element() string { return "fault" }
