// Package prove shows with packets that a network is isolated. It plugs
// throw-away probes into the network and into the others of the host, sends
// frames of every kind, and looks at the probes and at the host for those that
// arrive where they must not.
//
// Absence is shown relative to a marker: after the frames follows one that has
// an allowed way and is behind them on it. What has not arrived when the marker
// has is not on its way any more.
package prove
