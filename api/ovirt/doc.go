// Package ovirt is the REST API of the oVirt engine as far as isolated networks need
// it: hosts, networks, attachments, labels and statistics, the login of oVirt's
// clients, and refusals in the engine's words.
//
// From the bottom: entities.go has the representations, bare.go renders them, each
// resource has a file, and routes.go joins them to paths.
package ovirt
