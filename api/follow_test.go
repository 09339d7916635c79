package api

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// within reports whether a tree has nothing but the allowed links.
func (f follow) within(allowed links) bool {
	for name, below := range f {
		next, ok := allowed[name]
		if !ok || !below.within(next) {
			return false
		}
	}
	return true
}

// FuzzFollow checks that whatever a client sends is refused or asks for links
// that there are.
func FuzzFollow(f *testing.F) {
	for _, seed := range []string{
		"", "nics", "network_attachments.network.vnic_profiles,cluster", "a..b", ".", ",,", "NICS.Statistics", "cluster.networks.networks",
		strings.Repeat("networkattachments.host.", 50),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &call{r: &http.Request{URL: &url.URL{RawQuery: url.Values{"follow": {text}}.Encode()}}}
		tree, err := c.follow(hostLinks())
		if err != nil && !errors.Is(err, errValue) {
			t.Errorf("error of no kind: %v", err)
		}
		if !tree.within(hostLinks()) {
			t.Errorf("%q follows %v", text, tree)
		}
	})
}
