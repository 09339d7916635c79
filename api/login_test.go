package api_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/api/rest"
)

const (
	tokenPath    = "/ovirt-engine/sso/oauth/token"
	kerberosPath = "/ovirt-engine/sso/oauth/token-http-auth"
	revokePath   = "/ovirt-engine/sso/oauth/revoke"
	logoutPath   = "/ovirt-engine/services/sso-logout"
	pkiPath      = "/ovirt-engine/services/pki-resource"

	goodLogin = "grant_type=password&password=s3cr%26t&scope=ovirt-app-api&username=admin%40internal"
	bobsLogin = "grant_type=password&password=b%3Aob&scope=ovirt-app-api&username=bob%40lab"
)

var formBody = header{"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}

// newRemote is a world behind TCP with the users admin and bob@lab.
func newRemote(t testing.TB, readers []string, changes ...func(*api.Config)) *world {
	t.Helper()
	w := newWorld(t, changes...)
	w.handler = w.api.Remote(loadUsers(t, readers...))
	return w
}

// sso sends a form to the single sign-on and returns the JSON that it answers.
func (w *world) sso(status int, method, path, form string, headers ...header) map[string]string {
	w.t.Helper()
	got := w.must(status, method, path, form, append([]header{formBody}, headers...)...)
	if kind := got.Header().Get("Content-Type"); kind != "application/json" {
		w.t.Errorf("%s %s: Content-Type is %q", method, path, kind)
	}
	if got.Header().Get("Cache-Control") != "no-store" {
		w.t.Errorf("%s %s may be cached", method, path)
	}
	var reply map[string]string
	if err := json.Unmarshal(got.Body.Bytes(), &reply); err != nil {
		w.t.Fatalf("%s %s: %v in %s", method, path, err, got.Body)
	}
	return reply
}

func (w *world) login(form string) header {
	w.t.Helper()
	return header{"Authorization": "Bearer " + w.sso(http.StatusOK, "POST", tokenPath, form)["access_token"]}
}

func TestLogin(t *testing.T) {
	now := epoch
	w := newRemote(t, nil, func(c *api.Config) { c.Now = func() time.Time { return now } })
	for name, form := range map[string]string{
		"as the SDKs":         goodLogin,
		"without a profile":   "grant_type=password&password=s3cr%26t&scope=ovirt-app-api&username=admin",
		"without a scope":     "grant_type=password&password=s3cr%26t&username=admin",
		"with several scopes": "grant_type=password&password=s3cr%26t&username=admin&scope=ovirt-ext%3Dx+ovirt-app-api",
		"of a profile":        bobsLogin,
		"of Keycloak":         "grant_type=password&password=s3cr%26t&username=admin%40ovirt%40internalsso",
	} {
		t.Run(name, func(t *testing.T) {
			for _, accept := range []string{"application/json", "*/*", "text/html", "application/xml", ""} {
				reply := w.sso(http.StatusOK, "POST", tokenPath, form, header{"Accept": accept})
				token := reply["access_token"]
				if len(reply) != 4 || reply["scope"] != "ovirt-app-api" || reply["token_type"] != "bearer" ||
					!regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(token) {
					t.Errorf("reply is %v", reply)
				}
				if want := strconv.FormatInt(now.Add(8*time.Hour).UnixMilli(), 10); reply["exp"] != want {
					t.Errorf("exp is %s, want %s", reply["exp"], want)
				}
				for _, scheme := range []string{"Bearer ", "bearer  "} {
					w.must(http.StatusOK, "GET", base+"/hosts", "", header{"Authorization": scheme + token})
				}
			}
		})
	}
	w.sso(http.StatusOK, "POST", "//ovirt-engine//sso/oauth/token/", goodLogin)
	w.must(http.StatusOK, "GET", base, "", header{"Authorization": "Bearer " + w.sso(http.StatusOK, "GET", tokenPath+"?"+goodLogin, "")["access_token"]})
}

func TestLoginRefuses(t *testing.T) {
	const denied = "Cannot authenticate user 'admin@internal': The user name or password is incorrect.."
	w := newRemote(t, nil)
	for name, c := range map[string]struct {
		method, path, form string
		header             header
		status             int
		code, text         string
	}{
		"a wrong password": {"POST", tokenPath, strings.Replace(goodLogin, "s3cr", "S3cr", 1), nil, 400, "access_denied", denied},
		"an unknown user":  {"POST", tokenPath, strings.Replace(goodLogin, "admin%40internal", "no+body", 1), nil, 400, "access_denied", "Cannot authenticate user 'no body': The user name or password is incorrect.."},
		"another's name":   {"POST", tokenPath, strings.Replace(bobsLogin, "%40lab", "", 1), nil, 400, "access_denied", "'bob'"},
		"odd characters":   {"POST", tokenPath, "grant_type=password&password=x&username=%22%00%ff%3C", nil, 400, "access_denied", "Cannot authenticate user '\"\x00\ufffd<'"},

		"no form":       {"POST", tokenPath, "", nil, 400, "invalid_request", "Missing parameter: 'grant_type'"},
		"no grant":      {"POST", tokenPath, strings.Replace(goodLogin, "grant_type", "x", 1), nil, 400, "invalid_request", "Missing parameter: 'grant_type'"},
		"no user":       {"POST", tokenPath, strings.Replace(goodLogin, "username", "x", 1), nil, 400, "invalid_request", "Missing parameter: 'username'"},
		"no password":   {"POST", tokenPath, strings.Replace(goodLogin, "&password=s3cr%26t", "&password=", 1), nil, 400, "invalid_request", "Missing parameter: 'password'"},
		"another grant": {"POST", tokenPath, strings.Replace(goodLogin, "=password", "=client_credentials", 1), nil, 400, "unsupported_grant_type", "use 'password'"},
		"another scope": {"POST", tokenPath, strings.Replace(goodLogin, "app-api", "app-admin", 1), nil, 400, "invalid_scope", "use 'ovirt-app-api'"},
		"Kerberos":      {"POST", kerberosPath, "grant_type=urn%3Aovirt%3Aparams%3Aoauth%3Agrant-type%3Ahttp&scope=ovirt-app-api", nil, 400, "unsupported_grant_type", "Kerberos is not supported"},
		"in the URL":    {"POST", tokenPath + "?" + goodLogin, "", nil, 400, "invalid_request", "Missing parameter: 'grant_type'"},

		"a malformed form":        {"POST", tokenPath, goodLogin + "%zz", nil, 400, "invalid_request", "The form is malformed"},
		"a malformed logout":      {"POST", logoutPath, "token=%", nil, 400, "invalid_request", "The form is malformed"},
		"a large form":            {"POST", tokenPath, goodLogin + strings.Repeat("x", 16<<10), nil, 413, "invalid_request", "larger than 16384 bytes"},
		"JSON":                    {"POST", tokenPath, "{}", jsonBody, 415, "invalid_request", "use application/x-www-form-urlencoded"},
		"a strange type":          {"POST", tokenPath, goodLogin, header{"Content-Type": "/"}, 415, "invalid_request", "use application/x-www-form-urlencoded"},
		"GET of nothing":          {"GET", tokenPath, "", nil, 400, "invalid_request", "Missing parameter: 'grant_type'"},
		"GET by another site":     {"GET", tokenPath + "?" + goodLogin, "", header{"Sec-Fetch-Site": "cross-site"}, 403, "invalid_request", "from another site"},
		"GET with a wrong one":    {"GET", tokenPath + "?" + strings.Replace(goodLogin, "s3cr", "S3cr", 1), "", nil, 400, "access_denied", denied},
		"GET of Kerberos":         {"GET", kerberosPath, "", nil, 405, "invalid_request", "use one of POST"},
		"GET of the logout":       {"GET", logoutPath, "", nil, 405, "invalid_request", "use one of POST"},
		"PUT of a token":          {"PUT", tokenPath, goodLogin, nil, 405, "invalid_request", "use one of GET, HEAD, POST"},
		"an unknown path":         {"POST", "/ovirt-engine/sso/oauth/token-info", goodLogin, nil, 404, "invalid_request", "There is no resource"},
		"a path with dots":        {"POST", "/ovirt-engine/sso/../api", goodLogin, nil, 404, "invalid_request", "do not use '..'"},
		"a form of another site":  {"POST", tokenPath, goodLogin, header{"Sec-Fetch-Site": "cross-site"}, 403, "invalid_request", "from another site"},
		"an unreadable path":      {"POST", "/ovirt-engine/sso/%2f..%2f", goodLogin, nil, 404, "invalid_request", "There is no resource"},
		"a logout with much text": {"POST", revokePath, strings.Repeat("x", 17<<10), nil, 413, "invalid_request", "larger than 16384 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			reply := w.sso(c.status, c.method, c.path, c.form, c.header)
			if len(reply) != 2 || reply["error_code"] != c.code || !strings.Contains(reply["error"], c.text) {
				t.Errorf("reply is %v, want %s: …%s…", reply, c.code, c.text)
			}
		})
	}
	if got := w.must(http.StatusMethodNotAllowed, "GET", logoutPath, "").Header().Get("Allow"); got != "POST" {
		t.Errorf("Allow is %q", got)
	}
	// Not below the single sign-on, but near it: a fault.
	readFault(t, w.must(http.StatusNotFound, "GET", "/ovirt-engine/services/nothing", "").Body.Bytes())
}

