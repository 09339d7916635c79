package ovirt

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/wire"
)

// The structures of entities.go are oVirt's representations. XML and JSON are
// read into and written from the same ones: the field tags give the names, and
// the small types of this file give the forms in which both differ. A pointer
// tells an absent member from an empty one. Fields stand in the order in which
// the oVirt engine writes them.

// entity has what every oVirt object has. Alone it is a reference.
type entity struct {
	Href string `xml:"href,attr,omitempty" json:"href,omitempty"`
	ID   string `xml:"id,attr,omitempty" json:"id,omitempty"`
}

func (e entity) Location() string { return e.Href }

type linkDTO struct {
	Href string `xml:"href,attr" json:"href"`
	Rel  string `xml:"rel,attr" json:"rel"`
}

type linksDTO struct {
	Link []linkDTO `xml:"link" json:"link,omitempty"`
}

type (
	boolean = wire.Boolean
	integer = wire.Integer
)

// decimal holds plain digits, so that a 64-bit counter loses none. It is a
// number in JSON.
type decimal string

func (d decimal) MarshalJSON() ([]byte, error) {
	if d == "" {
		return []byte("null"), nil
	}
	return []byte(d), nil
}

func (d *decimal) UnmarshalText(text []byte) error {
	text = bytes.TrimSpace(text)
	if len(text) > 0 && (!json.Valid(text) || strings.ContainsAny(string(text[:1]), `"[{tfn`)) {
		return rest.Refuse(rest.ErrValue, `Value "%s" isn't a valid decimal.`, text)
	}
	*d = decimal(text)
	return nil
}

func (d *decimal) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	return d.UnmarshalText(wire.Unquote(data))
}

func counter(n uint64) decimal { return decimal(strconv.FormatUint(n, 10)) }

func gauge(x float64) decimal { return decimal(strconv.FormatFloat(x, 'f', -1, 64)) }

// timestamp is RFC 3339 with milliseconds and offset in XML, and milliseconds
// since 1970 in JSON.
type timestamp time.Time

func (t timestamp) MarshalText() ([]byte, error) {
	return time.Time(t).AppendFormat(nil, "2006-01-02T15:04:05.000-07:00"), nil
}

func (t timestamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, time.Time(t).UnixMilli(), 10), nil
}

// shown is a member that replies have. Requests may have it too, in whatever form: who
// sends back what he read means nothing by it.
type shown[T any] struct{ value *T }

func (s shown[T]) IsZero() bool { return s.value == nil }

func (s shown[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // as in the rest of the document
	err := e.Encode(s.value)
	return b.Bytes(), err
}

func (*shown[T]) UnmarshalJSON([]byte) error { return nil }

func (s shown[T]) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if s.value == nil {
		return nil
	}
	return e.EncodeElement(s.value, start)
}

func (*shown[T]) UnmarshalXML(d *xml.Decoder, _ xml.StartElement) error { return d.Skip() }

// search is what a search compares a time with: UTC, in an order of texts.
func (t timestamp) search() string { return time.Time(t).UTC().Format("2006-01-02 15:04:05") }

// value returns what p points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// emptyList is a collection that isonet never has members of.
type emptyList struct{ name string }

func (e emptyList) Element() string { return e.name }
