// Package store owns the desired state: the networks, hosts, labels and
// attachments that operators asked for. It keeps them in an OVSDB database of
// isonet's own schema (RFC 7047), on an ovsdb-server that it runs itself or on
// one that several hosts share.
//
// Readers take an immutable snapshot without locks. A writer gives Update a
// function, which changes a copy; what it changed becomes one durable
// transaction. It fails as a whole when somebody else was faster with something that it
// rests on, and then the function runs again on the newest state. Changes of other things
// are made at the same time.
package store