func TestLogout(t *testing.T) {
	w := newRemote(t, nil)
	for _, path := range []string{logoutPath, revokePath} {
		mine, other := w.login(goodLogin), w.login(goodLogin)
		form := url.Values{"scope": {"ovirt-app-api"}, "token": {strings.TrimPrefix(mine["Authorization"], "Bearer ")}}.Encode()
		for range 2 {
			if reply := w.sso(http.StatusOK, "POST", path, form); len(reply) != 0 {
				t.Errorf("reply is %v", reply)
			}
			checkUnauthorized(t, w.must(http.StatusUnauthorized, "GET", base+"/hosts", "", mine))
		}
		for _, nothing := range []string{"scope=&token=", "", "token=nothing", "token=" + strings.Repeat("x", 1000)} {
			w.sso(http.StatusOK, "POST", path, nothing)
		}
		w.must(http.StatusOK, "GET", base+"/hosts", "", other)
	}
	w.must(http.StatusOK, "POST", logoutPath, "", header{"Content-Type": ""})
}

func TestTokenExpires(t *testing.T) {
	now := epoch
	w := newRemote(t, nil, func(c *api.Config) {
		c.Now = func() time.Time { return now }
		c.TokenTimeout = time.Hour
	})
	token := w.login(goodLogin)
	for range 3 { // each use lets it live for an hour more
		now = now.Add(time.Hour - time.Nanosecond)
		w.must(http.StatusOK, "GET", base, "", token)
	}
	now = now.Add(time.Hour)
	for range 2 {
		got := w.must(http.StatusUnauthorized, "GET", base, "", token)
		checkUnauthorized(t, got)
		if f := readFault(t, got.Body.Bytes()); f.Reason != "Unauthorized" || !strings.Contains(f.Detail, "expired") {
			t.Errorf("fault is %+v", f)
		}
	}
	busy := w.login(goodLogin)
	for end := now.Add(rest.MaxTokenLife); now.Add(time.Hour / 2).Before(end); now = now.Add(time.Hour / 2) {
		w.must(http.StatusOK, "GET", base+"/tags", "", busy)
	}
	now = now.Add(time.Hour / 2)
	checkUnauthorized(t, w.must(http.StatusUnauthorized, "GET", base, "", busy))
}

