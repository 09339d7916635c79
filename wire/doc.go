// Package wire has the JSON of isonet's own resources: what isonetd writes and
// package client reads, once for both.
package wire
