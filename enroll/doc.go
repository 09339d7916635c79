// Package enroll is how a machine becomes part of a fleet: it asks for a certificate
// with a join token, keeps it, and renews it.
package enroll
