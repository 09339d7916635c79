package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

const (
	// usualLife and longestLife bound how long a token can be used.
	usualLife   = time.Hour
	longestLife = 30 * 24 * time.Hour
	// replacing ends the kind of a token that lets a host join again.
	replacing = "+replace"
)

// ErrToken says that a token lets nobody in. It does not say why to who does not have
// its secret.
var ErrToken = errors.New("the join token is unknown, used or expired")

// ErrCertificate says that a certificate is not one that can be renewed.
var ErrCertificate = errors.New("the certificate cannot be renewed")

// Store keeps the desired state and the tokens. Package store has the real one.
type Store interface {
	change.Store
	Tokens(ctx context.Context) ([]model.JoinToken, error)
	AddToken(ctx context.Context, t model.JoinToken) error
	RevokeToken(ctx context.Context, id model.ID) error
	FindToken(ctx context.Context, digest string) (model.JoinToken, bool, error)
	RedeemToken(ctx context.Context, digest, fingerprint, by string) (bool, error)
}

// Config is what an issuer needs. All of it is required but for Others.
type Config struct {
	Authorities *trust.Authorities
	Store       Store
	// Others tells how hosts are; nil knows of none.
	Others change.Others
	Fleet  wire.Fleet
	// Pin returns the fingerprint of a certificate by which machines trust the URL of
	// the fleet's API.
	Pin func() (string, error)
	Now func() time.Time
}

// Issuer lets machines into a fleet.
type Issuer struct{ Config }

// New returns an issuer.
func New(c Config) *Issuer { return &Issuer{c} }

// NewToken makes a token. The reply has its text, which is kept nowhere.
func (i *Issuer) NewToken(ctx context.Context, r wire.TokenRequest) (wire.JoinToken, error) {
	life := time.Duration(r.Lifetime) * time.Second
	if r.Lifetime == 0 {
		life = usualLife
	}
	if life <= 0 || life > longestLife {
		return wire.JoinToken{}, model.Invalidf("The lifetime of a token is 1 s to %.0f h.", longestLife.Hours())
	}
	kind := r.Kind
	switch trust.Kind(kind) {
	case trust.HostKind:
		if err := model.CheckHostName(r.Name); err != nil {
			return wire.JoinToken{}, err
		}
		if r.Replace {
			kind += replacing
		}
	case trust.ServerKind:
		if ip, err := netip.ParseAddr(r.Name); err != nil || ip.Zone() != "" || r.Replace {
			return wire.JoinToken{}, model.Invalidf("A server joins by its IP address: '%s' is none, such as 192.0.2.2.", r.Name)
		}
	default:
		return wire.JoinToken{}, model.Invalidf("The kind of a token is host or server, and not '%s'.", r.Kind)
	}
	pin, err := i.Pin()
	if err != nil {
		return wire.JoinToken{}, err
	}
	token, err := trust.NewToken(trust.Kind(r.Kind), i.Fleet.URL, pin)
	if err != nil {
		return wire.JoinToken{}, err
	}
	text, err := token.Reveal()
	if err != nil {
		return wire.JoinToken{}, err
	}
	kept := model.JoinToken{Digest: token.Digest(), Kind: kind, Name: r.Name, Expires: i.Now().Add(life).Truncate(time.Second)}
	if err := i.Store.AddToken(ctx, kept); err != nil {
		return wire.JoinToken{}, err
	}
	kept, _, err = i.Store.FindToken(ctx, kept.Digest) // with its id
	if err != nil {
		return wire.JoinToken{}, err
	}
	told := i.told(kept)
	told.Token = text
	return told, nil
}

// Tokens returns all tokens, without their texts.
func (i *Issuer) Tokens(ctx context.Context) (wire.JoinTokens, error) {
	all, err := i.Store.Tokens(ctx)
	list := wire.JoinTokens{Tokens: []wire.JoinToken{}}
	for _, t := range all {
		list.Tokens = append(list.Tokens, i.told(t))
	}
	return list, err
}

func (i *Issuer) told(t model.JoinToken) wire.JoinToken {
	w := wire.JoinToken{ID: string(t.ID), Kind: string(kindOf(t)), Name: t.Name, Expires: t.Expires.UTC(), State: "unused", UsedBy: t.By}
	switch {
	case t.UsedBy != "":
		w.State = "used"
	case !i.Now().Before(t.Expires):
		w.State = "expired"
	}
	return w
}

func kindOf(t model.JoinToken) trust.Kind {
	if t.Kind == string(trust.HostKind)+replacing {
		return trust.HostKind
	}
	return trust.Kind(t.Kind)
}

// Revoke makes a token of no use, and returns it.
func (i *Issuer) Revoke(ctx context.Context, id model.ID) (wire.JoinToken, error) {
	all, err := i.Store.Tokens(ctx)
	if err != nil {
		return wire.JoinToken{}, err
	}
	for _, t := range all {
		if t.ID == id {
			return i.told(t), i.Store.RevokeToken(ctx, id)
		}
	}
	return wire.JoinToken{}, model.Unknown(id)
}

