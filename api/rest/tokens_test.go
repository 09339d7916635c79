package rest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock is a time that only a test moves.
type clock struct{ time time.Time }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.time }

func (c *clock) pass(d time.Duration) { c.time = c.time.Add(d) }

func checkToken(t *testing.T, held *tokens, text, user string) {
	t.Helper()
	if got, valid := held.use(text); got != user || valid != (user != "") {
		t.Errorf("the token is %q's (%v), want %q's", got, valid, user)
	}
}

func TestTokensAreRandomAndNotKept(t *testing.T) {
	held := newTokens(time.Hour, time.Now)
	first, _ := held.issue("a")
	second, _ := held.issue("a")
	if first == second {
		t.Error("two tokens are the same")
	}
	if raw, err := base64.RawURLEncoding.DecodeString(first); err != nil || len(raw) != 32 {
		t.Errorf("the token %s has %d bytes: %v", first, len(raw), err)
	}
	if _, kept := held.byHash[tokenHash([]byte(first)[:32])]; kept {
		t.Error("the token itself is a key")
	}
	checkToken(t, held, first, "a")
	checkToken(t, held, "", "")
	checkToken(t, held, first[1:], "")
	checkToken(t, held, first+"=", "")
}

func TestTokensHaveAMaximumLife(t *testing.T) {
	c := newClock()
	held := newTokens(MaxTokenLife, c.now)
	text, end := held.issue("a")
	if want := c.time.Add(MaxTokenLife); !end.Equal(want) {
		t.Errorf("the token ends at %v, want %v", end, want)
	}
	c.pass(MaxTokenLife - 1)
	checkToken(t, held, text, "a")
	c.pass(1)
	checkToken(t, held, text, "")
	if len(held.byHash) != 0 {
		t.Error("an expired token is kept")
	}
}

// Whoever logs in too often loses the own longest unused token and nobody
// else's.
func TestTokensOfAUserAreBounded(t *testing.T) {
	c := newClock()
	held := newTokens(time.Hour, c.now)
	other, _ := held.issue("other")
	first, _ := held.issue("a")
	second, _ := held.issue("a")
	for range maxTokensOfUser - 2 {
		held.issue("a")
	}
	checkToken(t, held, first, "a") // so that second is unused for longer
	held.issue("a")
	checkToken(t, held, second, "")
	checkToken(t, held, first, "a")
	checkToken(t, held, other, "other")
	if got := held.byUser["a"].Len(); got != maxTokensOfUser || len(held.byHash) != maxTokensOfUser+1 {
		t.Errorf("%d tokens of the user, %d in all", got, len(held.byHash))
	}
}

func TestTokensAreBounded(t *testing.T) {
	c := newClock()
	held := newTokens(time.Hour, c.now)
	var texts []string
	for i := range maxTokens {
		c.pass(time.Microsecond)
		text, _ := held.issue(fmt.Sprint(i % 20))
		texts = append(texts, text)
	}
	c.pass(time.Microsecond)
	checkToken(t, held, texts[0], "0")
	last, _ := held.issue("new")
	checkToken(t, held, last, "new")
	checkToken(t, held, texts[0], "0")
	checkToken(t, held, texts[1], "")
	checkToken(t, held, texts[2], "2")
	if len(held.byHash) != maxTokens {
		t.Errorf("%d tokens", len(held.byHash))
	}
	c.pass(2 * time.Hour)
	held.issue("new")
	if len(held.byHash) != 1 {
		t.Errorf("%d tokens after all but one expired", len(held.byHash))
	}
}

// TestTokensProperty compares any history below the bounds with a list that is
// searched from end to end.
func TestTokensProperty(t *testing.T) {
	type known struct {
		text, user string
		made, used time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		timeout := time.Duration(rapid.IntRange(1, 40*24).Draw(t, "timeout in hours")) * time.Hour
		held := newTokens(timeout, c.now)
		var model []*known
		pick := func(t *rapid.T) *known {
			if len(model) == 0 {
				t.Skip("no token yet")
			}
			return rapid.SampledFrom(model).Draw(t, "token")
		}
		t.Repeat(map[string]func(*rapid.T){
			"issue": func(t *rapid.T) {
				user := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "user")
				text, end := held.issue(user)
				if want := c.time.Add(min(timeout, MaxTokenLife)); !end.Equal(want) {
					t.Fatalf("the token ends at %v, want %v", end, want)
				}
				model = append(model, &known{text, user, c.time, c.time})
			},
			"use": func(t *rapid.T) {
				k := pick(t)
				want := k.user
				if c.time.Sub(k.used) >= timeout || c.time.Sub(k.made) >= MaxTokenLife {
					want = ""
				}
				if got, valid := held.use(k.text); got != want || valid != (want != "") {
					t.Fatalf("the token is %q's (%v), want %q's", got, valid, want)
				}
				if want != "" {
					k.used = c.time
				}
			},
			"revoke": func(t *rapid.T) {
				k := pick(t)
				held.revoke(k.text)
				if _, valid := held.use(k.text); valid {
					t.Fatal("a revoked token is valid")
				}
				model = slices.DeleteFunc(model, func(other *known) bool { return other == k })
			},
			"pass": func(t *rapid.T) {
				c.pass(time.Duration(rapid.IntRange(1, 24*20).Draw(t, "hours")) * time.Hour)
			},
			"": func(t *rapid.T) {
				total := 0
				for _, own := range held.byUser {
					total += own.Len()
				}
				if total != len(held.byHash) || total > len(model) {
					t.Fatalf("%d tokens in lists, %d by hash, %d given out", total, len(held.byHash), len(model))
				}
			},
		})
	})
}

func TestTokensAtOnce(t *testing.T) {
	held := newTokens(time.Hour, time.Now)
	shared, _ := held.issue("shared")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 200 {
				user := fmt.Sprint(i % 3)
				text, _ := held.issue(user)
				checkToken(t, held, text, user)
				checkToken(t, held, shared, "shared")
				held.revoke(text)
				checkToken(t, held, text, "")
			}
		})
	}
	group.Wait()
	if len(held.byHash) != 1 {
		t.Errorf("%d tokens are left, want the shared one", len(held.byHash))
	}
}

// TestTokensWhenTheWallClockIsSet: the times of a token keep their monotonic reading,
// which nobody sets and which package time compares by.
func TestTokensWhenTheWallClockIsSet(t *testing.T) {
	held := newTokens(time.Hour, time.Now)
	text, end := held.issue("a")
	checkToken(t, held, text, "a")
	used := held.byHash[hashToken(text)].Value.(*token)
	for name, at := range map[string]time.Time{"end": end, "made": used.made, "used": used.used, "end after use": held.end(used)} {
		if !strings.Contains(at.String(), " m=") {
			t.Errorf("%s: %s has no monotonic reading", name, at)
		}
	}
}
