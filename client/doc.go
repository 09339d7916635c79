// Package client speaks the API of isonetd, the daemon of isolated networks: it
// makes networks, attaches them to a host, and says how they stand. The command
// isonet is written on it alone.
//
//	c, err := client.New(client.Options{}) // the daemon of this host, over its socket
//	...
//	red, err := c.CreateNetwork(ctx, client.NetworkChange{Name: new("red")})
//	...
//	status, err := c.Status(ctx)
//	...
//	err = c.SetupNetworks(ctx, status.Host.ID, client.SetupNetworks{Attach: []string{red.ID}})
//
// A write returns after Open vSwitch has what was asked for. If Open vSwitch
// cannot have it, the daemon takes the write back and refuses it. It waits for
// three quarters of the time that the context leaves, so that its answer comes
// in time, and for an hour without a deadline.
//
// What the daemon tells is in package wire. Networks and hosts are resources of
// oVirt's REST API and have types of their own here.
//
// # Errors
//
// There are four kinds, and each call may return any of them.
//
//   - A *[Fault]: the daemon refuses. Nothing was changed. Its Refusals say which
//     rules refuse and about what. [ErrUnauthorized] is one as well.
//   - [ErrUnreachable]: nothing was sent, because the daemon is not there.
//   - [ErrUnknown]: the request was sent and no whole answer came. Whether it was
//     done is not known: look before it is repeated.
//   - [ErrNotIsonetd]: something else answers there, or a later isonetd than
//     this package knows.
//
// An end of the context is in the second and the third, so that
// errors.Is(err, context.DeadlineExceeded) finds it.
package client
