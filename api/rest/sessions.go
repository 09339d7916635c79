package rest

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Sessions are of those who may come in through one listener of TCP: by the password
// of a user, or by a token or a cookie that was given out for one. A nil *Sessions is that of the
// unix socket: whoever may connect to it may do everything there.
type Sessions struct {
	users atomic.Pointer[Users]
	// reloaded is closed by the next reload.
	reloaded atomic.Pointer[chan struct{}]
	tokens   *tokens
	// cookies are the sessions that go on by cookie.
	cookies cookies
	brake   *brake
	// origins holds off what a browser sends on behalf of another site.
	origins *http.CrossOriginProtection
}

// NewSessions returns the sessions of users. A token lives for the time without being
// used; 0 is DefaultTokenTimeout. Now is the clock by which tokens expire.
func NewSessions(users *Users, timeout time.Duration, now func() time.Time) *Sessions {
	timeout = cmp.Or(timeout, DefaultTokenTimeout)
	s := &Sessions{tokens: newTokens(timeout, now), cookies: newCookies(timeout, now), brake: newBrake(now), origins: http.NewCrossOriginProtection()}
	s.users.Store(users)
	s.reloaded.Store(new(make(chan struct{})))
	return s
}

// Reload makes other users and another time be in force. It ends the tokens and cookies
// of users who are gone or have another password.
func (s *Sessions) Reload(users *Users, timeout time.Duration) {
	before := s.users.Swap(users)
	close(*s.reloaded.Swap(new(make(chan struct{}))))
	for _, t := range []*tokens{s.tokens, s.cookies.tokens} {
		t.reload(cmp.Or(timeout, DefaultTokenTimeout), func(user string) bool { return users.same(before, user) })
	}
}

// Login gives out a token for who has the password, under the name in the users file,
// and tells when it ends if nobody uses it; zero is never. The error for a wrong name
// or password is an ErrUnauthorized.
func (s *Sessions) Login(c *Call, name, password string) (token string, end time.Time, err error) {
	if s == nil { // any name and token are as good as none
		return newToken(), time.Time{}, nil
	}
	// Also by GET: else a page of another site could have its visitors try passwords.
	if err := s.sameSite(&http.Request{Method: http.MethodPost, Host: c.r.Host, URL: c.r.URL, Header: c.r.Header}); err != nil {
		return "", time.Time{}, err
	}
	users := s.users.Load()
	user, err := s.check(c, users, name, password)
	if err != nil {
		return "", time.Time{}, err
	}
	token, end = s.tokens.issue(user)
	if now := s.users.Load(); !now.same(users, user) {
		// A reload came while the password was checked, and may have ended the tokens
		// of the user before this one was given out.
		s.tokens.revoke(token)
		return "", time.Time{}, Refuse(ErrUnauthorized, "The user name or password is incorrect.")
	}
	c.user = user
	loggedIn(c.r.Context())
	return token, end, nil
}

// check returns the name in the users file of whom a password lets in.
func (s *Sessions) check(c *Call, users *Users, name, password string) (user string, err error) {
	c.claimed = name
	address := addressOf(c.r.RemoteAddr)
	defer func() { c.loginFailed(address, err) }()
	if err := s.braked(c, address); err != nil {
		return "", err
	}
	if user, known := users.remembers(name, password); known {
		return user, nil
	}
	try, err := s.brake.begin(c.r.Context(), address)
	if err != nil {
		return "", err
	}
	defer func() { s.brake.end(try, err) }()
	if err = s.braked(c, address); err != nil { // by those that went before
		return "", err
	}
	return users.verify(c.r.Context(), name, password)
}

// Try lets a stranger in by a secret that check knows. Who guesses is slowed down and
// taken down as with passwords: claimed is what the history has for the name. The error
// of check for a wrong secret is an ErrUnauthorized.
func (s *Sessions) Try(c *Call, claimed string, check func(context.Context) error) (err error) {
	if s == nil { // whoever may connect to the unix socket may do everything
		return check(c.r.Context())
	}
	c.claimed = claimed
	address := addressOf(c.r.RemoteAddr)
	defer func() { c.loginFailed(address, err) }()
	try, err := s.brake.begin(c.r.Context(), address)
	if err != nil {
		return err
	}
	defer func() { s.brake.end(try, err) }()
	if err = s.braked(c, address); err != nil {
		return err
	}
	return check(c.r.Context())
}

// braked refuses an address that has to wait.
func (s *Sessions) braked(c *Call, address netip.Addr) error {
	seconds := math.Ceil(s.brake.wait(address).Seconds())
	if seconds == 0 {
		return nil
	}
	c.w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	return Refuse(ErrTooMany, "There were too many wrong passwords from %s: try again in %.0f s.", c.Client(), seconds)
}

// Logout ends a token, and the session whose cookie the request has. What does not exist
// has ended already.
func (s *Sessions) Logout(c *Call, token string) {
	if s == nil {
		return
	}
	s.tokens.revoke(token)
	s.cookies.end(c)
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
	user, err := s.authenticate(c, users)
	if err != nil {
		return err
	}
	loggedIn(c.r.Context())
	c.users, c.user = users, user
	c.stays = func() (bool, <-chan struct{}) {
		reloaded := *s.reloaded.Load()
		return s.users.Load().same(users, user), reloaded
	}
	if users.readers[user] && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return Refuse(ErrForbidden, "User is not authorized to perform this action.")
	}
	return nil
}

// authenticate returns who sent a request, by a token (RFC 6750), by a password (RFC
// 7617) or else by a cookie.
func (s *Sessions) authenticate(c *Call, users *Users) (user string, err error) {
	scheme, text, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		user, valid := s.tokens.use(strings.TrimSpace(text))
		if !valid {
			return "", Refuse(ErrUnauthorized, "The token is unknown or has expired: log in again.")
		}
		return user, nil
	}
	if scheme == "" && s.cookies.sent(c) {
		return s.cookies.resume(c)
	}
	name, password, ok := c.r.BasicAuth()
	if !ok {
		return "", Refuse(ErrUnauthorized, "The request has no credentials: send a user and password by HTTP Basic authentication, or a token.")
	}
	if user, err = s.check(c, users, name, password); err != nil || !c.prefers("persistent-auth") {
		return user, err
	}
	return user, s.remember(c, users, user)
}

// remember begins a session for who has sent the password, unless the request has the
// cookie of one already. Users are those by whom the password was checked.
func (s *Sessions) remember(c *Call, users *Users, user string) error {
	if c.base == "" || s.cookies.goesOn(c, user) { // beside the API there is nothing to go on with
		return nil
	}
	id := s.cookies.begin(c, user)
	if !s.users.Load().same(users, user) {
		// A reload came while the password was checked, as for Login.
		s.cookies.revoke(id)
		return Refuse(ErrUnauthorized, "The user name or password is incorrect.")
	}
	s.cookies.set(c, id)
	return nil
}
