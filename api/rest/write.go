package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// Write makes a change of the desired state on the conditions of the request, and
// returns the desired state that it made.
func (b Backend) Write(c *Call, o change.Options, edit func(*model.Desired) error) (*model.Desired, error) {
	return c.Write(o, func(ctx context.Context, o change.Options) (change.Done, error) { return b.Writer.Write(ctx, o, edit) })
}

// Write does a write on the conditions of the request. It tells the client what the
// write means for VMs.
func (c *Call) Write(o change.Options, write func(context.Context, change.Options) (change.Done, error)) (*model.Desired, error) {
	o.If = c.condition()
	var err error
	if o.Await, err = c.await(); err != nil {
		return nil, err
	}
	c.AllowReply(o.Longest())
	done, err := write(c.r.Context(), o)
	if errors.Is(err, change.ErrOutdated) {
		return nil, Refuse(ErrPrecondition, "It was changed since it was read with the ETag in If-Match: read it again and decide again, or send the request without If-Match to overwrite what others did.")
	}
	c.made = done.Desired
	switch {
	case err != nil:
		c.didNot(err)
	case !c.dry:
		c.Did(history.Changes(done.Before, done.Desired)...)
	}
	if done.Outcomes != nil {
		c.w.Header().Set(wire.HostsHeader, counted(done.Outcomes))
	}
	if done.Revision > 0 && !c.dry {
		c.w.Header().Set(wire.RevisionHeader, strconv.FormatInt(done.Revision, 10))
	}
	for _, text := range done.Warnings {
		c.w.Header().Add(wire.WarningHeader, ascii(text))
	}
	return done.Desired, err
}

// await reads how long a write waits for all hosts that it touches; 0 is not at all.
func (c *Call) await() (time.Duration, error) {
	switch text := c.Query().Get("wait"); {
	case text == "" || c.dry:
		return 0, nil
	case text != "hosts":
		return 0, Refuse(ErrValue, "The value %q of wait is none: use hosts. Nothing was changed.", text)
	}
	timeout, err := c.Seconds("timeout")
	return cmp.Or(timeout, change.Timeout), err
}

// counted says how many hosts have a change.
func counted(outcomes map[model.ID]change.Outcome) string {
	counts := map[change.OutcomeState]int{}
	for _, o := range outcomes {
		counts[o.State]++
	}
	var texts []string
	for _, state := range []change.OutcomeState{change.Realised, change.Pending, change.Failed, change.Away} {
		texts = append(texts, fmt.Sprintf("%s=%d", state, counts[state]))
	}
	return strings.Join(texts, "; ")
}

// dryRunHeader marks the reply of a write that was not done.
const dryRunHeader = "Isonet-Dry-Run"

// ascii writes text so that it fits into a header.
func ascii(text string) string {
	quoted := strconv.QuoteToASCII(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// DryRun reads the query parameter dry_run of a write, and marks the reply if it is
// set. Unlike other flags it must be right: who misspells it does not want the write
// to be done.
func (c *Call) DryRun() (bool, error) {
	values, present := c.Query()["dry_run"]
	if !present {
		return false, nil
	}
	switch strings.ToLower(values[0]) {
	case "false", "f", "no", "n", "0":
		return false, nil
	}
	if !c.Flag("dry_run") {
		return false, Refuse(ErrValue, "The value %q of dry_run is no boolean: use true or false. Nothing was changed.", values[0])
	}
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		return false, nil
	}
	c.dry = true
	c.w.Header().Set(dryRunHeader, "true")
	return true, nil
}
