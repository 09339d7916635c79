// Package native is isonet's own resources beside oVirt's: what isonetd knows of its
// host, what it would change, and what an operator does on the host. They speak JSON,
// in the types of package wire.
package native
