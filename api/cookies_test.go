package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/api/rest"
)

var (
	adminsBasic = header{"Authorization": "Basic YWRtaW46czNjciZ0"}
	bobsBasic   = header{"Authorization": basic("bob@lab", "b:ob")}
	persistent  = header{"Prefer": "persistent-auth"}
)

const xNetwork = "<network><name>x</name></network>"

// remember logs in for a session, and returns its cookie as browsers send it.
func (w *world) remember(headers ...header) header {
	w.t.Helper()
	got := w.must(http.StatusOK, "HEAD", base, "", append([]header{persistent}, headers...)...)
	cookies := got.Result().Cookies() //nolint:bodyclose // a recorder's has nothing to close
	if len(cookies) != 1 || cookies[0].Name != "JSESSIONID" {
		w.t.Fatalf("the cookies are %v", cookies)
	}
	return header{"Cookie": "JSESSIONID=" + cookies[0].Value}
}

// whoIs returns the id of the user whom the API takes the sender for.
func (w *world) whoIs(headers ...header) string {
	w.t.Helper()
	body := w.must(http.StatusOK, "GET", base, "", headers...).Body.String()
	_, after, _ := strings.Cut(body, "<authenticated_user ")
	_, after, _ = strings.Cut(after, `id="`)
	id, _, _ := strings.Cut(after, `"`)
	return id
}

func TestCookie(t *testing.T) {
	w := newRemote(t, nil)
	for path, want := range map[string]string{
		base: "/ovirt-engine/api", base + "/hosts": "/ovirt-engine/api", base + "/v4/hosts": "/ovirt-engine/api",
		"/api": "/api", "/api/v4/hosts": "/api",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			got := w.must(http.StatusOK, method, path, "", adminsBasic, header{"Prefer": "x, Persistent-Auth;y"})
			cookie := got.Header().Get("Set-Cookie")
			for _, attribute := range []string{"JSESSIONID=", "; Path=" + want + ";", "; HttpOnly", "; SameSite=Strict"} {
				if !strings.Contains(cookie, attribute) || strings.Contains(cookie, "Secure") {
					t.Errorf("%s %s: the cookie is %q", method, path, cookie)
				}
			}
		}
	}
	session := w.remember(adminsBasic)
	for range 3 {
		w.must(http.StatusOK, "GET", base+"/hosts", "", session)
	}
	w.must(http.StatusCreated, "POST", base+"/networks", xNetwork, session, persistent)
	if w.whoIs(session) != w.whoIs(adminsBasic) || w.whoIs(w.remember(bobsBasic)) != w.whoIs(bobsBasic) {
		t.Error("a session is somebody else's")
	}

	// A client that always sends all gets no further cookie.
	got := w.must(http.StatusOK, "GET", base, "", adminsBasic, persistent, session)
	if cookie := got.Header().Get("Set-Cookie"); cookie != "" {
		t.Errorf("another cookie: %q", cookie)
	}
	for name, headers := range map[string][]header{
		"without the preference": {adminsBasic}, "with another one": {adminsBasic, {"Prefer": "respond-async"}}, "with a token": {persistent, w.login(goodLogin)},
	} {
		if cookie := w.must(http.StatusOK, "GET", base, "", headers...).Header().Get("Set-Cookie"); cookie != "" {
			t.Errorf("%s: a cookie: %q", name, cookie)
		}
	}
	got = w.must(http.StatusUnauthorized, "GET", base, "", persistent, header{"Authorization": basic("admin", "wrong")})
	if cookie := got.Header().Get("Set-Cookie"); cookie != "" {
		t.Errorf("a wrong password gets the cookie %q", cookie)
	}

	w.sso(http.StatusOK, "POST", logoutPath, "", session)
	checkUnauthorized(t, w.must(http.StatusUnauthorized, "GET", base, "", session))
}

func TestCookieOverTLS(t *testing.T) {
	w := newRemote(t, nil)
	server := httptest.NewTLSServer(w.handler)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+base, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Prefer", "persistent-auth")
	r.SetBasicAuth("admin", "s3cr&t")
	got, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close() //nolint:errcheck // only the header counts
	if cookies := got.Cookies(); len(cookies) != 1 || !cookies[0].Secure {
		t.Errorf("the cookies are %v", cookies)
	}
}

// On the socket nobody has to log in, and nobody gets a cookie.
func TestCookieOnTheSocket(t *testing.T) {
	w := newWorld(t)
	got := w.must(http.StatusOK, "GET", base, "", adminsBasic, persistent, header{"Cookie": "JSESSIONID=x"})
	if cookie := got.Header().Get("Set-Cookie"); cookie != "" {
		t.Errorf("the cookie is %q", cookie)
	}
}

