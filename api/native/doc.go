// Package native renders what isonet's own resources tell, in the types of package
// wire. It knows nothing of HTTP.
package native
