package native

import (
	"context"
	"errors"
	"net/http"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/issuer"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// Issuer lets machines into a fleet. Package issuer has the real one.
type Issuer interface {
	NewToken(ctx context.Context, r wire.TokenRequest) (wire.JoinToken, error)
	Tokens(ctx context.Context) (wire.JoinTokens, error)
	Revoke(ctx context.Context, id model.ID) (wire.JoinToken, error)
	Join(ctx context.Context, r wire.JoinRequest) (wire.Joined, error)
	Renew(ctx context.Context, r wire.RenewRequest) (wire.Joined, error)
}

// tokens are the join tokens; the issuer is nil where there are none.
type tokens struct{ issuer Issuer }

// there refuses what needs an issuer where there is none.
func (t tokens) there() error {
	if t.issuer == nil {
		return rest.Refuse(rest.ErrNoResource, "This isonetd lets no machines join: ask the one that has the keys of the fleet's authorities (its option ca-dir).")
	}
	return nil
}

func (t tokens) list(c *rest.Call) error {
	if err := t.there(); err != nil {
		return err
	}
	all, err := t.issuer.Tokens(c.Context())
	if err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, all)
}

func (t tokens) make(c *rest.Call) error {
	var request wire.TokenRequest
	if err := c.ReadJSON(&request); err != nil {
		return err
	}
	if err := t.there(); err != nil {
		return err
	}
	c.AllowReply(change.Timeout)
	made, err := t.issuer.NewToken(c.Context(), request)
	if err != nil {
		return err
	}
	c.Did(history.Change{Kind: history.KindToken, Name: made.Name, Did: history.Added, Members: []wire.HistoryMember{
		{Name: "kind", After: made.Kind}, {Name: "expires", After: made.Expires.Format("2006-01-02T15:04:05Z")},
	}})
	return c.SendJSON(http.StatusCreated, made)
}

func (t tokens) revoke(c *rest.Call) error {
	if err := t.there(); err != nil {
		return err
	}
	id, err := c.ID("token")
	if err != nil {
		return err
	}
	c.AllowReply(change.Timeout)
	revoked, err := t.issuer.Revoke(c.Context(), id)
	if err != nil {
		return err
	}
	c.Did(history.Change{Kind: history.KindToken, Name: revoked.Name, Did: history.Removed})
	return c.SendJSON(http.StatusOK, revoked)
}

// The paths at which machines ask that have no user of the API.
const (
	joinPath  = "/isonet/join"
	renewPath = "/isonet/renew"
)

// joining is where machines join, and renew their certificates.
type joining struct {
	tokens
	sessions *rest.Sessions
}

// OpenRoutes returns what needs no login, beside the API.
func OpenRoutes(sessions *rest.Sessions, issuer Issuer) []rest.Route {
	j := joining{tokens{issuer}, sessions}
	return []rest.Route{
		{Pattern: "POST " + joinPath, Handle: j.join},
		{Pattern: "POST " + renewPath, Handle: j.renew},
	}
}

// IsOpen reports whether a path is one of those that need no login.
func IsOpen(path string) bool { return path == joinPath || path == renewPath }

// join lets a machine in that has a token.
func (j joining) join(c *rest.Call) error {
	var request wire.JoinRequest
	if err := c.ReadJSON(&request); err != nil {
		return err
	}
	if err := j.there(); err != nil {
		return err
	}
	c.AllowReply(change.Timeout)
	var joined wire.Joined
	err := j.sessions.Try(c, "join token", func(ctx context.Context) (err error) {
		if joined, err = j.issuer.Join(ctx, request); errors.Is(err, issuer.ErrToken) {
			return rest.Refuse(rest.ErrUnauthorized, "The join token is unknown, used or expired: ask for another one ('isonet token host').")
		}
		return err
	})
	if err != nil {
		return err
	}
	c.Did(history.Change{Kind: history.KindMachine, Name: joined.Name, Did: history.Added, Members: []wire.HistoryMember{{Name: "kind", After: joined.Kind}}})
	return c.SendJSON(http.StatusOK, joined)
}

// renew gives a machine a new certificate for its old one.
func (j joining) renew(c *rest.Call) error {
	var request wire.RenewRequest
	if err := c.ReadJSON(&request); err != nil {
		return err
	}
	if err := j.there(); err != nil {
		return err
	}
	var joined wire.Joined
	err := j.sessions.Try(c, "certificate", func(ctx context.Context) (err error) {
		if joined, err = j.issuer.Renew(ctx, request); errors.Is(err, issuer.ErrCertificate) {
			return rest.Refuse(rest.ErrUnauthorized, "The certificate cannot be renewed, because it has expired or its host was removed: join again with a token ('isonet token host').")
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, joined)
}