func TestSessionExpires(t *testing.T) {
	now := epoch
	w := newRemote(t, nil, func(c *api.Config) {
		c.Now = func() time.Time { return now }
		c.TokenTimeout = 2 * time.Hour
	})
	for ttl, idle := range map[string]time.Duration{
		"": 30 * time.Minute, "5": 5 * time.Minute, "60": time.Hour, "600": 2 * time.Hour,
		"0": 30 * time.Minute, "-1": 30 * time.Minute, "x": 30 * time.Minute, "99999999999": 30 * time.Minute,
	} {
		session := w.remember(adminsBasic, header{"Session-TTL": ttl})
		for range 2 {
			now = now.Add(idle - time.Nanosecond)
			w.must(http.StatusOK, "GET", base, "", session)
		}
		now = now.Add(idle)
		f := readFault(t, w.must(http.StatusUnauthorized, "GET", base, "", session).Body.Bytes())
		if !strings.Contains(f.Detail, "log in again") {
			t.Errorf("Session-TTL %q: the fault is %+v", ttl, f)
		}
	}
	session := w.remember(adminsBasic)
	for end := now.Add(rest.MaxTokenLife); now.Add(20 * time.Minute).Before(end); now = now.Add(20 * time.Minute) {
		w.must(http.StatusOK, "GET", base+"/tags", "", session)
	}
	now = now.Add(20 * time.Minute)
	w.must(http.StatusUnauthorized, "GET", base, "", session)
}

// Authorization says who somebody is, whatever cookies there are.
func TestCookiesOfOthers(t *testing.T) {
	w := newRemote(t, nil)
	admin, bob := w.remember(adminsBasic), w.remember(bobsBasic)
	token := w.login(goodLogin)
	if w.whoIs(bobsBasic, admin) != w.whoIs(bobsBasic) || w.whoIs(token, bob) != w.whoIs(adminsBasic) {
		t.Error("the cookie counts beside credentials")
	}
	got := w.must(http.StatusOK, "GET", base, "", bobsBasic, admin, persistent)
	if got.Header().Get("Set-Cookie") == "" {
		t.Error("no cookie for whom the password is of")
	}
	for name, wrong := range map[string]header{
		"a wrong password": {"Authorization": basic("admin", "wrong")}, "a wrong token": {"Authorization": "Bearer x"},
		"something else": {"Authorization": "Negotiate x"}, "nothing readable": {"Authorization": "Basic"},
	} {
		if code := w.do("GET", base, "", wrong, admin).Code; code != http.StatusUnauthorized {
			t.Errorf("%s beside a cookie: status %d", name, code)
		}
	}

	value := strings.TrimPrefix(admin["Cookie"], "JSESSIONID=")
	for name, c := range map[string]struct {
		cookie string
		status int
	}{
		"beside one of another program":  {"JSESSIONID=A1B2.node0; " + admin["Cookie"], 200},
		"before one of another program":  {admin["Cookie"] + "; JSESSIONID=A1B2.node0; x=y", 200},
		"twice":                          {admin["Cookie"] + "; " + admin["Cookie"], 200},
		"in quotes":                      {`JSESSIONID="` + value + `"`, 200},
		"two sessions":                   {admin["Cookie"] + "; " + bob["Cookie"], 401},
		"forged":                         {"JSESSIONID=" + strings.Repeat("A", 43), 401},
		"cut":                            {admin["Cookie"][:30], 401},
		"with more":                      {admin["Cookie"] + "A", 401},
		"empty":                          {"JSESSIONID=", 401},
		"by another name":                {"jsessionid=" + value, 401},
		"a token":                        {"JSESSIONID=" + strings.TrimPrefix(token["Authorization"], "Bearer "), 401},
		"with what a header cannot have": {"JSESSIONID=\x00\r\n" + value, 401},
		"many":                           {strings.Repeat("JSESSIONID=x; ", 500) + admin["Cookie"], 200},
	} {
		if code := w.do("GET", base+"/tags", "", header{"Cookie": c.cookie}).Code; code != c.status {
			t.Errorf("%s: status %d, want %d", name, code, c.status)
		}
	}
	w.must(http.StatusUnauthorized, "GET", base, "", header{"Authorization": "Bearer " + value})
}

// A page of another site cannot use a session: neither by what a browser says of where
// a request is from, nor without the id in a header, if that was asked for.
func TestForgedRequests(t *testing.T) {
	w := newRemote(t, nil)
	session := w.remember(adminsBasic)
	before := w.store.Snapshot()
	for _, from := range []header{
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "https://evil.example"},
		{"Origin": "null"},
		{"Origin": "http://example.com:8080"},
	} {
		for _, c := range []struct{ method, path, body string }{
			{"POST", base + "/networks", xNetwork},
			{"PUT", base + "/networks/" + string(iso1), xNetwork},
			{"DELETE", base + "/networks/" + string(iso2), ""},
			{"POST", base + "/isonet/prune", "{}"},
		} {
			f := readFault(t, w.must(http.StatusForbidden, c.method, c.path, c.body, session, from).Body.Bytes())
			if f.Reason != "Forbidden" {
				t.Errorf("%v: the fault is %+v", from, f)
			}
		}
	}
	if w.store.Snapshot() != before {
		t.Error("the desired state changed")
	}
	w.must(http.StatusOK, "GET", base, "", session, header{"Sec-Fetch-Site": "same-origin"})

	guarded := w.remember(adminsBasic, header{"Prefer": "persistent-auth, csrf-protection"})
	id := strings.TrimPrefix(guarded["Cookie"], "JSESSIONID=")
	for name, c := range map[string]struct {
		header header
		status int
	}{
		"without it": {nil, 401}, "another one": {header{"JSESSIONID": id[1:]}, 401}, "with it": {header{"JSESSIONID": id}, 200},
	} {
		if code := w.do("GET", base, "", guarded, c.header).Code; code != c.status {
			t.Errorf("%s: status %d, want %d", name, code, c.status)
		}
	}
}

