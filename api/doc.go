// Package api serves the REST API of the oVirt engine as far as isolated
// networks need it: hosts, networks, attachments, labels and statistics, in XML
// and JSON. It turns requests into changes of the desired state, which package
// change makes. Beside oVirt's resources it serves isonet/status and isonet/watch, and beside the API the
// login of oVirt's clients.
package api
