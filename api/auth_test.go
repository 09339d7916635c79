package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/api/rest"
)

func hash(t testing.TB, password string, cost int) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func usersFile(t testing.TB, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // WriteFile obeys the umask
		t.Fatal(err)
	}
	return path
}

func loadUsers(t testing.TB, readers ...string) *rest.Users {
	t.Helper()
	// htpasswd writes its hashes with the prefix $2y$.
	content := "# who may\n\nadmin:" + strings.Replace(hash(t, "s3cr&t", bcrypt.MinCost), "$2a$", "$2y$", 1) +
		"\nbob@lab:" + hash(t, "b:ob", bcrypt.MinCost+1) + "\r\n"
	users, err := rest.LoadUsers(usersFile(t, content, 0o640), readers...)
	if err != nil {
		t.Fatal(err)
	}
	return users
}

func TestLoadUsersRefuses(t *testing.T) {
	good := hash(t, "x", bcrypt.MinCost)
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"empty":          {"\n# nobody\n", 0o600, "it has no user: add one with 'htpasswd -B'"},
		"world-writable": {"a:" + good, 0o602, "may be written by everybody: do 'chmod o-w"},
		"md5":            {"a:" + good + "\nb:$apr1$x$y", 0o600, "line 2: the password of 'b' is not a bcrypt hash"},
		"plain":          {"a:secret", 0o600, "line 1: the password of 'a' is not a bcrypt hash"},
		"no colon":       {"a", 0o600, "line 1 is not USER:HASH"},
		"no name":        {":" + good, 0o600, "line 1 is not USER:HASH"},
		"twice":          {"a:" + good + "\na:" + good, 0o600, "line 2 names the user 'a' again"},
		"cost":           {"a:" + strings.Replace(good, "$04$", "$18$", 1), 0o600, "the bcrypt cost 18 of 'a' is too high"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rest.LoadUsers(usersFile(t, c.content, c.mode))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want …%s…", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), good)) {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := rest.LoadUsers(missing); err == nil || !strings.Contains(err.Error(), "htpasswd -cB "+missing) {
		t.Errorf("error is %v", err)
	}
	if _, err := rest.LoadUsers(t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
	for _, reader := range []string{"nobody", "admin@internal", ""} {
		_, err := rest.LoadUsers(usersFile(t, "admin:"+good, 0o600), "admin", reader)
		if err == nil || !strings.Contains(err.Error(), "the reader '"+reader+"' is not in the users file") {
			t.Errorf("reader %q: error is %v", reader, err)
		}
	}
}

func TestBasicAuthentication(t *testing.T) {
	w := newWorld(t)
	w.handler = w.api.Remote(loadUsers(t))
	for range 2 { // the second time the right ones are remembered
		for i, c := range []struct {
			user, password string
			status         int
		}{
			{"admin", "s3cr&t", 200},
			{"admin@internal", "s3cr&t", 200},
			{"bob@lab", "b:ob", 200},
			{"bob", "b:ob", 401},
			{"admin", "", 401},
			{"admin", "S3cr&t", 401},
			{"admin@internal", "b:ob", 401},
			{"", "s3cr&t", 401},
			{"nobody", "s3cr&t", 401},
			{"@internal", "", 401},
			{"admin", strings.Repeat("x", 100), 401},
		} {
			r := httptest.NewRequest("GET", base+"/hosts", nil)
			r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", i)
			r.SetBasicAuth(c.user, c.password)
			got := httptest.NewRecorder()
			w.handler.ServeHTTP(got, r)
			if got.Code != c.status {
				t.Errorf("%s:%s: status %d, want %d", c.user, c.password, got.Code, c.status)
			}
			if c.status == http.StatusUnauthorized {
				checkUnauthorized(t, got)
			}
		}
	}
	for _, authorization := range []string{"", "Bearer TOKEN-1", "Basic !", "Basic YQ=="} {
		checkUnauthorized(t, w.must(http.StatusUnauthorized, "GET", base+"/nowhere", "", header{"Authorization": authorization}))
	}
}

func checkUnauthorized(t *testing.T, got *httptest.ResponseRecorder) {
	t.Helper()
	if challenge := got.Header().Get("WWW-Authenticate"); challenge != `Basic realm="RESTAPI"` {
		t.Errorf("WWW-Authenticate is %q", challenge)
	}
	readFault(t, got.Body.Bytes())
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.handler = w.api.Remote(loadUsers(t))
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			r := httptest.NewRequest("GET", base, nil)
			want := http.StatusOK
			r.SetBasicAuth("admin", "s3cr&t")
			if i%2 == 0 {
				want = http.StatusUnauthorized
				r.SetBasicAuth("admin", "wrong")
			}
			r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", i)
			got := httptest.NewRecorder()
			w.handler.ServeHTTP(got, r)
			if got.Code != want {
				t.Errorf("status %d, want %d", got.Code, want)
			}
		})
	}
	group.Wait()
}

func TestCheckEndsWithTheClient(t *testing.T) {
	w := newWorld(t)
	w.handler = w.api.Remote(loadUsers(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", base, nil)
	r.SetBasicAuth("admin", "wrong")
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	if got.Code == http.StatusOK {
		t.Error("a wrong password was accepted")
	}
}

func TestCrossOrigin(t *testing.T) {
	w := newWorld(t)
	local := w.handler
	w.handler = w.api.Remote(loadUsers(t))
	before := w.store.Snapshot()
	site := header{"Sec-Fetch-Site": "cross-site", "Authorization": "Basic YWRtaW46czNjciZ0"}
	f := readFault(t, w.must(http.StatusForbidden, "POST", base+"/networks", "<network><name>x</name></network>", site).Body.Bytes())
	if f.Reason != "Forbidden" {
		t.Errorf("fault is %+v", f)
	}
	if w.store.Snapshot() != before {
		t.Error("the desired state changed")
	}
	site["Sec-Fetch-Site"] = "same-origin"
	w.must(http.StatusCreated, "POST", base+"/networks", "<network><name>x</name></network>", site)
	w.handler = local
	w.must(http.StatusOK, "GET", base, "")
}