// A token is good for the listener that gave it.
func TestTokenOfAnotherListener(t *testing.T) {
	w := newRemote(t, nil)
	token := w.login(goodLogin)
	w.handler = w.api.Remote(loadUsers(t))
	checkUnauthorized(t, w.must(http.StatusUnauthorized, "GET", base, "", token))
}

// On the socket whoever connects may do everything, so that a client that wants
// to log in there gets a token that is as good as none.
func TestLoginOnTheSocket(t *testing.T) {
	w := newWorld(t)
	reply := w.sso(http.StatusOK, "POST", tokenPath, "grant_type=password&username=any&password=thing&scope=ovirt-app-api")
	if reply["exp"] != "9223372036854775807" {
		t.Errorf("exp is %s", reply["exp"])
	}
	token := header{"Authorization": "Bearer " + reply["access_token"]}
	w.must(http.StatusCreated, "POST", base+"/networks", "<network><name>x</name></network>", token)
	w.sso(http.StatusOK, "POST", logoutPath, "token="+reply["access_token"])
	w.must(http.StatusOK, "GET", base, "", token)
	if code := w.sso(http.StatusBadRequest, "POST", tokenPath, "grant_type=password")["error_code"]; code != "invalid_request" {
		t.Errorf("error code is %s", code)
	}
}

