// Package report is what the outside sees of the loop that keeps a host: how the
// host, its networks and their bridges stand at one moment. The values are made by
// package reconcile, and nobody changes them afterwards. It has no rows of Open
// vSwitch's database: who reads a report need not know how that is stored.
package report
