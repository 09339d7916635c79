package rest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
)

const (
	// maxBody is the most bytes of a request's body. Ten thousand attachments in
	// one setupnetworks fit.
	maxBody = 1 << 20
	// Large is how many times as large as other bodies one may be that has all there
	// is: with 100,000 networks it is.
	Large = 32
	// maxForm is the most bytes of a form. A user name and a password fit.
	maxForm = 16 << 10
)

// Read decodes the request's body, in XML or JSON.
func (c *Call) Read(into Document) error { return c.read(into, false) }

// ReadOptional decodes the request's body as Read does, and leaves the document as
// it is where there is none.
func (c *Call) ReadOptional(into Document) error { return c.read(into, true) }

func (c *Call) read(into Document, optional bool) error {
	f, in, err := requestFormat(c.r.Header)
	if err != nil {
		return err
	}
	data, err := c.body(maxBody)
	if err != nil {
		return err
	}
	if optional && len(data) == 0 {
		return nil
	}
	if data, err = f.plain(data, in); err != nil {
		return err
	}
	if err := f.parse(data, into); err != nil {
		return err
	}
	c.tellUnknown(f, data, into)
	return nil
}

// ReadJSON decodes the body of an isonet resource, which has native values.
func (c *Call) ReadJSON(into any) error { return c.readJSON(into, 1) }

// ReadLargeJSON decodes a body that has all that there is, which may be so many times
// as large as others.
func (c *Call) ReadLargeJSON(into any, times int) error { return c.readJSON(into, times) }

func (c *Call) readJSON(into any, times int) error {
	data, err := c.body(maxBody * int64(times))
	if err != nil {
		return err
	}
	f, in, err := requestFormat(c.r.Header)
	if err != nil || f != FormatJSON {
		return Refuse(ErrMediaType, "The body of %s is JSON: send it with the content type application/json.", c.path)
	}
	if data, err = in.toUTF8(data); err != nil {
		return err
	}
	if err := guardJSON(data, maxParts*times); err != nil {
		return decodeError(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return decodeError(err)
	}
	c.tellUnknown(f, data, into)
	return nil
}

// ReadForm reads a body that is a form. Its errors tell nothing of the content,
// which may be a password. Malformed is the error for one that is none.
func (c *Call) ReadForm(malformed error) (url.Values, error) {
	contentType := c.r.Header.Get("Content-Type")
	if mediaType, _, err := mime.ParseMediaType(contentType); contentType != "" && (err != nil || mediaType != "application/x-www-form-urlencoded") {
		return nil, Refuse(ErrMediaType, "The content type %q is not supported: use application/x-www-form-urlencoded.", contentType)
	}
	data, err := c.body(maxForm)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(data))
	if err != nil {
		return nil, malformed
	}
	return form, nil
}

// body returns the bytes of the request's body, of which there may be so many.
func (c *Call) body(most int64) ([]byte, error) {
	tooLarge := Refuse(ErrTooLarge, "The body is larger than %d bytes: send less at once.", most)
	if c.r.ContentLength > most {
		return nil, tooLarge // without waiting for what was announced
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
	if _, more := errors.AsType[*http.MaxBytesError](err); more {
		return nil, tooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, Refuse(ErrSlow, "The body did not arrive in time: send it without pauses.")
	}
	if err != nil {
		return nil, Refuse(ErrSyntax, "The body did not arrive: %v.", err)
	}
	return data, nil
}
