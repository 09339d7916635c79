package enroll

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

// The files of a machine's directory.
const (
	// IdentityFile has the machine's key, its certificate and that of the authority of
	// servers: one file, so that a renewal replaces all at once.
	IdentityFile = "identity.pem"
	// ServersFile has the authority of the servers, BothFile that of the hosts too.
	ServersFile = "servers.crt"
	BothFile    = "both.crt"
	// FleetFile is what the machine was told of the fleet.
	FleetFile = "fleet.json"
	// apiFile has the certificate by which the fleet's API is trusted.
	apiFile = "api.crt"
	// pendingFile is the key of a join that has not ended.
	pendingFile = "pending.key"
)

// maxFile bounds in bytes what is read of a file.
const maxFile = 64 << 10

// ErrJoined says that a machine is part of a fleet already.
var ErrJoined = errors.New("this machine is part of a fleet already")

// Join makes a machine part of a fleet, by a name that its certificate gets: the
// system-id of a host, the address of a server. What it gets is in the directory
// afterwards. A join that was interrupted goes on where it was when it is called again
// with the same token.
func Join(ctx context.Context, dir string, token trust.Token, name string) (wire.Joined, error) {
	if _, err := os.Lstat(filepath.Join(dir, IdentityFile)); !errors.Is(err, os.ErrNotExist) {
		return wire.Joined{}, fmt.Errorf("%w: %s; move the directory away to join another one", ErrJoined, dir)
	}
	key, err := pendingKey(filepath.Join(dir, pendingFile))
	if err != nil {
		return wire.Joined{}, err
	}
	request, err := trust.NewRequest(name, key)
	if err != nil {
		return wire.Joined{}, err
	}
	joined, api, err := joinAt(ctx, token, request)
	if err != nil {
		return wire.Joined{}, err
	}
	if err := check(joined, key, name); err != nil {
		return wire.Joined{}, err
	}
	if err := keep(dir, key, joined, api); err != nil {
		return wire.Joined{}, err
	}
	return joined, os.Remove(filepath.Join(dir, pendingFile))
}

// pendingKey returns the key of a join that did not end, or a new one, which it keeps.
func pendingKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := read(path)
	if err == nil {
		return trust.ParseKey(text)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the key of the join before: %w", err)
	}
	key, err := trust.NewKey()
	if err != nil {
		return nil, err
	}
	if text, err = trust.MarshalKey(key); err != nil {
		return nil, err
	}
	return key, statefile.Replace(path, text)
}

// check refuses an answer that is of no use.
func check(joined wire.Joined, key *ecdsa.PrivateKey, name string) error {
	c, err := trust.ParseCertificate([]byte(joined.Certificate))
	if err != nil {
		return fmt.Errorf("the fleet's API sent a certificate that cannot be read: %w", err)
	}
	if !key.PublicKey.Equal(c.PublicKey) || c.Subject.CommonName != name {
		return errors.New("the fleet's API sent the certificate of somebody else")
	}
	if _, err := trust.ParseCertificate([]byte(joined.Servers)); err != nil {
		return fmt.Errorf("the fleet's API sent an authority that cannot be read: %w", err)
	}
	return nil
}

// Files writes what a machine proves itself with and whom it trusts, the identity last:
// with it the machine has joined. A host has no certificate of the hosts' authority.
func Files(dir string, key *ecdsa.PrivateKey, certificate, servers, hosts []byte, fleet wire.Fleet, api []byte) error {
	identity, err := trust.Identity(key, certificate, servers)
	if err != nil {
		return err
	}
	told, err := json.MarshalIndent(fleet, "", "  ")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text []byte
	}{
		{ServersFile, servers},
		{BothFile, append(bytes.Clone(servers), hosts...)},
		{apiFile, api},
		{FleetFile, append(told, '\n')},
		{IdentityFile, identity},
	} {
		if err := statefile.Replace(filepath.Join(dir, f.name), f.text); err != nil {
			return fmt.Errorf("keep what the fleet needs of this machine: %w", err)
		}
	}
	return nil
}

func keep(dir string, key *ecdsa.PrivateKey, joined wire.Joined, api []byte) error {
	return Files(dir, key, []byte(joined.Certificate), []byte(joined.Servers), []byte(joined.Hosts), joined.Fleet, api)
}

// Fleet returns what the machine of a directory was told of its fleet.
func Fleet(dir string) (wire.Fleet, error) {
	var f wire.Fleet
	text, err := read(filepath.Join(dir, FleetFile))
	if err != nil {
		return f, fmt.Errorf("read what is known of the fleet: %w", err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("read what is known of the fleet: %s: %w", filepath.Join(dir, FleetFile), err)
	}
	return f, nil
}

// Identity returns the key and the certificate of the machine of a directory.
func Identity(dir string) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	text, err := read(filepath.Join(dir, IdentityFile))
	if err != nil {
		return nil, nil, fmt.Errorf("read this machine's certificate: %w", err)
	}
	b, rest := pem.Decode(text)
	c, _ := pem.Decode(rest)
	if b == nil || c == nil {
		return nil, nil, fmt.Errorf("%s has no key and certificate", filepath.Join(dir, IdentityFile))
	}
	key, err := trust.ParseKey(pem.EncodeToMemory(b))
	if err != nil {
		return nil, nil, err
	}
	certificate, err := trust.ParseCertificate(pem.EncodeToMemory(c))
	return key, certificate, err
}

// Due returns when to renew a certificate: when a third of its life is left.
func Due(c *x509.Certificate) time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3)
}

// Renew replaces the certificate of the machine of a directory by one for a new key, and
// returns until when that is valid.
func Renew(ctx context.Context, dir string) (time.Time, error) {
	old, certificate, err := Identity(dir)
	if err != nil {
		return time.Time{}, err
	}
	fleet, err := Fleet(dir)
	if err != nil {
		return time.Time{}, err
	}
	api, err := read(filepath.Join(dir, apiFile))
	if err != nil {
		return time.Time{}, fmt.Errorf("read whom to trust: %w", err)
	}
	key, err := trust.NewKey()
	if err != nil {
		return time.Time{}, err
	}
	name := certificate.Subject.CommonName
	request, err := trust.NewRequest(name, key)
	if err != nil {
		return time.Time{}, err
	}
	signature, err := trust.SignRenewal(request, old)
	if err != nil {
		return time.Time{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(api)
	var joined wire.Joined
	err = post(ctx, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, strings.TrimSuffix(fleet.URL, "/")+"/isonet/renew", wire.RenewRequest{
		Certificate: string(encode(certificate)), Request: string(request), Signature: signature,
	}, &joined)
	if err != nil {
		return time.Time{}, err
	}
	if err := check(joined, key, name); err != nil {
		return time.Time{}, err
	}
	fresh, err := trust.ParseCertificate([]byte(joined.Certificate))
	if err != nil {
		return time.Time{}, err
	}
	return fresh.NotAfter, keep(dir, key, joined, api)
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is no regular file of at most %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}
