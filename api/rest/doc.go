// Package rest is what every resource of the API stands on: requests and replies
// in XML and JSON, routes, who may come in, conditions on versions, and writes. It
// knows no resource.
package rest
