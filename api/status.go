package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/isonet/isonet/api/native"
	"github.com/isonet/isonet/wire"
)

// told is what the isonet resources tell.
func (a *API) told() wire.Status {
	return native.Status(native.Moment{
		Desired: a.store.Snapshot(), Status: a.loop.Status(), Traffic: a.traffic.Traffic(), Ports: a.traffic.Ports(),
	})
}

// getStatus answers GET isonet/status.
func (a *API) getStatus(c *call) error {
	a.tellStale(c)
	return c.sendJSON(http.StatusOK, a.told())
}

// watchStatus answers GET isonet/watch: the status in a line of JSON at once and
// after each change. Changes that come faster than the client reads become one
// line.
func (a *API) watchStatus(c *call) error {
	if c.r.ContentLength != 0 {
		// net/http does not notice that a client has gone before its body is read.
		return refuse(errSyntax, "A watch must not have a body: send a GET without one.")
	}
	stream := http.NewResponseController(c.w)
	// The request has been read; its deadline must not end the stream.
	_ = stream.SetReadDeadline(time.Time{})
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	c.w.Header().Set("Cache-Control", "no-store")
	c.status = http.StatusOK
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return nil
	}
	var last []byte
	for gone := false; !gone; {
		changed := a.loop.Changed()
		line, err := json.Marshal(a.told())
		if err != nil {
			return err
		}
		if !bytes.Equal(line, last) {
			c.allowReply(0)
			gone = writeLine(c.w, stream, line) != nil
		}
		last = line
		gone = gone || !waitChange(c.r.Context(), changed)
	}
	return nil
}

func writeLine(w io.Writer, stream *http.ResponseController, line []byte) error {
	if _, err := w.Write(append(line, '\n')); err != nil {
		return err
	}
	return stream.Flush()
}

// waitChange reports whether the change came before the end of ctx.
func waitChange(ctx context.Context, changed <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-changed:
		return true
	}
}
