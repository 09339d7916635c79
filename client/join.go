package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/isonet/isonet/wire"
)

// NewToken makes a token by which a machine may join the fleet, once. Its text is a
// secret, and isonetd does not keep it.
func (c *Client) NewToken(ctx context.Context, r wire.TokenRequest) (made wire.JoinToken, err error) {
	return made, c.call(ctx, http.MethodPost, "/isonet/tokens", nil, r, &made)
}

// Tokens returns the join tokens, without their texts.
func (c *Client) Tokens(ctx context.Context) ([]wire.JoinToken, error) {
	var list wire.JoinTokens
	err := c.call(ctx, http.MethodGet, "/isonet/tokens", nil, nil, &list)
	return list.Tokens, err
}

// RevokeToken makes a token of no use. Who has joined with it stays.
func (c *Client) RevokeToken(ctx context.Context, id string) (revoked wire.JoinToken, err error) {
	return revoked, c.call(ctx, http.MethodDelete, "/isonet/tokens/"+url.PathEscape(id), nil, nil, &revoked)
}
