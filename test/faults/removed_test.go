package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/report"
)

// remove takes a host out of the store without isonet, with all that hangs on it.
func remove(h *hosttest.Host) {
	h.Helper()
	h.Store.Transact(`["Isolated_Networks",
		{"op":"delete","table":"Attachment","where":[]},
		{"op":"delete","table":"Host","where":[]}]`)
}

// copied waits until isonetd's copy of the desired state has what the test needs of it.
func copied(h *hosttest.Host) {
	h.Helper()
	ovstest.Eventually(h, "the desired state is copied", func() error {
		text, err := os.ReadFile(filepath.Join(h.OVS.Dir(), "state", "desired"))
		if err == nil && !bytes.Contains(text, []byte(`"Labels":["lab"]`)) {
			err = fmt.Errorf("the copy is %s", text)
		}
		return err
	})
}

// orphaned waits until isonetd says that its host was removed, for so long that it says so
// not only of the moment.
func orphaned(h *hosttest.Host) {
	h.Helper()
	h.Await("isonetd says that its host was removed", func(s hosttest.Status) bool {
		return len(s.Missing) == 1 && s.Missing[0].Ground == "identity" && strings.Contains(s.Missing[0].Remedy, "isonet host register") &&
			time.Since(s.Missing[0].Since) > report.Freshness
	})
}

// TestTheHostIsRemoved takes a host's row out of the store. The host keeps its bridges and
// puts right what drifts, also across a restart, until it is told to register again. Then
// it has all that it had.
func TestTheHostIsRemoved(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red", "blue")
	h.Attach("red")
	h.Must("POST", h.Network("blue")+"/networklabels", `{"id":"lab"}`)
	h.Must("POST", h.Path()+"/networklabels", `{"id":"lab"}`)
	h.Converges("red", "blue")
	uuids := func() string {
		return h.OVS.Vsctl("get", "bridge", "red", "_uuid") + h.OVS.Vsctl("get", "bridge", "blue", "_uuid")
	}
	before := uuids()
	for _, restart := range []bool{false, true} {
		copied(h)
		remove(h)
		orphaned(h)
		if !restart {
			h.OVS.Vsctl("--no-wait", "clear", "bridge", "red", "external_ids", "--", "set", "bridge", "red", "fail_mode=standalone")
			ovstest.Eventually(t, "what drifted is put right", func() error {
				if ids := h.OVS.Vsctl("--if-exists", "get", "bridge", "red", "external_ids:owner"); !strings.Contains(ids, "isonet") {
					return fmt.Errorf("external_ids of red are %s", ids)
				}
				return nil
			})
		} else {
			h.Kill()
			h.Launch()
			orphaned(h)
		}
		h.OVS.Applied()
		if after := uuids(); after != before {
			t.Errorf("the bridges are %s, were %s", after, before)
		}
		h.Must("POST", "/isonet/register", `{}`)
		h.Converges("red", "blue")
		if after := uuids(); after != before {
			t.Errorf("after it registered again the bridges are %s, were %s", after, before)
		}
	}
	if reply := h.Answer("POST", "/isonet/register", `{}`); reply.Code != 409 {
		t.Errorf("a host that is there registers: %+v", reply)
	}
}

// TestAHostThatWasRemovedAwayFromIt removes a host while its isonetd is off and its copy of
// the desired state is lost. It knows only that it was a host: it leaves all as it is, and
// keeps the networks that have bridges when it is told to register again.
func TestAHostThatWasRemovedAwayFromIt(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red")
	h.Attach("red")
	h.Converges("red")
	before := h.OVS.Vsctl("get", "bridge", "red", "_uuid")
	h.Kill()
	remove(h)
	if err := os.Remove(filepath.Join(h.OVS.Dir(), "state", "desired")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	h.Launch()
	orphaned(h)
	if own := h.Own(); len(own) != 1 {
		t.Errorf("the bridges are %v", own)
	}
	h.Must("POST", "/isonet/register", `{}`)
	h.Await("the host is one again", func(s hosttest.Status) bool { return len(s.Missing) == 0 })
	h.Converges("red")
	if after := h.OVS.Vsctl("get", "bridge", "red", "_uuid"); after != before {
		t.Errorf("the bridge is %s, was %s", after, before)
	}
}
