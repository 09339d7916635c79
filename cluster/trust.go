package cluster

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"

	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/trust"
)

// Keep writes what a server of the fleet proves itself with, and what it trusts: its key
// and certificate, and those of the two authorities.
func (l Layout) Keep(key *ecdsa.PrivateKey, certificate, servers, hosts []byte) error {
	identity, err := trust.Identity(key, certificate, servers)
	if err != nil {
		return err
	}
	err = errors.Join(
		statefile.Replace(l.Servers(), servers),
		statefile.Replace(l.Both(), slices.Concat(servers, hosts)),
		statefile.Replace(l.Identity(), identity),
	)
	if err != nil {
		return fmt.Errorf("keep the certificates: %w", err)
	}
	return nil
}
