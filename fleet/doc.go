// Package fleet lets the hosts of a fleet know of each other. Each host reports how it
// stands as one row of an OVSDB database of its own (RFC 7047), beside that of the
// desired state: Isolated_Networks_Status, on a server that may be lost, because the
// hosts make their rows anew.
//
// A Reporter writes the row of its host: only what differs, and a heartbeat. A Reader
// follows the rows of all hosts, and answers of another host as a report of the own host
// does.
package fleet
