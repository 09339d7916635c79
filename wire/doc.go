// Package wire has the JSON of isonet's own resources: what isonetd writes and
// the command isonet reads, once for both.
package wire
