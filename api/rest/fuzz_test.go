package rest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// FuzzPath looks for any path: only what the routes have is found, and nothing is
// redirected.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/ovirt-engine/api", "/ovirt-engine/api/v4//hosts/", "/api/hosts/%2e%2e", "/api/hosts/..", "/api/%2f/hosts", "/api/hosts;a=b", "/api/hosts/%00%ff", "//api//",
		"*", "", "/api/networks/%252e/networklabels", "/api/hosts/\xff\n", "/ovirt-engine", "/ovirt-engine/api/v4/v4", "/api/hosts?a;b", "/api/hosts?max=%zz", "http://x/api",
	} {
		f.Add(seed)
	}
	routes := []Route{}
	for _, pattern := range []string{"GET /{$}", "GET /hosts", "PUT /hosts/{host}", "GET /networks/{network}/networklabels/{label}"} {
		routes = append(routes, Route{Pattern: pattern})
	}
	mux := NewMux(routes)
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return // net/http refuses it
		}
		plain, _ := cutMatrix(u.EscapedPath())
		base, path := splitPath(plain)
		if strings.Contains(path, ";") {
			t.Errorf("%q: the path is %q", target, path)
		}
		if base != "" && (!strings.HasPrefix(path, "/") || strings.Contains(path, "//")) {
			t.Errorf("%q: base %q, path %q", target, base, path)
		}
		if again, rest := splitPath(base + path); base != "" && (again != base || rest != path) {
			t.Errorf("%q: split again: %q and %q, want %q and %q", target, again, rest, base, path)
		}
		if base == "" {
			return // never reaches the mux
		}
		c := NewCall(httptest.NewRecorder(), &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1})
		r, err := c.below(t.Context())
		if err == nil {
			err = mux.unrouted(r)
		}
		if err != nil {
			if !errors.Is(err, ErrNoResource) && !errors.Is(err, ErrValue) && !errors.Is(err, ErrMethod) {
				t.Errorf("%q: error of no kind: %v", target, err)
			}
			return
		}
		// What has a handler is not redirected by the mux.
		handler, _ := mux.mux.Handler(r)
		if redirect := http.RedirectHandler("", http.StatusFound); reflect.TypeOf(handler) == reflect.TypeOf(redirect) {
			t.Errorf("%q is redirected", target)
		}
	})
}

// FuzzHeaders puts anything into the headers and parameters that are read
// before it is known who sends them.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{
		"", "my-id_1", "a\nb", "\u212a", "application/json;q=NaN, application/xml;q=-1", "application/json;q=1e999", `text/xml;charset="utf-8`, "*/*;;;,,,", "application/json\x00",
		strings.Repeat("application/json,", 500), "application/xml;charset=utf-16", "application/xml;charset*=UTF-8''%55", "multipart/form-data; boundary=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		header := http.Header{}
		for _, name := range []string{"Correlation-Id", "Accept", "Content-Type"} {
			header.Set(name, value)
		}
		query := url.Values{"correlation_id": {value}, "accept": {value}}
		for _, r := range []*http.Request{
			{Method: http.MethodGet, URL: &url.URL{}, Header: header},
			{Method: http.MethodGet, URL: &url.URL{RawQuery: query.Encode()}, Header: http.Header{}},
			{Method: http.MethodGet, URL: &url.URL{RawQuery: value}, Header: http.Header{}},
		} {
			if id := correlationID(r.Header, r.URL.Query()); !regexp.MustCompile(`^[0-9a-zA-Z_-]{1,36}$`).MatchString(id) {
				t.Errorf("%q: the correlation id is %q", value, id)
			}
			if form := responseFormat(r.Header, r.URL.Query()); form != FormatXML && form != FormatJSON {
				t.Errorf("%q: format %d", value, form)
			}
		}
		if _, _, err := requestFormat(header); err != nil && !errors.Is(err, ErrMediaType) {
			t.Errorf("%q: error of no kind: %v", value, err)
		}
	})
}
