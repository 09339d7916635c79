package api_test

import (
	"net/http"
	"testing"
)

// Before the store was read it looks empty, and nobody may take it for that.
func TestNothingIsToldOfAStoreThatNobodyHasRead(t *testing.T) {
	w := newWorld(t)
	w.store.mu.Lock()
	w.store.unread = true
	w.store.mu.Unlock()
	for _, path := range []string{"/hosts", "/networks", "/isonet/status", "/isonet/plan", "/isonet/watch", "/clusters"} {
		if reply := w.must(http.StatusServiceUnavailable, "GET", "/ovirt-engine/api"+path, ""); reply.Header().Get("Retry-After") == "" {
			t.Errorf("GET %s: %v", path, reply.Header())
		}
	}
}
