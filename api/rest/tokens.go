package rest

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"
)

const (
	// DefaultTokenTimeout is how long a token lives without being used.
	DefaultTokenTimeout = 8 * time.Hour
	// MaxTokenLife is how long a token lives however much it is used, so that
	// a stolen one ends.
	MaxTokenLife = 30 * 24 * time.Hour

	tokenBytes = 32
	// maxTokens and maxTokensOfUser bound the memory for tokens. oVirt's Go SDK
	// never revokes one, so that users of scripts do reach their bound. Users
	// have one of their own, so that nobody logs the others out.
	maxTokens       = 16 << 10
	maxTokensOfUser = 1 << 10
)

// tokens are the tokens that one listener gave out. They end with the process.
type tokens struct {
	timeout time.Duration
	now     func() time.Time

	mu sync.Mutex
	// byHash finds a token by its hash: the token itself is not kept, so that
	// nothing in the daemon's memory lets one in.
	byHash map[tokenHash]*list.Element
	// byUser has each user's tokens, the longest unused first.
	byUser map[string]*list.List
}

type tokenHash [sha256.Size]byte

func hashToken(text string) tokenHash { return sha256.Sum256([]byte(text)) }

// token is the value of the lists' elements.
type token struct {
	hash       tokenHash
	user       string
	made, used time.Time
}

func newTokens(timeout time.Duration, now func() time.Time) *tokens {
	return &tokens{timeout: timeout, now: now, byHash: map[tokenHash]*list.Element{}, byUser: map[string]*list.List{}}
}

// issue makes a token for a user and tells when it ends if nobody uses it. At a
// bound the token goes that was not used for the longest time.
func (t *tokens) issue(user string) (text string, end time.Time) {
	text = newToken()
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.sweep(now)
	own := t.byUser[user]
	if own == nil {
		own = list.New()
		t.byUser[user] = own
	}
	switch {
	case own.Len() >= maxTokensOfUser:
		t.remove(own.Front())
	case len(t.byHash) >= maxTokens:
		t.remove(t.oldest())
	}
	made := &token{hash: hashToken(text), user: user, made: now, used: now}
	t.byHash[made.hash] = own.PushBack(made)
	return text, t.end(made)
}

// newToken returns 256 random bits in the alphabet of RFC 6750.
func newToken() string {
	random := make([]byte, tokenBytes)
	rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)
}

// use returns whose token it is, and lets it live on.
func (t *tokens) use(text string) (user string, valid bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	element := t.byHash[hashToken(text)]
	if element == nil {
		return "", false
	}
	now, found := t.now(), element.Value.(*token)
	if !now.Before(t.end(found)) {
		t.remove(element)
		return "", false
	}
	found.used = now
	t.byUser[found.user].MoveToBack(element)
	return found.user, true
}

// revoke ends a token. One that does not exist has ended already.
func (t *tokens) revoke(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if element := t.byHash[hashToken(text)]; element != nil {
		t.remove(element)
	}
}

// reload sets the time that a token lives without being used, and ends those of users
// who do not stay.
func (t *tokens) reload(timeout time.Duration, stays func(user string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timeout = timeout
	for user, own := range t.byUser {
		for first := own.Front(); first != nil && !stays(user); first = own.Front() {
			t.remove(first)
		}
	}
}

func (t *tokens) end(of *token) time.Time {
	idle, last := of.used.Add(t.timeout), of.made.Add(MaxTokenLife)
	if last.Before(idle) {
		return last
	}
	return idle
}

// sweep forgets what nobody used in time. A token in use that reached its
// maximum life is found when it is used next.
func (t *tokens) sweep(now time.Time) {
	for _, own := range t.byUser {
		for first := own.Front(); first != nil && !now.Before(t.end(first.Value.(*token))); first = own.Front() {
			t.remove(first)
		}
	}
}

// oldest returns the token that was not used for the longest time.
func (t *tokens) oldest() *list.Element {
	var oldest *list.Element
	for _, own := range t.byUser {
		first := own.Front()
		if first == nil {
			continue
		}
		if oldest == nil || first.Value.(*token).used.Before(oldest.Value.(*token).used) {
			oldest = first
		}
	}
	return oldest
}

func (t *tokens) remove(element *list.Element) {
	gone := element.Value.(*token)
	t.byUser[gone.user].Remove(element)
	delete(t.byHash, gone.hash)
}
