// Package isolation decides what breaks the isolation of a network's bridge,
// and what its policy does about that. It is pure: no clock, no I/O.
package isolation

//go:generate go run ../../internal/isolationdoc ../../docs/isolation.md
