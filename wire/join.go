package wire

import "time"

// Fleet is what machines that join are told of the fleet.
type Fleet struct {
	// Members, Relays and Reports are the IP addresses of the machines with a member of
	// the cluster, with a relay, and with the server of the hosts' reports.
	Members []string `json:"members"`
	Relays  []string `json:"relays"`
	Reports []string `json:"reports"`
	// Port is the first of the fleet's four TCP ports.
	Port int `json:"port"`
	// URL is that of the API which lets machines join and renews certificates.
	URL string `json:"url"`
}

// TokenRequest is the body of POST isonet/tokens.
type TokenRequest struct {
	// Kind is host or server.
	Kind string `json:"kind"`
	// Name is the name that the host gets, or the IP address of the server.
	Name string `json:"name"`
	// Lifetime is how long the token can be used, in seconds; 0 is an hour.
	Lifetime int `json:"lifetime"`
	// Replace lets a host join that the fleet has already, if it is not up.
	Replace bool `json:"replace"`
}

// JoinToken is a token by which a machine may join, once.
type JoinToken struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
	// State is unused, used or expired.
	State string `json:"state"`
	// UsedBy is the system-id or the address of who has used it.
	UsedBy string `json:"used_by,omitempty"`
	// Token is the text of the token. Only the reply that makes it has it.
	Token string `json:"token,omitempty"`
}

// JoinTokens is the reply of GET isonet/tokens.
type JoinTokens struct {
	Tokens []JoinToken `json:"tokens"`
}

// JoinRequest is the body of POST isonet/join.
type JoinRequest struct {
	// Secret is that of the token.
	Secret string `json:"secret"`
	// Request is for a certificate, in PEM form (RFC 2986). Its common name is the
	// host's system-id, or the server's address.
	Request string `json:"request"`
}

// RenewRequest is the body of POST isonet/renew.
type RenewRequest struct {
	// Certificate is the one to renew, and Request for the new one, both in PEM form.
	Certificate string `json:"certificate"`
	Request     string `json:"request"`
	// Signature is that of Request by the key of Certificate, in base64.
	Signature []byte `json:"signature"`
}

// Joined is the reply of isonet/join and isonet/renew: certificates in PEM form.
type Joined struct {
	Kind        string `json:"kind"`
	Name        string `json:"name"`
	Certificate string `json:"certificate"`
	// Servers is the certificate of the authority of the fleet's servers, Hosts that of
	// its hosts, which only servers need.
	Servers string `json:"servers"`
	Hosts   string `json:"hosts,omitempty"`
	Fleet   Fleet  `json:"fleet"`
}
