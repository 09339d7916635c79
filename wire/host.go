package wire

// AdoptRequest is the body of POST isonet/adopt.
type AdoptRequest struct {
	// Bridge is the name of a bridge of this host that isonet did not make.
	Bridge string `json:"bridge"`
	// Network is the name or id of the network that it becomes. A network that
	// does not exist is made, with the bridge's name as its vdsm_name and with
	// the MTU of the bridge's ports.
	Network string `json:"network"`
}

// Adoption is the reply of isonet/adopt.
type Adoption struct {
	Bridge  string      `json:"bridge"`
	Network NetworkName `json:"network"`
	// Created says that the network did not exist before.
	Created bool `json:"created"`
	// MTU of the network in bytes.
	MTU int `json:"mtu"`
}

// NetworkName says which network it is.
type NetworkName struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// ReleaseRequest is the body of POST isonet/release.
type ReleaseRequest struct {
	// Network is the name or id of a network of this host.
	Network string `json:"network"`
	// Force lets ports out of their quarantine.
	Force bool `json:"force"`
}

// Released is the reply of isonet/release.
type Released struct {
	Bridge  string      `json:"bridge"`
	Network NetworkName `json:"network"`
	// Unquarantined are the ports that were cut off and got their VLAN settings
	// back.
	Unquarantined []string `json:"unquarantined"`
	// Protected are the ports that still reach only those that are not: their
	// column protected stays true.
	Protected []string `json:"protected"`
}

// PruneRequest is the body of POST isonet/prune.
type PruneRequest struct {
	// Network is the name or id of a network of this host.
	Network string `json:"network"`
}

// Pruned is the reply of isonet/prune.
type Pruned struct {
	Network NetworkName `json:"network"`
	// Ports are those that were removed, because their devices had vanished.
	Ports []string `json:"ports"`
}

// DeviceRelease is the body of POST isonet/guard/release and its reply.
type DeviceRelease struct {
	// Device is the name of a network device of this host that the host guard is on
	// although it is on none of isonet's bridges any more.
	Device string `json:"device"`
}
