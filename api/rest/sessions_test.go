package rest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/internal/ovstest"
)

func usersOf(t *testing.T, name, password string) *Users {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users, err := parseUsers(append([]byte(name+":"), hash...))
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// Whose password is being checked while a reload takes the user away gets no token that
// outlives it.
func TestNoLoginOutlivesAReload(t *testing.T) {
	before := usersOf(t, "admin", "secret")
	s := NewSessions(before, time.Hour, time.Now)
	for range maxChecks { // so that the login waits
		before.checks <- struct{}{}
	}
	type outcome struct {
		token string
		err   error
	}
	done := make(chan outcome)
	go func() {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		token, _, err := s.Login(NewCall(httptest.NewRecorder(), r), "admin", "secret")
		done <- outcome{token, err}
	}()
	ovstest.Eventually(t, "the login has its turn", func() error {
		s.brake.mu.Lock()
		defer s.brake.mu.Unlock()
		if len(s.brake.tries) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	s.Reload(usersOf(t, "other", "secret"), time.Hour)
	for range maxChecks {
		<-before.checks
	}
	got := <-done
	if !errors.Is(got.err, ErrUnauthorized) {
		t.Errorf("the login of a user who is gone: %q, %v", got.token, got.err)
	}
	if len(s.tokens.byHash) != 0 {
		t.Errorf("%d tokens are left", len(s.tokens.byHash))
	}
}
