package api

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/isonet/isonet/model"
)

// format is a form of representation.
type format int

const (
	formatXML format = iota // oVirt's default
	formatJSON
)

const (
	prolog = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	// maxDepth bounds the nesting of a body. The deepest request of an oVirt
	// client has 7 levels.
	maxDepth = 32
)

func (f format) contentType() string {
	if f == formatJSON {
		return "application/json"
	}
	return "application/xml;charset=UTF-8"
}

// encode writes a document.
func (f format) encode(d document) ([]byte, error) {
	var b bytes.Buffer
	if f == formatJSON {
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err := e.Encode(d)
		return b.Bytes(), err
	}
	b.WriteString(prolog)
	e := xml.NewEncoder(&b)
	e.Indent("", "    ")
	if err := e.EncodeElement(d, xml.StartElement{Name: xml.Name{Local: d.element()}}); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// decode reads a whole body. What the document does not know is ignored, as
// oVirt's clients send more than isonet has; what it knows must be right.
func (f format) decode(data []byte, into document) error {
	if !utf8.Valid(data) {
		return refuse(errSyntax, "The body is not valid UTF-8: send it in that encoding.")
	}
	var err error
	if f == formatJSON {
		if err = guardJSON(data); err == nil {
			err = json.Unmarshal(data, into)
		}
	} else {
		if err = guardXML(data, into.element()); err == nil {
			err = xml.Unmarshal(data, into)
		}
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
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return refuse(errValue, "The member %q must not be a JSON %s.", wrong.Field, wrong.Value)
	}
	return refuse(errSyntax, "The body cannot be read: %s.", strings.TrimSuffix(err.Error(), "."))
}

// guardXML refuses what xml.Unmarshal would accept or skip: another root
// element, document type definitions, deep nesting and anything after the root.
func guardXML(data []byte, root string) error {
	decoder := xml.NewDecoder(bytes.NewReader(data))
	depth, roots := 0, 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && roots > 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return refuse(errSyntax, "The body is empty: send an element <%s>.", root)
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			if depth == 0 && (roots > 1 || t.Name.Local != root) {
				return refuse(errSyntax, "The body must be one element <%s>, but it has <%s>.", root, t.Name.Local)
			}
			if depth++; depth > maxDepth {
				return refuse(errSyntax, "The body is nested deeper than %d elements.", maxDepth)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return refuse(errSyntax, "The body has text outside of the element <%s>.", root)
			}
		case xml.Directive:
			return refuse(errSyntax, "The body must not have a document type definition or entities.")
		case xml.ProcInst:
			if t.Target != "xml" {
				return refuse(errSyntax, "The body must not have the processing instruction %q.", t.Target)
			}
		}
	}
}

// guardJSON refuses a body that is no object, and deep nesting. Anything after
// the object is left to json.Unmarshal.
func guardJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	for depth := 0; ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return refuse(errSyntax, "The body is empty or ends too early: send one JSON object.")
		}
		if err != nil {
			return err
		}
		delimiter, _ := token.(json.Delim)
		switch {
		case depth == 0 && delimiter != '{':
			return refuse(errSyntax, "The body must be a JSON object.")
		case delimiter == '{' || delimiter == '[':
			if depth++; depth > maxDepth {
				return refuse(errSyntax, "The body is nested deeper than %d levels.", maxDepth)
			}
		case delimiter == '}' || delimiter == ']':
			if depth--; depth == 0 {
				return nil
			}
		}
	}
}

// requestFormat returns the form of a request's body. A body without a type is
// XML.
func requestFormat(h http.Header) (format, error) {
	if coding := h.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return 0, refuse(errMediaType, "The content encoding %q is not supported: send the body as it is.", coding)
	}
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return formatXML, nil
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	f, known := formatOf(mediaType)
	if err != nil || !known {
		return 0, refuse(errMediaType, "The content type %q is not supported: use application/xml or application/json.", contentType)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return 0, refuse(errMediaType, "The character set %q is not supported: use UTF-8.", charset)
	}
	return f, nil
}

// responseFormat returns the form that the client prefers: by the query
// parameter accept, else by the header Accept (RFC 9110 section 12.5.1). Who
// prefers none of both gets XML.
func responseFormat(r *http.Request) format {
	accept := r.URL.Query().Get("accept")
	if accept == "" {
		accept = strings.Join(r.Header.Values("Accept"), ",")
	}
	best, quality := formatXML, 0.0
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

func formatOf(mediaType string) (format, bool) {
	switch mediaType {
	case "application/json":
		return formatJSON, true
	case "application/xml", "text/xml":
		return formatXML, true
	}
	return formatXML, false
}