// Join signs a certificate for who has a token. The same key may ask again with the same
// token until it expires, so that nothing is lost with a reply. The error is ErrToken
// for who may not join.
func (i *Issuer) Join(ctx context.Context, r wire.JoinRequest) (wire.Joined, error) {
	token, there, err := i.Store.FindToken(ctx, trust.DigestOf(r.Secret))
	switch {
	case err != nil:
		return wire.Joined{}, err
	case !there || !trust.SameDigest(token.Digest, trust.DigestOf(r.Secret)) || !i.Now().Before(token.Expires):
		return wire.Joined{}, ErrToken
	}
	request, err := trust.ParseRequest([]byte(r.Request))
	if err != nil {
		return wire.Joined{}, model.Invalidf("The request for a certificate: %v.", err)
	}
	again := token.UsedBy == request.Fingerprint
	if token.UsedBy != "" && !again {
		return wire.Joined{}, ErrToken
	}
	if err := i.fits(token, request, again); err != nil {
		return wire.Joined{}, err
	}
	got, err := i.Store.RedeemToken(ctx, token.Digest, request.Fingerprint, request.Name)
	switch {
	case err != nil:
		return wire.Joined{}, err
	case !got: // another one was faster
		return wire.Joined{}, ErrToken
	}
	if kindOf(token) == trust.HostKind {
		if err := i.enter(ctx, token, request.Name); err != nil {
			return wire.Joined{}, err
		}
	}
	return i.sign(kindOf(token), token.Name, request, request.Name)
}

// fits refuses a request that the token is not for, before the token is used.
func (i *Issuer) fits(token model.JoinToken, r *trust.Request, again bool) error {
	if kindOf(token) == trust.ServerKind {
		if r.Name != token.Name {
			return model.Invalidf("The token is for the server %s, and the request for %s.", token.Name, r.Name)
		}
		return nil
	}
	desired := i.Store.Snapshot()
	known, exists := desired.HostOf(r.Name)
	if exists && !again {
		if i.Others != nil {
			if s, told := i.Others.Status(known.ID); told && s.Member != nil && s.Member.Liveness == report.Up {
				return model.Conflictf("The system-id %s is that of the host '%s', which is up: a machine whose disk was copied needs a system-id of its own "+
					"(ovs-vsctl set Open_vSwitch . external_ids:system-id=$(uuidgen)).", r.Name, known.Name)
			}
		}
		if token.Kind != string(trust.HostKind)+replacing {
			return model.Conflictf("The fleet has the host '%s' with the system-id %s already: if this machine is that host, use a token of "+
				"'isonet token host %s --replace'.", known.Name, r.Name, known.Name)
		}
	}
	for _, h := range desired.Hosts {
		if h.Name == token.Name && h.SystemID != r.Name {
			return model.Conflictf("The fleet has another host '%s', with the system-id %s: make a token of another name.", h.Name, h.SystemID)
		}
	}
	return nil
}

// enter gives a host its row, which its certificate may not make.
func (i *Issuer) enter(ctx context.Context, token model.JoinToken, systemID string) error {
	_, err := i.Store.Update(ctx, func(d *model.Desired) error {
		if _, exists := d.HostOf(systemID); exists {
			return nil
		}
		id := model.HostID(systemID)
		d.Hosts[id] = model.Host{ID: id, SystemID: systemID}
		return d.RenameHost(id, token.Name)
	})
	return err
}

// sign signs a certificate for a machine with an address, if it is a server.
func (i *Issuer) sign(kind trust.Kind, name string, r *trust.Request, address string) (wire.Joined, error) {
	joined := wire.Joined{Kind: string(kind), Name: name, Servers: string(i.Authorities.Servers.PEM()), Fleet: i.Fleet}
	var signed []byte
	var err error
	if kind == trust.ServerKind {
		joined.Hosts = string(i.Authorities.Hosts.PEM())
		signed, err = i.Authorities.Servers.Server(r, i.Now(), address)
	} else {
		signed, err = i.Authorities.Hosts.Host(r, i.Now())
	}
	joined.Certificate = string(signed)
	return joined, err
}

// Renew signs a new certificate for who has the key of one that is valid. A host that
// was removed gets none, nor one that is to have no networks any more. The error is
// ErrCertificate for who gets none.
func (i *Issuer) Renew(ctx context.Context, r wire.RenewRequest) (wire.Joined, error) {
	old, err := trust.ParseCertificate([]byte(r.Certificate))
	if err != nil {
		return wire.Joined{}, model.Invalidf("The certificate: %v.", err)
	}
	request, err := trust.ParseRequest([]byte(r.Request))
	if err != nil {
		return wire.Joined{}, model.Invalidf("The request for a certificate: %v.", err)
	}
	if err := trust.CheckRenewal([]byte(r.Request), r.Signature, old); err != nil {
		return wire.Joined{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if request.Name != old.Subject.CommonName {
		return wire.Joined{}, fmt.Errorf("%w: it is of %q, and the request for %q", ErrCertificate, old.Subject.CommonName, request.Name)
	}
	now := i.Now()
	if i.Authorities.Servers.Verify(old, now) == nil {
		return i.sign(trust.ServerKind, request.Name, request, request.Name)
	}
	if err := i.Authorities.Hosts.Verify(old, now); err != nil {
		return wire.Joined{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	var h model.Host
	var exists bool
	if _, err := i.Store.Update(ctx, func(d *model.Desired) error { // which looks at the newest state
		h, exists = d.HostOf(request.Name)
		return nil
	}); err != nil {
		return wire.Joined{}, err
	}
	if !exists || h.Decommissioned {
		return wire.Joined{}, fmt.Errorf("%w: the fleet has no host %s any more", ErrCertificate, request.Name)
	}
	return i.sign(trust.HostKind, h.Name, request, request.Name)
}
