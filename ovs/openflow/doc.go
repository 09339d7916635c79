// Package openflow is the part of OpenFlow 1.4 that it takes to watch the flows
// of a bridge and to replace them, over one lasting connection. Open vSwitch has
// that version enabled by default since 2.8, and bundles in no older one.
//
// Framing ([Conn]) knows nothing of what messages mean. What encodes and decodes
// them are pure functions, which check every length: what arrives is another
// program's.
//
// Sections are those of the OpenFlow Switch Specification 1.4.0; what Open
// vSwitch adds is in its include/openflow/nicira-ext.h.
package openflow
