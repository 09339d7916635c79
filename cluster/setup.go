package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/enroll"
	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

// Found sets up the first machine of a new fleet: the authorities in caDir, whose keys
// are encrypted with the passphrase, this machine's certificate, and its databases. What
// an earlier call that was interrupted has done stays as it is.
func (m Member) Found(ctx context.Context, caDir string, passphrase []byte, fleet wire.Fleet, now time.Time) error {
	if _, err := os.Lstat(m.Layout.database(member)); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, m.Layout.database(member))
	}
	all, err := authorities(caDir, passphrase, now)
	if err != nil {
		return err
	}
	told, err := json.MarshalIndent(fleet, "", "  ")
	if err != nil {
		return err
	}
	if err := statefile.Replace(filepath.Join(caDir, enroll.FleetFile), append(told, '\n')); err != nil {
		return fmt.Errorf("keep what machines that join are told: %w", err)
	}
	if err := m.certify(all, fleet, now); err != nil {
		return err
	}
	return m.Serve(ctx, fleet, func() error { return m.Create(ctx, "") })
}

// authorities makes or opens the authorities of the fleet.
func authorities(dir string, passphrase []byte, now time.Time) (*trust.Authorities, error) {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return trust.Create(dir, passphrase, now)
	}
	return trust.Open(dir, passphrase)
}

// certify gives this machine a certificate by the authorities, which are on it.
func (m Member) certify(all *trust.Authorities, fleet wire.Fleet, now time.Time) error {
	key, err := trust.NewKey()
	if err != nil {
		return err
	}
	text, err := trust.NewRequest(m.Address, key)
	if err != nil {
		return err
	}
	request, err := trust.ParseRequest(text)
	if err != nil {
		return err
	}
	signed, err := all.Servers.Server(request, now, m.Address)
	if err != nil {
		return err
	}
	return enroll.Files(m.Layout.Config, key, signed, all.Servers.PEM(), all.Hosts.PEM(), fleet, all.Servers.PEM())
}

// Serve makes what the servers of this machine need, once it has its certificate: what
// their units read, the database of reports if there is none, and at last that of the
// member, by create.
func (m Member) Serve(ctx context.Context, fleet wire.Fleet, create func() error) error {
	if err := statefile.Replace(m.Layout.Units(), []byte(m.units(fleet))); err != nil {
		return fmt.Errorf("write what the units read: %w", err)
	}
	if err := m.CreateReports(ctx); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	return create()
}

// JoinFleet makes this machine, which has its certificate, a further member.
func (m Member) JoinFleet(ctx context.Context, fleet wire.Fleet) error {
	others := slices.DeleteFunc(slices.Clone(fleet.Members), func(a string) bool { return a == m.Address })
	if len(others) == 0 {
		return errors.New("the fleet has no other member to join: see 'isonet cluster init'")
	}
	return m.Serve(ctx, fleet, func() error { return m.Join(ctx, others...) })
}

// units is the environment of the units.
func (m Member) units(fleet wire.Fleet) string {
	return fmt.Sprintf(`# Written by isonet. The units isonet-member and isonet-relay read it.
ISONET_LISTEN=%s
ISONET_MEMBERS=%s
`, passive(m.Address, m.Ports.Servers()), Endpoints(fleet.Members, m.Ports))
}

// setting is a key of isonetd's configuration.
type setting struct{ key, value string }

// HostConfiguration is the configuration of the isonetd of a host.
func (l Layout) HostConfiguration(fleet wire.Fleet) string {
	p := Ports(fleet.Port)
	return configuration(append([]setting{
		{"store", RelayEndpoints(fleet.Relays, p)},
		{"fleet-status", ReportEndpoints(fleet.Reports, p)},
	}, l.certificates()...))
}

// ServerConfiguration is that of an isonetd on a server of the fleet, which is no host. With caDir it lets
// machines join, and serves the API at an address for that.
func (l Layout) ServerConfiguration(fleet wire.Fleet, listen, caDir, passphraseFile string) string {
	p := Ports(fleet.Port)
	settings := append([]setting{
		{"api-only", "true"},
		{"store", Endpoints(fleet.Members, p)},
		{"fleet-status", ReportEndpoints(fleet.Reports, p)},
	}, l.certificates()...)
	if caDir != "" {
		settings = append(
			settings,
			setting{"listen", listen},
			setting{"users-file", "/etc/isonet/users"},
			setting{"tls-cert", l.Identity()},
			setting{"tls-key", l.Identity()},
			setting{"tls-ca", l.Servers()},
			setting{"ca-dir", caDir},
			setting{"ca-passphrase-file", passphraseFile},
		)
	}
	return configuration(settings)
}

func (l Layout) certificates() []setting {
	return []setting{{"store-ca", l.Servers()}, {"store-cert", l.Identity()}, {"store-key", l.Identity()}, {"fleet-dir", l.Config}}
}

func configuration(settings []setting) string {
	var b strings.Builder
	b.WriteString("# Written by isonet when this machine became part of a fleet.\n")
	for _, s := range settings {
		fmt.Fprintf(&b, "%s: %q\n", s.key, s.value)
	}
	return b.String()
}
