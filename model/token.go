package model

import "time"

// JoinToken lets a machine join the fleet, once. What the machine proves it with is not
// in it.
type JoinToken struct {
	ID ID
	// Digest is the SHA-256 of the secret, in hexadecimal digits.
	Digest string
	// Kind is what it lets in, see trust.Kind.
	Kind string
	// Name is that of the host, or the address of the server.
	Name    string
	Expires time.Time
	// UsedBy is the fingerprint of the key that joined with it, By the system-id or the
	// address; "" is nobody.
	UsedBy, By string
}
