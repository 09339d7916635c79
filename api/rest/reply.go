package rest

import (
	"encoding/json"
	"errors"
	"net/http"
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

// Send writes the reply in the form that the client prefers.
func (c *Call) Send(status int, d Document) error {
	body, err := c.format.Encode(d)
	if err != nil {
		return err
	}
	if c.version != "" && status == http.StatusOK {
		lasting := body
		if t, ok := d.(timed); ok {
			if lasting, err = c.format.Encode(t.Timeless()); err != nil {
				return err
			}
		}
		tag := entityTag(c.version, lasting)
		c.w.Header().Set("ETag", tag)
		if c.unchanged(tag) {
			c.sendNotModified()
			return nil
		}
	}
	c.SendBytes(status, c.format.contentType(), body)
	return nil
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
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	c.status = status
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // the client is gone, or has it
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

// fail writes a fault. It writes nothing when the reply has begun.
func (c *Call) fail(faults Faults, err error) {
	if c.status != 0 {
		return
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
