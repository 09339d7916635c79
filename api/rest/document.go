package rest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"iter"
	"strconv"
)

// Document is a representation that can be a whole body.
type Document interface {
	// Element returns the name of the XML root element.
	Element() string
}

// timed is a Document that tells the time, which makes it no other reply: its tag is
// that of the rest.
type timed interface {
	Timeless() Document
}

// List is a document whose members are made one by one, each just before it is written.
// So a list of any length takes the memory of its largest member.
type List struct {
	// Name is that of the XML root element. It does not stand in JSON.
	Name string
	// Members are all of one kind. A long list is written twice: each time they must be
	// the same.
	Members iter.Seq[Document]
}

// Element returns the name of the XML root element.
func (l List) Element() string { return l.Name }

// MarshalXML writes what encoding/xml writes of a structure that has a slice.
func (l List) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for member := range l.Members {
		if err := e.EncodeElement(member, xml.StartElement{Name: xml.Name{Local: member.Element()}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// writeJSON writes what encoding/json writes of a structure that has a slice, which is
// left out when it is empty. encoding/json would hold all of it before it writes any.
func (l List) writeJSON(w io.Writer) error {
	const outer, inner = "\n" + jsonIndent, "\n" + jsonIndent + jsonIndent
	var b bytes.Buffer
	e := jsonEncoder(&b, jsonIndent+jsonIndent)
	before, end := "", "{}\n"
	for member := range l.Members {
		if before == "" {
			before, end = "{"+outer+strconv.Quote(member.Element())+": [", outer+"]\n}\n"
		} else {
			before = ","
		}
		b.WriteString(before + inner)
		if err := e.Encode(member); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the newline after each value
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, end)
	return err
}

const jsonIndent = "  "

// jsonEncoder writes JSON as all documents have it, within what is indented by prefix.
func jsonEncoder(w io.Writer, prefix string) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, jsonIndent)
	return e
}
