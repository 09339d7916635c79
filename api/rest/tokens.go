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
	// most and mostOfUser are how many there can be, of all and of each user.
	most, mostOfUser int

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
	// idle is how long it lives without being used, if that is less than is usual; 0 is
	// what is usual.
	idle time.Duration
	// guarded says that it counts only if its text is sent twice.
	guarded bool
}

func newTokens(timeout time.Duration, now func() time.Time) *tokens {
	return &tokens{
		timeout: timeout, now: now, most: maxTokens, mostOfUser: maxTokensOfUser,
		byHash: map[tokenHash]*list.Element{}, byUser: map[string]*list.List{},
	}
}

// issue makes a token for a user and tells when it ends if nobody uses it. At a
// bound the token goes that was not used for the longest time.
func (t *tokens) issue(user string) (text string, end time.Time) {
	return t.issueLike(token{user: user})
}

// issueLike makes a token that has a user and a way to end.
func (t *tokens) issueLike(like token) (text string, end time.Time) {
	text, user := newToken(), like.user
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
	case own.Len() >= t.mostOfUser:
		t.remove(own.Front())
	case len(t.byHash) >= t.most:
		t.remove(t.oldest())
	}
	made := &like
	made.hash, made.made, made.used = hashToken(text), now, now
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
	found, valid := t.find(text, true)
	return found.user, valid
}

// find returns a token as it is, and lets it live on if it is used.
func (t *tokens) find(text string, used bool) (found token, valid bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	element := t.byHash[hashToken(text)]
	if element == nil {
		return token{}, false
	}
	now, at := t.now(), element.Value.(*token)
	if !now.Before(t.end(at)) {
		t.remove(element)
		return token{}, false
	}
	if used {
		at.used = now
		t.byUser[at.user].MoveToBack(element)
	}
	return *at, true
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
	timeout := t.timeout
	if of.idle > 0 {
		timeout = min(timeout, of.idle)
	}
	idle, last := of.used.Add(timeout), of.made.Add(MaxTokenLife)
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
