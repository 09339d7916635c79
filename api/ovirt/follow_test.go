package ovirt

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/isonet/isonet/api/rest"
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
		c := rest.NewCall(httptest.NewRecorder(), httptest.NewRequest("GET", "/?"+url.Values{"follow": {text}}.Encode(), nil))
		tree, err := followed(c, hostLinks())
		if err != nil && !errors.Is(err, rest.ErrValue) {
			t.Errorf("error of no kind: %v", err)
		}
		if !tree.within(hostLinks()) {
			t.Errorf("%q follows %v", text, tree)
		}
	})
}