func TestReader(t *testing.T) {
	var log strings.Builder
	w := newRemote(t, []string{"bob@lab"}, func(c *api.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	before := w.store.Snapshot()
	basic := header{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("bob@lab:b:ob"))}
	for name, bob := range map[string]header{"token": w.login(bobsLogin), "password": basic} {
		for _, path := range []string{base, base + "/hosts", base + "/isonet/status", base + "/users"} {
			w.must(http.StatusOK, "GET", path, "", bob)
			w.must(http.StatusOK, "HEAD", path, "", bob)
		}
		for _, c := range []struct{ method, path, body string }{
			{"POST", base + "/networks", "<network><name>x</name></network>"},
			{"PUT", base + "/networks/" + string(iso1), "<network><mtu>1300</mtu></network>"},
			{"DELETE", base + "/networks/" + string(iso2), ""},
			{"POST", setupPath, "<action/>"},
			{"PATCH", base + "/networks/" + string(iso1), ""},
			{"POST", "/api/v4/networks", "<network><name>x</name></network>"},
			{"POST", base + "/nowhere", ""},
		} {
			log.Reset()
			got := w.must(http.StatusForbidden, c.method, c.path, c.body, bob, header{"Correlation-Id": "corr-7"})
			if f := readFault(t, got.Body.Bytes()); f.Reason != "Operation Failed" || f.Detail != "[User is not authorized to perform this action.]" {
				t.Errorf("fault is %+v", f)
			}
			if got.Header().Get("WWW-Authenticate") != "" {
				t.Error("a known user is asked for a password")
			}
			for _, want := range []string{"level=WARN", "user=bob@lab", "method=" + c.method, "path=" + c.path, "correlation_id=corr-7"} {
				if strings.Count(log.String(), want) != 1 {
					t.Errorf("with a %s: the log lacks %s:\n%s", name, want, &log)
				}
			}
		}
	}
	if w.store.Snapshot() != before {
		t.Error("the desired state changed")
	}
	w.must(http.StatusCreated, "POST", base+"/networks", "<network><name>x</name></network>", w.login(goodLogin))
	bob := w.login(bobsLogin)
	w.sso(http.StatusOK, "POST", logoutPath, "token="+strings.TrimPrefix(bob["Authorization"], "Bearer "))
	checkUnauthorized(t, w.must(http.StatusUnauthorized, "GET", base, "", bob))
}

func TestManyLoginsAtOnce(t *testing.T) {
	w := newRemote(t, []string{"bob@lab"})
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			form, status := goodLogin, http.StatusCreated
			if i%2 == 0 {
				form, status = bobsLogin, http.StatusForbidden
			}
			// Only the test's own goroutine may end it.
			expect := func(want int, method, path, body string, headers ...header) *httptest.ResponseRecorder {
				got := w.do(method, path, body, headers...)
				if got.Code != want {
					t.Errorf("%s %s: status %d, want %d:\n%s", method, path, got.Code, want, got.Body)
				}
				return got
			}
			var reply map[string]string
			if err := json.Unmarshal(expect(http.StatusOK, "POST", tokenPath, form, formBody).Body.Bytes(), &reply); err != nil {
				t.Error(err)
			}
			token := header{"Authorization": "Bearer " + reply["access_token"]}
			expect(http.StatusOK, "GET", base+"/networks", "", token)
			expect(status, "POST", base+"/networks", "<network><name>net"+strconv.Itoa(i)+"</name></network>", token)
			expect(http.StatusBadRequest, "POST", tokenPath, "password=wrong&"+form, formBody)
			expect(http.StatusOK, "POST", logoutPath, "token="+reply["access_token"], formBody)
			expect(http.StatusUnauthorized, "GET", base, "", token)
		})
	}
	group.Wait()
}

