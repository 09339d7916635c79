package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/api"
)

// Who guesses waits longer and longer, by every way in, and from elsewhere the right
// password lets in meanwhile.
func TestWrongPasswordsAreBraked(t *testing.T) {
	now := epoch
	w := newRemote(t, nil, func(c *api.Config) { c.Now = func() time.Time { return now } })
	w.address = "10.0.0.1:1000"
	right, wrong := header{"Authorization": basic("admin", "s3cr&t")}, header{"Authorization": basic("admin", "guess")}
	for range 5 {
		checkUnauthorized(t, w.must(http.StatusUnauthorized, "GET", base, "", wrong))
	}
	for _, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		for _, try := range []header{wrong, right} {
			got := w.must(http.StatusTooManyRequests, "GET", base, "", try)
			if after, err := strconv.Atoi(got.Header().Get("Retry-After")); err != nil || after != want {
				t.Errorf("try again after %d s, want %d: %v", after, want, err)
			}
			if got.Header().Get("Connection") != "close" {
				t.Error("the connection of who guesses stays")
			}
			if f := readFault(t, got.Body.Bytes()); f.Reason != "Too Many Requests" || !strings.Contains(f.Detail, "from 10.0.0.1: try again in") {
				t.Errorf("fault is %+v", f)
			}
		}
		if said := w.sso(http.StatusTooManyRequests, "POST", tokenPath, goodLogin)["error"]; !strings.Contains(said, "too many wrong passwords") {
			t.Errorf("the login says %q", said)
		}
		w.address = "10.0.0.2:1000"
		w.must(http.StatusOK, "GET", base, "", right)
		w.address = "10.0.0.1:2000"
		now = now.Add(time.Duration(want) * time.Second)
		w.must(http.StatusUnauthorized, "GET", base, "", wrong)
	}
	now = now.Add(time.Minute)
	w.must(http.StatusOK, "GET", base, "", right)
	w.address = "[2001:db8:1:2::1]:1"
	for range 5 {
		w.must(http.StatusUnauthorized, "GET", base, "", wrong)
	}
	w.address = "[2001:db8:1:2:ffff::2]:2" // of the same network
	w.must(http.StatusTooManyRequests, "GET", base, "", right)
	w.address = "[2001:db8:1:3::1]:1"
	w.must(http.StatusOK, "GET", base, "", right)
}
