package store_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

func TestJoinTokens(t *testing.T) {
	t.Parallel()
	cluster := ovstest.StartCluster(t, schemaFile, store.Database, 1)
	s := remote(t, cluster.Endpoints()...)
	s.must(adding("red"))
	digest := func(n int) string { return fmt.Sprintf("%064x", n) }
	add := func(n int, expires time.Time) {
		t.Helper()
		if err := s.AddToken(t.Context(), model.JoinToken{Digest: digest(n), Kind: "host", Name: fmt.Sprintf("host%d", n), Expires: expires}); err != nil {
			t.Fatal(err)
		}
	}
	add(1, time.Now().Add(-30*24*time.Hour)) // forgotten by the next
	add(2, time.Now().Add(time.Hour))
	add(3, time.Now().Add(time.Hour))
	all, err := s.Tokens(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "host2" || all[0].Kind != "host" || all[0].UsedBy != "" || time.Until(all[0].Expires) < time.Minute {
		t.Fatalf("%+v, %v", all, err)
	}

	// Of many keys one gets a token, and gets it again.
	var won atomic.Int64
	var group sync.WaitGroup
	winner := make(chan string, 16)
	for i := range 16 {
		group.Go(func() {
			key := strings.Repeat(fmt.Sprintf("%x", i), 64)
			got, err := s.RedeemToken(t.Context(), digest(2), key, "someone")
			if err != nil {
				t.Error(err)
			}
			if got {
				won.Add(1)
				winner <- key
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d keys got the token", won.Load())
	}
	key := <-winner
	if again, err := s.RedeemToken(t.Context(), digest(2), key, "someone"); err != nil || !again {
		t.Errorf("the same key again: %v, %v", again, err)
	}
	if found, there, err := s.FindToken(t.Context(), digest(2)); err != nil || !there || found.UsedBy != key || found.By != "someone" || found.Kind != "host" {
		t.Errorf("%+v, %v, %v", found, there, err)
	}

	// What is revoked is of no use.
	if err := s.RevokeToken(t.Context(), all[1].ID); err != nil {
		t.Fatal(err)
	}
	if got, err := s.RedeemToken(t.Context(), digest(3), key, ""); err != nil || got {
		t.Errorf("a token that was revoked: %v, %v", got, err)
	}
	if err := s.RevokeToken(t.Context(), all[1].ID); err == nil {
		t.Error("a token is revoked that is not there")
	}
}