// Neither passwords nor tokens are in the log, whatever goes wrong with them.
func TestNothingSecretIsLogged(t *testing.T) {
	var log strings.Builder
	w := newRemote(t, []string{"bob@lab"}, func(c *api.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	const wrong = "correcthorse"
	var secrets []string
	for range 2 {
		admin, bob := w.login(goodLogin), w.login(bobsLogin)
		w.must(http.StatusOK, "GET", base, "", admin)
		w.must(http.StatusForbidden, "POST", base+"/networks", "<network/>", bob)
		for _, token := range []header{admin, bob} {
			text := strings.TrimPrefix(token["Authorization"], "Bearer ")
			secrets = append(secrets, text)
			w.must(http.StatusUnauthorized, "GET", base, "", header{"Authorization": "Bearer x" + text})
			w.must(http.StatusUnauthorized, "GET", base, "", header{"Authorization": "Bearer" + text})
			w.must(http.StatusUnauthorized, "GET", base, "", header{"Authorization": text})
			w.sso(http.StatusBadRequest, "POST", logoutPath, "token="+text+"%zz")
			w.sso(http.StatusMethodNotAllowed, "GET", logoutPath+"?token="+text, "")
			w.sso(http.StatusOK, "POST", logoutPath, "token="+text)
			w.must(http.StatusUnauthorized, "GET", base+"?access_token="+text, "")
		}
	}
	for _, password := range []string{"s3cr&t", "b:ob", wrong} {
		for _, user := range []string{"admin", "bob@lab", "nobody"} {
			pair := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
			secrets = append(secrets, pair)
			w.do("GET", base, "", header{"Authorization": "Basic " + pair})
			w.do("POST", base+"/networks", "<", header{"Authorization": "Basic " + pair})
		}
		secrets = append(secrets, password, url.QueryEscape(password))
		escaped := url.QueryEscape(password)
		w.do("POST", tokenPath, "grant_type=password&username=admin&password="+escaped, formBody)
		for _, form := range []string{
			"grant_type=password&username=nobody&password=" + escaped, "grant_type=" + escaped, "scope=" + escaped,
			"grant_type=password&username=x&scope=" + escaped + "&password=" + escaped, escaped, "%" + escaped,
			"grant_type=password&username=x&password=" + escaped + "%zz", "a=" + escaped + ";" + escaped,
		} {
			w.sso(http.StatusBadRequest, "POST", tokenPath, form)
		}
		w.do("GET", tokenPath+"?password="+escaped, "", formBody)
		w.do("POST", tokenPath, escaped, jsonBody)
	}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, &log)
		}
	}
	for _, want := range []string{"path=" + tokenPath, "level=DEBUG", "level=INFO", "status=401", "user=bob@lab"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

func TestCA(t *testing.T) {
	const pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
	paths := []string{
		pkiPath + "?resource=ca-certificate&format=X509-PEM-CA", pkiPath + "?resource=ca-certificate", "/ovirt-engine/ca.crt", "/ca.crt",
	}
	with := newRemote(t, nil, func(c *api.Config) { c.CA = []byte(pem) })
	without := newRemote(t, nil)
	for _, path := range paths {
		got := with.must(http.StatusOK, "GET", path, "")
		if got.Body.String() != pem || got.Header().Get("Content-Type") != "application/x-x509-ca-cert" {
			t.Errorf("%s: %s %q", path, got.Header().Get("Content-Type"), got.Body)
		}
		f := readFault(t, without.must(http.StatusNotFound, "GET", path, "").Body.Bytes())
		if !strings.Contains(f.Detail, "tls-ca") {
			t.Errorf("%s: fault is %+v", path, f)
		}
	}
	for _, query := range []string{"", "?resource=engine-certificate", "?resource=ca-certificate&format=OPENSSH-PUBKEY"} {
		readFault(t, with.must(http.StatusNotFound, "GET", pkiPath+query, "").Body.Bytes())
	}
	readFault(t, with.must(http.StatusMethodNotAllowed, "POST", "/ca.crt", "").Body.Bytes())
	with.handler = with.api.Local()
	with.must(http.StatusOK, "GET", "/ca.crt", "")
}

// TestHead asks a real server, because it is net/http that leaves the body out.
func TestHead(t *testing.T) {
	w := newRemote(t, nil, func(c *api.Config) { c.CA = []byte("x") })
	_, address := serve(t, w.handler)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(client.CloseIdleConnections)
	for path, want := range map[string]int{
		base: 200, base + "/hosts": 200, hostPath: 200, base + "/users": 200, base + "/vms": 200, base + "/isonet/status": 200,
		base + "/nowhere": 404, "/ca.crt": 200, tokenPath: 400, logoutPath: 405,
	} {
		var lengths [2]string
		for i, method := range []string{"HEAD", "GET"} {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("admin", "s3cr&t")
			reply, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(reply.Body)
			_ = reply.Body.Close() // it was read to its end
			if err != nil || reply.StatusCode != want || (len(body) > 0) != (method == "GET") {
				t.Errorf("%s %s: status %d, %d bytes, %v", method, path, reply.StatusCode, len(body), err)
			}
			lengths[i] = reply.Header.Get("Content-Length")
		}
		if path != base && path != tokenPath && path != logoutPath && path != base+"/nowhere" && lengths[0] != lengths[1] {
			t.Errorf("%s has %s bytes, and HEAD says %s", path, lengths[1], lengths[0])
		}
	}
}

func TestRepresentationsOfUsers(t *testing.T) {
	w := newRemote(t, []string{"bob@lab"})
	token := w.login(bobsLogin)
	var list struct {
		User []struct{ ID, Href string } `json:"user"`
	}
	if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/users", "", token, jsonReply).Body.Bytes(), &list); err != nil || len(list.User) != 2 {
		t.Fatalf("users are %+v: %v", list, err)
	}
	for name, path := range map[string]string{"root_of_a_user": base, "users": base + "/users", "user": list.User[0].Href} {
		golden(t, name+".xml", w.must(http.StatusOK, "GET", path, "", token).Body.Bytes())
		golden(t, name+".json", w.must(http.StatusOK, "GET", path, "", token, jsonReply).Body.Bytes())
	}
	for query, want := range map[string]int{
		"": 2, "max=1": 1, "search=name%3Dadmin": 1, "search=usrname%3Dadmin%40internal": 1, "search=usrname%3D*": 2,
		"search=name%3Dbob": 0, "search=name%3DBOB*": 1, "search=id%3D" + list.User[1].ID: 1,
	} {
		body := w.must(http.StatusOK, "GET", base+"/users?"+query, "", token).Body.String()
		if got := strings.Count(body, "<user "); got != want {
			t.Errorf("%s: %d users, want %d", query, got, want)
		}
		if strings.Contains(body, "$2") {
			t.Errorf("a hash is in\n%s", body)
		}
	}
	w.must(http.StatusBadRequest, "GET", base+"/users?search=password%3Dx", "", token)
	for _, id := range []string{"99999999-9999-4999-8999-999999999999", "nope", strings.ToUpper(list.User[0].ID) + "0"} {
		readFault(t, w.must(http.StatusNotFound, "GET", base+"/users/"+id, "", token).Body.Bytes())
	}
	w.handler = w.api.Local()
	w.must(http.StatusNotFound, "GET", list.User[0].Href, "")
}

