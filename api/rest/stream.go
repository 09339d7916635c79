package rest

import (
	"net/http"
	"time"
)

// Stream is a reply that goes on.
type Stream struct {
	call    *Call
	control *http.ResponseController
}

// Stream begins a reply that goes on until the client goes. It is nil for a request
// that wants the header only.
func (c *Call) Stream(contentType string) (*Stream, error) {
	if c.r.ContentLength != 0 {
		// net/http does not notice that a client has gone before its body is read.
		return nil, Refuse(ErrSyntax, "A watch must not have a body: send a GET without one.")
	}
	if outer, is := c.w.(interface{ Unwrap() http.ResponseWriter }); is {
		c.w = outer.Unwrap() // what compresses replies holds the header back until there is more
	}
	s := &Stream{c, http.NewResponseController(c.w)}
	// The request has been read; its deadline must not end the stream.
	_ = s.control.SetReadDeadline(time.Time{})
	c.w.Header().Set("Content-Type", contentType)
	c.w.Header().Set("Cache-Control", "no-store")
	c.status = http.StatusOK
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return nil, nil
	}
	// Now: until the first line may come, the client wants to know that it was let in.
	_ = s.control.Flush() // the client is gone, or has it
	return s, nil
}

// Wait waits for a change. It returns false when the client is gone, or may not look any
// more.
func (s *Stream) Wait(changed <-chan struct{}) bool {
	for {
		var reloaded <-chan struct{}
		if s.call.stays != nil {
			stays, next := s.call.stays()
			if reloaded = next; !stays {
				return false
			}
		}
		select {
		case <-s.call.Context().Done():
			return false
		case <-changed:
			return true
		case <-reloaded:
		}
	}
}

// Line sends a line. It fails when the client is gone.
func (s *Stream) Line(line []byte) error {
	s.call.AllowReply(0)
	if _, err := s.call.w.Write(append(line, '\n')); err != nil {
		return err
	}
	return s.control.Flush()
}
