package api

import (
	"slices"
	"strings"
)

// follow holds the links that a client wants replaced by what they lead to, by
// their dotted names in lower case without underscores: oVirt allows both
// spellings. A link of a followed link is "attachments.network".
type follow map[string]bool

// follow reads the query parameter follow. It refuses links that are not among
// the allowed ones, because leaving them out silently would look like absence.
func (c *call) follow(allowed ...string) (follow, error) {
	f := follow{}
	for path := range strings.SplitSeq(c.r.URL.Query().Get("follow"), ",") {
		path = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(path)), "_", "")
		if path == "" {
			continue
		}
		if !slices.Contains(allowed, path) {
			return nil, refuse(errValue, "The link '%s' cannot be followed: use one of %s.", path, strings.Join(allowed, ", "))
		}
		for end, r := range path {
			if r == '.' {
				f[path[:end]] = true
			}
		}
		f[path] = true
	}
	return f, nil
}

// under returns what to follow within a followed link.
func (f follow) under(link string) follow {
	inner := follow{}
	for path := range f {
		if rest, ok := strings.CutPrefix(path, link+"."); ok {
			inner[rest] = true
		}
	}
	return inner
}
