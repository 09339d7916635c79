package rest

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Sessions are of those who may come in through one listener of TCP: by the password
// of a user, or by a token that was given out for one. A nil *Sessions is that of the
// unix socket: whoever may connect to it may do everything there.
type Sessions struct {
	users  atomic.Pointer[Users]
	tokens *tokens
	// origins holds off what a browser sends on behalf of another site.
	origins *http.CrossOriginProtection
}

// NewSessions returns the sessions of users. A token lives for the time without being
// used; 0 is DefaultTokenTimeout. Now is the clock by which tokens expire.
func NewSessions(users *Users, timeout time.Duration, now func() time.Time) *Sessions {
	if timeout == 0 {
		timeout = DefaultTokenTimeout
	}
	s := &Sessions{tokens: newTokens(timeout, now), origins: http.NewCrossOriginProtection()}
	s.users.Store(users)
	return s
}

// Reload makes other users and another time be in force. It ends the tokens of users
// who are gone or have another password.
func (s *Sessions) Reload(users *Users, timeout time.Duration) {
	if timeout == 0 {
		timeout = DefaultTokenTimeout
	}
	before := s.users.Swap(users)
	s.tokens.reload(timeout, func(user string) bool { return users.same(before, user) })
}

// Login gives out a token for who has the password, under the name in the users file,
// and tells when it ends if nobody uses it; zero is never. The error for a wrong name
// or password is an ErrUnauthorized.
func (s *Sessions) Login(ctx context.Context, name, password string) (user, token string, end time.Time, err error) {
	if s == nil { // any name and token are as good as none
		return "", newToken(), time.Time{}, nil
	}
	if user, err = s.users.Load().verify(ctx, name, password); err != nil {
		return "", "", time.Time{}, err
	}
	token, end = s.tokens.issue(user)
	return user, token, end, nil
}

// Logout ends a token. One that does not exist has ended already.
func (s *Sessions) Logout(token string) {
	if s != nil {
		s.tokens.revoke(token)
	}
}

// sameSite refuses what comes from another site.
func (s *Sessions) sameSite(r *http.Request) error {
	if s == nil { // no browser reaches the unix socket
		return nil
	}
	if err := s.origins.Check(r); err != nil {
		return Refuse(ErrCrossOrigin, "The request comes from another site: %v.", err)
	}
	return nil
}

// admit refuses who may not use the API through this listener.
func (s *Sessions) admit(c *Call) error {
	if s == nil {
		return nil
	}
	users := s.users.Load()
	user, err := s.authenticate(users, c.r)
	if err != nil {
		return err
	}
	c.users, c.user = users, user
	if users.readers[user] && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return Refuse(ErrForbidden, "User is not authorized to perform this action.")
	}
	return nil
}

// authenticate returns who sent a request, by a token (RFC 6750) or by a
// password (RFC 7617).
func (s *Sessions) authenticate(users *Users, r *http.Request) (user string, err error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		user, valid := s.tokens.use(strings.TrimSpace(text))
		if !valid {
			return "", Refuse(ErrUnauthorized, "The token is unknown or has expired: log in again.")
		}
		return user, nil
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return "", Refuse(ErrUnauthorized, "The request has no credentials: send a user and password by HTTP Basic authentication, or a token.")
	}
	return users.verify(r.Context(), name, password)
}
