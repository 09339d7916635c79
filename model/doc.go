// Package model holds what operators ask for: networks, hosts, labels and
// attachments, and the rules that make them valid. It knows nothing of OVS,
// HTTP or disks: it is values and pure functions.
package model
