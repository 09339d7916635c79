package api

import (
	"net/http"
	"strings"

	"github.com/isonet/isonet/change"
)

// dryRunHeader marks the reply of a write that was not done.
const dryRunHeader = "Isonet-Dry-Run"

// dryRun reads the query parameter dry_run. Unlike other flags it must be right:
// who misspells it does not want the write to be done.
func (c *call) dryRun() (bool, error) {
	values, present := c.r.URL.Query()["dry_run"]
	if !present {
		return false, nil
	}
	switch strings.ToLower(values[0]) {
	case "false", "f", "no", "n", "0":
		return false, nil
	}
	if !c.flag("dry_run") {
		return false, refuse(errValue, "The value %q of dry_run is no boolean: use true or false. Nothing was changed.", values[0])
	}
	return true, nil
}

// rehearsal returns the mux for a request: with dry_run one whose writes are
// made in a draft of the desired state only.
func (a *API) rehearsal(c *call) (*http.ServeMux, error) {
	dry, err := c.dryRun()
	if err != nil || !dry || c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		return a.mux, err
	}
	c.w.Header().Set(dryRunHeader, "true")
	draft, _ := a.draft()
	return draft.mux, nil
}

// draft returns an API whose writes are checked as those of a are, and are then
// made in a draft of the desired state.
func (a *API) draft() (*API, *change.Draft) {
	dry := *a
	writer, draft := a.writer.Draft()
	dry.writer = writer
	dry.store = struct {
		freshness
		*change.Draft
	}{a.store, draft}
	dry.mux = newMux(dry.table())
	return &dry, draft
}
