package rest

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// AllowReply lets the reply take the given time longer than the server's other
// replies, counted from now.
func (c *Call) AllowReply(longer time.Duration) {
	server, ok := c.r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || server.WriteTimeout <= 0 {
		return // nothing bounds it
	}
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(server.WriteTimeout + longer)) // the connection is gone, or has it
}

// client writes to the client in parts. One that reads on gets all of them, however long that
// takes in all; one that does not loses the connection.
type client struct{ *Call }

func (c client) Write(p []byte) (n int, err error) {
	for part := range slices.Chunk(p, partSize) {
		c.AllowReply(0)
		written, err := c.w.Write(part)
		n += written
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Send writes the reply in the form that the client prefers.
func (c *Call) Send(status int, d Document) error {
	made, err := c.draft(d)
	if err != nil {
		return err
	}
	if c.version != "" && status == http.StatusOK {
		lasting := made
		if t, ok := d.(timed); ok {
			if lasting, err = c.draft(t.Timeless()); err != nil {
				return err
			}
		}
		tag := entityTag(c.version, lasting.sum())
		c.w.Header().Set("ETag", tag)
		if c.unchanged(tag) {
			c.sendNotModified()
			return nil
		}
	}
	c.begin(status, c.format.contentType(), made.length)
	if made.kept == nil {
		return c.sendAgain(d, made)
	}
	return made.kept.writeTo(client{c})
}

// sendAgain makes the document of a draft again, for the client.
func (c *Call) sendAgain(d Document, made *draft) error {
	again := &draft{hash: sha256.New()}
	buffer := bufio.NewWriterSize(client{c}, partSize)
	if err := c.format.Write(io.MultiWriter(buffer, again), d); err != nil {
		return err
	}
	if again.sum() != made.sum() {
		panic("a document is another one than when the header of its reply was made")
	}
	return buffer.Flush()
}

// SendJSON writes a reply that is JSON, whatever the client prefers.
func (c *Call) SendJSON(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.SendBytes(status, FormatJSON.contentType(), append(body, '\n'))
	return nil
}

// SendBytes writes a reply of any type.
func (c *Call) SendBytes(status int, contentType string, body []byte) {
	c.begin(status, contentType, len(body))
	_, _ = client{c}.Write(body) // the client is gone, or has it
}

// begin writes the header of a reply.
func (c *Call) begin(status int, contentType string, length int) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	c.status = status
	c.w.WriteHeader(status)
}

// Faults says errors in the words of who is asked.
type Faults interface {
	// Status is the status code for an error.
	Status(err error) int
	// Send writes the reply that tells of the error.
	Send(c *Call, status int, err error)
}

// retryAfter is when a client may try again what Open vSwitch's absence stopped.
const retryAfter = 5 * time.Second

// fail writes a fault. A reply that has begun breaks off with its connection, so that nobody
// takes a part of it for the whole.
func (c *Call) fail(faults Faults, err error) {
	if c.status != 0 {
		panic(http.ErrAbortHandler)
	}
	status := faults.Status(err)
	switch status {
	case http.StatusUnauthorized:
		c.w.Header().Set("WWW-Authenticate", `Basic realm="RESTAPI"`)
		c.w.Header().Set("Connection", "close") // it is a stranger's
	case http.StatusTooManyRequests: // with its own time
		c.w.Header().Set("Connection", "close")
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		c.w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	case http.StatusMethodNotAllowed:
		if e, ok := errors.AsType[*methodError](err); ok {
			c.w.Header().Set("Allow", e.allow)
		}
	}
	c.w.Header().Del("Location")
	faults.Send(c, status, err)
}
