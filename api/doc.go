// Package api is the whole REST API: oVirt's resources of api/ovirt and isonet's own
// of api/native, on the HTTP of api/rest. It joins them, and decides which handlers a
// request gets.
package api
