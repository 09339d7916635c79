package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// Shown makes the reply of a function that shows an object or a list tell which
// version of it this is, and whether what it says of Open vSwitch is of the past.
func (b Backend) Shown(f func(*Call) (Document, error)) func(*Call) (Document, error) {
	return func(c *Call) (Document, error) {
		b.TellStale(c)
		// Before f looks: at worst the version is older than what f shows, so
		// that a write on condition of it is refused for nothing.
		subject := c.subject()
		c.version, _ = subject.Version(b.Store.Snapshot())
		d, err := f(c)
		if c.made != nil {
			c.version, _ = subject.Version(c.made)
		}
		return d, err
	}
}

// staleHeader is since when a reply is of the past, as RFC 3339 has it.
const staleHeader = "Isonet-Stale"

// TellStale sets the header while the session to Open vSwitch or to the store's
// database is lost.
func (b Backend) TellStale(c *Call) {
	if since := b.staleSince(); !since.IsZero() {
		c.w.Header().Set(staleHeader, since.UTC().Format(time.RFC3339))
	}
}

// subject is what the conditions of the request are about.
func (c *Call) subject() change.Subject {
	if c.about == nil {
		return nil
	}
	return func(d *model.Desired) (any, error) { return c.about(c, d) }
}

// entityTag is the strong entity tag (RFC 9110 section 8.8.3) of a reply: the
// version of what writes change, and then that of the whole body, which has the sum.
func entityTag(version string, sum [sha256.Size]byte) string {
	return `"` + version + "." + hex.EncodeToString(sum[:8]) + `"`
}

var tagPattern = regexp.MustCompile(`(W/)?"([^"]*)"`)

// tags returns the tags of a conditional header without their quotes. The weak
// ones count only if weak is set.
func tags(values []string, weak bool) []string {
	var list []string
	for _, match := range tagPattern.FindAllStringSubmatch(strings.Join(values, ","), -1) {
		if match[1] == "" || weak {
			list = append(list, strings.TrimSuffix(match[2], compressedSuffix))
		}
	}
	return list
}

// unchanged reports whether the client has the body with a tag already.
func (c *Call) unchanged(tag string) bool {
	if !bodyless(c.r.Method) {
		return false
	}
	values := c.r.Header.Values("If-None-Match")
	return slices.Contains(values, "*") || slices.Contains(tags(values, true), strings.Trim(tag, `"`))
}

// condition is what the header If-Match lets the request overwrite; nil is
// anything. Of a tag only the version counts: a port that got its link since is no
// reason to refuse a write, and the tag of another representation is as good.
func (c *Call) condition() *change.Condition {
	values := c.r.Header.Values("If-Match")
	if len(values) == 0 || slices.Contains(values, "*") {
		return nil
	}
	versions := tags(values, false)
	for i, tag := range versions {
		versions[i], _, _ = strings.Cut(tag, ".")
	}
	return &change.Condition{Subject: c.subject(), Versions: versions}
}

// sendNotModified answers that the client has the body already.
func (c *Call) sendNotModified() {
	c.w.Header().Set("Cache-Control", "no-store")
	c.status = http.StatusNotModified
	c.w.WriteHeader(http.StatusNotModified)
}