// Every link of the root leads somewhere.
func TestLinksOfTheRoot(t *testing.T) {
	w := newWorld(t)
	var root struct {
		Link []struct{ Href, Rel string } `json:"link"`
	}
	if err := json.Unmarshal(w.must(http.StatusOK, "GET", base, "", jsonReply).Body.Bytes(), &root); err != nil {
		t.Fatal(err)
	}
	rels := map[string]bool{}
	for _, link := range root.Link {
		rels[link.Rel] = true
		w.must(http.StatusOK, "GET", strings.Replace(link.Href, "{query}", "", 1), "")
	}
	// What libgovirt makes collections of.
	for _, rel := range []string{"clusters", "datacenters", "hosts", "storagedomains", "vmpools", "vms"} {
		if !rels[rel] || !rels[rel+"/search"] {
			t.Errorf("there is no link to %s, or to its search", rel)
		}
	}
}

// FuzzAuthorization checks that nothing but the right credentials gets in.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "Basic", "Basic ", "Bearer", "Bearer ", "bearer x", "Basic YWRtaW46czNjciZ0", "Basic YWRtaW5AaW50ZXJuYWw6czNjciZ0",
		"basiC YWRtaW5AC0A6czNjciZ0", "Basic Ym9iQGxhYkB4OmI6b2I=", // admin@\v@, bob@lab@x
		basic("admin@ovirt@internalsso", "s3cr&t"), basic("bob@ovirt@internalsso", "b:ob"), basic("admin@x@internalsso", "s3cr&t"),
		"Basic YWRtaW46", "Basic Og==", "Negotiate x", "Bearer \x00", "Basic YWRtaW46czNjciZ0 ", "Bearer a, Basic YWRtaW46czNjciZ0",
	} {
		f.Add(seed)
	}
	users := loadUsers(f)
	f.Fuzz(func(t *testing.T, authorization string) {
		w := newWorld(t)
		w.handler = w.api.Remote(users)
		w.login(goodLogin)
		got := w.do("GET", base+"/hosts", "", header{"Authorization": authorization})
		r := &http.Request{Header: http.Header{"Authorization": {authorization}}}
		user, password, _ := r.BasicAuth()
		right := isUser(user, "admin") && password == "s3cr&t" || isUser(user, "bob@lab") && password == "b:ob"
		if right != (got.Code == http.StatusOK) {
			t.Errorf("%q: status %d", authorization, got.Code)
		}
		if !right {
			if got.Code != http.StatusUnauthorized {
				t.Errorf("%q: status %d", authorization, got.Code)
			}
			checkUnauthorized(t, got)
		}
	})
}

