package daemon

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/isonet/isonet/api/native"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/enroll"
	"github.com/isonet/isonet/issuer"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

const (
	// renewCheck is how often the certificate is looked at: others may renew it too.
	renewCheck = time.Hour
	// renewPause is the first pause after a renewal that failed; it doubles up to
	// renewCheck.
	renewPause = 10 * time.Second
)

// authorities opens the keys of the fleet's authorities, and what machines that join are
// told. Without ca-dir they are nil.
func (o Options) authorities() (*trust.Authorities, wire.Fleet, error) {
	if o.CADir == "" {
		return nil, wire.Fleet{}, nil
	}
	if !filepath.IsAbs(o.CADir) {
		return nil, wire.Fleet{}, fmt.Errorf("%q is not an absolute path", o.CADir)
	}
	if o.CAPassphraseFile == "" || o.Listen == "" || o.TLSCert == "" {
		return nil, wire.Fleet{}, errors.New("it needs ca-passphrase-file, listen and tls-cert")
	}
	passphrase, err := os.ReadFile(o.CAPassphraseFile)
	if err != nil {
		return nil, wire.Fleet{}, fmt.Errorf("read ca-passphrase-file: %w", err)
	}
	all, err := trust.Open(o.CADir, bytes.TrimRight(passphrase, "\r\n"))
	if err != nil {
		return nil, wire.Fleet{}, err
	}
	fleet, err := enroll.Fleet(o.CADir)
	return all, fleet, err
}

// entrance lets machines into the fleet; nil where the keys for it are not.
func (d *Daemon) entrance(cfg Config, log *slog.Logger) native.Issuer {
	if cfg.Authorities == nil {
		return nil
	}
	var others change.Others
	if d.reader != nil {
		others = d.reader
	}
	return issuer.New(issuer.Config{
		Authorities: cfg.Authorities, Store: d.store, Others: others, Fleet: cfg.Fleet, Now: time.Now,
		Pin: func() (string, error) {
			// The last of the chain lives longest: the authority's, if it is there.
			chain := cfg.TLS.current(log).Certificate
			c, err := x509.ParseCertificate(chain[len(chain)-1])
			if err != nil {
				return "", fmt.Errorf("read the certificate of the API: %w", err)
			}
			return trust.Fingerprint(c), nil
		},
	})
}

// renew renews the certificate of this machine in time, until ctx ends. Who uses it
// reads it again by itself.
func (d *Daemon) renew(ctx context.Context) error {
	log, pause := d.log.With("component", "fleet"), renewPause
	for {
		wait, err := d.renewOnce(ctx, log)
		if err != nil {
			log.Error("cannot renew the certificate of this machine and try again: look whether the fleet's API can be reached, or join again before it expires",
				"directory", d.cfg.FleetDir, "error", err, "again_in", pause)
			wait, pause = pause, min(2*pause, renewCheck)
		} else {
			pause = renewPause
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// renewOnce renews the certificate if it is time, and returns when to look again.
func (d *Daemon) renewOnce(ctx context.Context, log *slog.Logger) (time.Duration, error) {
	_, certificate, err := enroll.Identity(d.cfg.FleetDir)
	if err != nil {
		return 0, err
	}
	if left := time.Until(enroll.Due(certificate)); left > 0 {
		return min(left, renewCheck), nil
	}
	until, err := enroll.Renew(ctx, d.cfg.FleetDir)
	if err != nil {
		return 0, err
	}
	log.Info("renewed the certificate of this machine", "until", until)
	return renewCheck, nil
}
