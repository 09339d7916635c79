package rest

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cookieName is the engine's, also for the header in which it tells the id of a session
// to who wants to be held to it.
const cookieName = "JSESSIONID"

const (
	// sessionTimeout is how long a session lives without being used, as in the engine,
	// unless a client asks for another time by the header Session-TTL.
	sessionTimeout = 30 * time.Minute
	// maxSessions and maxSessionsOfUser bound the memory for sessions: a client that
	// asks for one and does not keep the cookie gets another one with each request.
	maxSessions       = 4 << 10
	maxSessionsOfUser = 256
)

// cookies are the sessions that go on by cookie: tokens that count nowhere else.
type cookies struct{ *tokens }

func newCookies(timeout time.Duration, now func() time.Time) cookies {
	t := newTokens(timeout, now)
	t.most, t.mostOfUser = maxSessions, maxSessionsOfUser
	return cookies{t}
}

// goesOn reports whether the request has the cookie of a user's session, and lets that
// live on.
func (s cookies) goesOn(c *Call, user string) bool {
	for _, cookie := range c.r.CookiesNamed(cookieName) {
		if held, valid := s.find(cookie.Value, false); valid && held.user == user {
			s.use(cookie.Value)
			return true
		}
	}
	return false
}

// begin begins a session of a user, as the client wants it.
func (s cookies) begin(c *Call, user string) (id string) {
	id, _ = s.issueLike(token{user: user, idle: sessionTTL(c.r.Header), guarded: c.prefers("csrf-protection")})
	return id
}

// set makes the client send the id of a session from now on.
func (s cookies) set(c *Call, id string) {
	http.SetCookie(c.w, &http.Cookie{
		Name: cookieName, Value: id, Path: strings.TrimSuffix(c.base, "/v4"),
		HttpOnly: true, Secure: c.r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
}

// end ends the sessions whose cookies the request has.
func (s cookies) end(c *Call) {
	for _, cookie := range c.r.CookiesNamed(cookieName) {
		s.revoke(cookie.Value)
	}
}

// sent reports whether the request has a cookie that may be a session's.
func (s cookies) sent(c *Call) bool { return len(c.r.CookiesNamed(cookieName)) > 0 }

// sessionTTL is how long a session lives without being used: the whole minutes of a
// header. What is no such number is ignored, as in the engine.
func sessionTTL(h http.Header) time.Duration {
	minutes, err := strconv.ParseUint(h.Get("Session-TTL"), 10, 16)
	if err != nil || minutes == 0 {
		return sessionTimeout
	}
	return time.Duration(minutes) * time.Minute
}

// resume returns whose session the cookie of a request is of. Cookies of others, which
// browsers send beside it, are passed over. Two sessions at once are nobody's: one of
// them came from elsewhere.
func (s cookies) resume(c *Call) (user string, err error) {
	id, known := "", token{}
	for _, cookie := range c.r.CookiesNamed(cookieName) {
		found, valid := s.find(cookie.Value, false)
		if !valid || cookie.Value == id {
			continue
		}
		if id != "" {
			return "", Refuse(ErrUnauthorized, "The request has the cookies JSESSIONID of two sessions: send one of them.")
		}
		id, known = cookie.Value, found
	}
	if id == "" {
		return "", Refuse(ErrUnauthorized, "The session of the cookie JSESSIONID is unknown or has expired: log in again, with a user and password by HTTP Basic authentication.")
	}
	if known.guarded && subtle.ConstantTimeCompare([]byte(c.r.Header.Get(cookieName)), []byte(id)) == 0 {
		return "", Refuse(ErrUnauthorized, "The session was begun with csrf-protection: send its id in the header JSESSIONID too, beside the cookie.")
	}
	if user, valid := s.use(id); valid {
		return user, nil
	}
	return "", Refuse(ErrUnauthorized, "The session has just ended: log in again.")
}

// prefers reports whether the client prefers something (RFC 7240).
func (c *Call) prefers(what string) bool {
	for _, list := range c.r.Header.Values("Prefer") {
		if slices.ContainsFunc(strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ';' }), func(word string) bool {
			return strings.EqualFold(strings.TrimSpace(word), what)
		}) {
			return true
		}
	}
	return false
}
