package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
)

// shown makes the reply of a function that shows an object or a list tell which
// version of it this is, and whether what it says of Open vSwitch is of the past.
func (a *API) shown(f func(*call) (document, error)) func(*call) (document, error) {
	return func(c *call) (document, error) {
		a.tellStale(c)
		// Before f looks: at worst the version is older than what f shows, so
		// that a write on condition of it is refused for nothing.
		c.version, _ = c.versionIn(a.store.Snapshot())
		d, err := f(c)
		if c.made != nil {
			c.version, _ = c.versionIn(c.made)
		}
		return d, err
	}
}

// staleHeader is since when a reply is of the past, as RFC 3339 has it.
const staleHeader = "Isonet-Stale"

// tellStale sets the header while the session to Open vSwitch or to the store's
// database is lost.
func (a *API) tellStale(c *call) {
	since := a.store.StaleSince()
	if s := a.loop.Status(); !s.Connected && (since.IsZero() || s.Since.Before(since)) {
		since = s.Since
	}
	if !since.IsZero() {
		c.w.Header().Set(staleHeader, since.UTC().Format(time.RFC3339))
	}
}

// versionIn names the version that a desired state has of what the path is
// about. It changes with all that a write of the path could overwrite, and with
// nothing else as far as the paths have something of their own. It is false
// when the path names nothing.
func (c *call) versionIn(d *model.Desired) (version string, exists bool) {
	_, path, _ := strings.Cut(c.r.Pattern, " ")
	collection := strings.TrimSuffix(path, "/{label}")
	switch {
	case strings.HasSuffix(path, "/networks/{network}"):
		n, err := c.network(d)
		return digest(n), err == nil
	case strings.HasSuffix(collection, "/networks/{network}/networklabels"):
		n, err := c.network(d)
		return digest(n.Label), err == nil
	case strings.HasSuffix(collection, "/hosts/{host}/networklabels"):
		h, err := c.host(d)
		return digest(h.Labels), err == nil
	case strings.HasSuffix(path, "/networkattachments/{attachment}"):
		a, err := c.attachment(d)
		return digest(a), err == nil
	case slices.Contains([]string{"/hosts/{host}", "/hosts/{host}/setupnetworks", "/hosts/{host}/networkattachments"}, path):
		h, err := c.host(d)
		return digest([]any{h.Name, h.Labels, d.On(h.ID)}), err == nil
	}
	return strconv.FormatInt(d.Revision, 16), true
}

// digest is a short name for a value.
func digest(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // what is digested is strings and numbers
	}
	return digestBytes(data)
}

func digestBytes(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// entityTag is the strong entity tag (RFC 9110 section 8.8.3) of a reply: the
// version of what writes change, and then that of the whole body.
func entityTag(version string, body []byte) string {
	return `"` + version + "." + digestBytes(body) + `"`
}

var tagPattern = regexp.MustCompile(`(W/)?"([^"]*)"`)

// tags returns the tags of a conditional header without their quotes. The weak
// ones count only if weak is set.
func tags(values []string, weak bool) []string {
	var list []string
	for _, match := range tagPattern.FindAllStringSubmatch(strings.Join(values, ","), -1) {
		if match[1] == "" || weak {
			list = append(list, match[2])
		}
	}
	return list
}

// unchanged reports whether the client has the body with a tag already.
func (c *call) unchanged(tag string) bool {
	if !bodyless(c.r.Method) {
		return false
	}
	values := c.r.Header.Values("If-None-Match")
	return slices.Contains(values, "*") || slices.Contains(tags(values, true), strings.Trim(tag, `"`))
}

// conditional runs edit only on a state that the header If-Match allows. Of a
// tag only the version counts: a port that got its link since is no reason to
// refuse a write, and the tag of another representation is as good.
func (c *call) conditional(edit func(*model.Desired) error) func(*model.Desired) error {
	values := c.r.Header.Values("If-Match")
	if len(values) == 0 || slices.Contains(values, "*") {
		return edit
	}
	allowed := tags(values, false)
	return func(d *model.Desired) error {
		version, exists := c.versionIn(d)
		matches := func(tag string) bool {
			of, _, _ := strings.Cut(tag, ".")
			return of == version
		}
		if exists && !slices.ContainsFunc(allowed, matches) { // else edit says that it does not exist
			return refuse(errPrecondition, "It was changed since it was read with the ETag in If-Match: read it again and decide anew, or send the request without If-Match to overwrite what others did.")
		}
		return edit(d)
	}
}

// sendNotModified answers that the client has the body already.
func (c *call) sendNotModified() {
	c.w.Header().Set("Cache-Control", "no-store")
	c.status = http.StatusNotModified
	c.w.WriteHeader(http.StatusNotModified)
}
