// Package trust has the certificates of a fleet: who is who, and who may say so. It
// makes keys, requests, certificates and join tokens, and reads them from strangers.
//
// A fleet has two certificate authorities. One is of its servers: members, relays, the
// status server and API nodes, which may change everything. The other one is of its
// hosts. They are two because an ovsdb-server takes any certificate of the one list that
// it trusts on all its ports: a member trusts the servers' authority only, so that no
// certificate of a host opens a port on which everything may be changed.
package trust
