package api

import (
	"context"
	"errors"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// write makes a change of the desired state on the conditions of the request, and
// returns the desired state that it made.
func (a *API) write(c *call, o change.Options, edit func(*model.Desired) error) (*model.Desired, error) {
	return a.run(c, o, func(ctx context.Context, o change.Options) (change.Done, error) { return a.writer.Write(ctx, o, edit) })
}

// run does a write as write does.
func (a *API) run(c *call, o change.Options, write func(context.Context, change.Options) (change.Done, error)) (*model.Desired, error) {
	o.If = c.condition()
	c.allowReply(o.Longest())
	done, err := write(c.r.Context(), o)
	if errors.Is(err, change.ErrOutdated) {
		return nil, refuse(errPrecondition, "It was changed since it was read with the ETag in If-Match: read it again and decide anew, or send the request without If-Match to overwrite what others did.")
	}
	c.made = done.Desired
	c.warn(done.Warnings)
	return done.Desired, err
}
