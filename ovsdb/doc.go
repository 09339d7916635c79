// Package ovsdb runs one session with an OVSDB server (RFC 7047): it dials,
// monitors, watches that the server still answers, commits checked
// transactions, and ends as a whole when anything is wrong. There is no
// reconnecting inside a session: the caller starts a new one, and so never
// sees a half-valid copy of the database.
package ovsdb