func TestReadersHaveSessions(t *testing.T) {
	w := newRemote(t, []string{"bob@lab"})
	session := w.remember(bobsBasic)
	w.must(http.StatusOK, "GET", base, "", session)
	w.must(http.StatusForbidden, "POST", base+"/networks", xNetwork, session)
}

// A reload ends the sessions of who is gone or has another password, and no other.
func TestReloadEndsSessions(t *testing.T) {
	w := newRemote(t, nil)
	admin, bob := w.remember(adminsBasic), w.remember(bobsBasic)
	w.api.Reload(api.Settings{}, loadUsers(t))
	// loadUsers makes other hashes, so that nobody has the same password.
	w.must(http.StatusUnauthorized, "GET", base, "", admin)
	w.must(http.StatusUnauthorized, "GET", base, "", bob)

	kept, changed := hash(t, "s3cr&t", 4), hash(t, "b:ob", 4)
	load := func(lines ...string) *rest.Users {
		users, err := rest.LoadUsers(usersFile(t, strings.Join(lines, "\n"), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		return users
	}
	w.api.Reload(api.Settings{}, load("admin:"+kept, "bob@lab:"+changed))
	admin, bob = w.remember(adminsBasic), w.remember(bobsBasic)
	w.api.Reload(api.Settings{}, load("admin:"+kept, "bob@lab:"+hash(t, "b:ob", 4)))
	w.must(http.StatusOK, "GET", base, "", admin)
	w.must(http.StatusUnauthorized, "GET", base, "", bob)
	w.api.Reload(api.Settings{}, load("bob@lab:"+changed))
	w.must(http.StatusUnauthorized, "GET", base, "", admin)
}

// Who asks for sessions without end ends his own only.
func TestSessionsAreBounded(t *testing.T) {
	w := newRemote(t, nil)
	bob, first := w.remember(bobsBasic), w.remember(adminsBasic)
	for range 256 {
		w.remember(adminsBasic)
	}
	w.must(http.StatusUnauthorized, "GET", base, "", first)
	w.must(http.StatusOK, "GET", base, "", bob)
}

// The brake holds whoever sends cookies.
func TestCookiesAndTheBrake(t *testing.T) {
	w := newRemote(t, nil)
	w.address = "192.0.2.7:1"
	session := w.remember(adminsBasic)
	for range 5 {
		w.must(http.StatusUnauthorized, "GET", base, "", session, header{"Authorization": basic("admin", "wrong")})
	}
	w.must(http.StatusTooManyRequests, "GET", base, "", session, persistent, header{"Authorization": basic("admin", "wrong")})
	w.must(http.StatusOK, "GET", base, "", session)
}

// FuzzCookie checks that no cookie gets in but the one that was given out.
func FuzzCookie(f *testing.F) {
	for _, seed := range []string{
		"", "JSESSIONID", "JSESSIONID=", "JSESSIONID=$", "JSESSIONID=$; JSESSIONID=$", `JSESSIONID="$"`, "a=b; JSESSIONID=$", "JSESSIONID=$$",
		"JSESSIONID=$;JSESSIONID=x", ",JSESSIONID=$", "JSESSIONID = $", "jsessionid=$", "JSESSIONID=\x00$", "=JSESSIONID=$",
	} {
		f.Add(seed)
	}
	users := loadUsers(f)
	f.Fuzz(func(t *testing.T, cookie string) {
		w := newWorld(t)
		w.handler = w.api.Remote(users)
		id := strings.TrimPrefix(w.remember(adminsBasic)["Cookie"], "JSESSIONID=")
		cookie = strings.ReplaceAll(cookie, "$", id)
		r := &http.Request{Header: http.Header{"Cookie": {cookie}}}
		sent := slices.ContainsFunc(r.CookiesNamed("JSESSIONID"), func(c *http.Cookie) bool { return c.Value == id })
		got := w.do("GET", base+"/tags", "", header{"Cookie": cookie})
		if sent != (got.Code == http.StatusOK) {
			t.Errorf("%q: status %d", cookie, got.Code)
		}
		if !sent {
			checkUnauthorized(t, got)
		}
	})
}