// isUser says whether a user logs in by a text: his name, or his name and a profile
// behind the last @.
func isUser(text, name string) bool {
	profile, found := strings.CutPrefix(text, name+"@")
	return text == name || profile == "ovirt@internalsso" || found && !strings.Contains(profile, "@")
}

// FuzzLoginForm checks that every form gets JSON, and only the right password a
// token.
func FuzzLoginForm(f *testing.F) {
	for _, seed := range []string{
		"", goodLogin, bobsLogin, goodLogin + "&username=x", "username=x&" + goodLogin, goodLogin + "%zz", "&&=&;", "grant_type=password&username=%00&password=%ff",
	} {
		f.Add(seed, "application/x-www-form-urlencoded")
	}
	f.Add(goodLogin, "")
	f.Add(goodLogin, "application/x-www-form-urlencoded; charset=UTF-8")
	f.Add("{}", "application/json")
	users := loadUsers(f)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		w := newWorld(t)
		w.handler = w.api.Remote(users)
		r := httptest.NewRequest("POST", tokenPath, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		got := httptest.NewRecorder()
		w.handler.ServeHTTP(got, r)
		var reply map[string]string
		if err := json.Unmarshal(got.Body.Bytes(), &reply); err != nil {
			t.Fatalf("the reply is no JSON object of strings: %v: %s", err, got.Body)
		}
		switch got.Code {
		case http.StatusOK:
			form, _ := url.ParseQuery(body)
			if form.Get("password") != "s3cr&t" && form.Get("password") != "b:ob" || reply["access_token"] == "" {
				t.Errorf("%q got %v", body, reply)
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
			if reply["error"] == "" || reply["error_code"] == "" || reply["access_token"] != "" {
				t.Errorf("%q got %v", body, reply)
			}
		default:
			t.Errorf("%q: status %d", body, got.Code)
		}
	})
}
