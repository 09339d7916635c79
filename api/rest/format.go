package rest

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// Format is a form of representation.
type Format int

// The forms of representation that there are.
const (
	FormatXML Format = iota // oVirt's default
	FormatJSON
)

const prolog = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

func (f Format) contentType() string {
	if f == FormatJSON {
		return "application/json"
	}
	return "application/xml;charset=UTF-8"
}

// Write writes a document.
func (f Format) Write(w io.Writer, d Document) error {
	list, many := d.(List)
	switch {
	case f == FormatJSON && many:
		return list.writeJSON(w)
	case f == FormatJSON:
		return jsonEncoder(w, "").Encode(d)
	}
	if _, err := io.WriteString(w, prolog); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "    ")
	if err := e.EncodeElement(d, xml.StartElement{Name: xml.Name{Local: d.Element()}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// Decode reads a whole body, which is in UTF-8 unless it is XML and says otherwise. What
// the document does not know is ignored, as oVirt's clients send more than isonet has;
// what it knows must be right.
func (f Format) Decode(data []byte, into Document) error {
	data, err := f.plain(data, "")
	if err != nil {
		return err
	}
	return f.parse(data, into)
}

// plain returns a body in UTF-8. Its character set is the one given; "" is the one that
// it says itself.
func (f Format) plain(data []byte, in charset) ([]byte, error) {
	if in == "" && f == FormatXML {
		in = declaredCharset(data)
	}
	return in.toUTF8(data)
}

// parse reads a body that is in UTF-8, whatever it says.
func (f Format) parse(data []byte, into Document) error {
	if f == FormatXML {
		return decodeError(decodeXML(data, into))
	}
	err := guardJSON(data, maxParts)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	return decodeError(err)
}

// decodeError gives the errors of the standard decoders their kind.
func decodeError(err error) error {
	if err == nil {
		return nil
	}
	if refusal, ok := errors.AsType[*model.Error](err); ok {
		return refusal
	}
	if wrong, ok := errors.AsType[*wire.ValueError](err); ok {
		return Refuse(ErrValue, "%s", wrong.Text)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Refuse(ErrValue, "The member %q must not be a JSON %s.", wrong.Field, wrong.Value)
	}
	return Refuse(ErrSyntax, "The body cannot be read: %s.", strings.TrimSuffix(err.Error(), "."))
}

// requestFormat returns the form of a request's body, and its character set if the
// request says one. A body without a type is XML.
func requestFormat(h http.Header) (Format, charset, error) {
	if coding := h.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return 0, "", Refuse(ErrMediaType, "The content encoding %q is not supported: send the body as it is.", coding)
	}
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return FormatXML, "", nil
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	f, known := formatOf(mediaType)
	if err != nil || !known {
		return 0, "", Refuse(ErrMediaType, "The content type %q is not supported: use application/xml or application/json.", contentType)
	}
	name := params["charset"]
	in, known := charsetOf(name)
	if name != "" && !known {
		return 0, "", Refuse(ErrMediaType, "The character set %q is not supported: "+supportedCharsets+".", name)
	}
	return f, in, nil
}

// responseFormat returns the form that the client prefers: by the query
// parameter accept, else by the header Accept (RFC 9110 section 12.5.1). A
// client that prefers neither gets XML.
func responseFormat(h http.Header, query url.Values) Format {
	accept := query.Get("accept")
	if accept == "" {
		accept = strings.Join(h.Values("Accept"), ",")
	}
	best, quality := FormatXML, 0.0
	for mediaRange := range strings.SplitSeq(accept, ",") {
		mediaType, params, err := mime.ParseMediaType(mediaRange)
		if err != nil {
			continue
		}
		f, known := formatOf(mediaType)
		known = known || mediaType == "*/*" || mediaType == "application/*"
		if q := weight(params["q"]); known && q > quality {
			best, quality = f, q
		}
	}
	return best
}

func weight(q string) float64 {
	if w, err := strconv.ParseFloat(q, 64); err == nil {
		return w
	}
	return 1
}

func formatOf(mediaType string) (Format, bool) {
	switch mediaType {
	case "application/json":
		return FormatJSON, true
	case "application/xml", "text/xml":
		return FormatXML, true
	}
	return FormatXML, false
}
