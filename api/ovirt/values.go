package ovirt

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/api/rest"
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

// boolean is written "true" or "false" in XML, and as a string in JSON too. It
// is read from a native JSON value as well.
type boolean bool

func (b boolean) MarshalText() ([]byte, error) {
	return strconv.AppendBool(nil, bool(b)), nil
}

func (b *boolean) UnmarshalText(text []byte) error {
	switch strings.TrimSpace(string(text)) {
	case "true", "1":
		*b = true
	case "false", "0":
		*b = false
	default:
		return rest.Refuse(rest.ErrValue, `Value "%s" isn't a valid boolean, it should be "true", "false", "0" or "1".`, text)
	}
	return nil
}

func (b *boolean) UnmarshalJSON(data []byte) error {
	return b.UnmarshalText(unquote(data))
}

// integer is a 32-bit integer, written as a string in JSON and read from a
// native JSON value as well.
type integer int

func (i integer) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(i), 10), nil
}

func (i *integer) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	switch {
	case err != nil:
		return rest.Refuse(rest.ErrValue, `Value "%s" isn't a valid integer.`, text)
	case n > math.MaxInt32:
		return rest.Refuse(rest.ErrValue, "Value %d is greater than maximum integer %d.", n, math.MaxInt32)
	case n < math.MinInt32:
		return rest.Refuse(rest.ErrValue, "Value %d is less than minimum integer %d.", n, math.MinInt32)
	}
	*i = integer(n)
	return nil
}

func (i *integer) UnmarshalJSON(data []byte) error {
	return i.UnmarshalText(unquote(data))
}

// unquote takes the quotes from a JSON string that holds a number or boolean.
func unquote(data []byte) []byte {
	if len(data) >= 2 && data[0] == '"' {
		return data[1 : len(data)-1]
	}
	return data
}

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
	return d.UnmarshalText(unquote(data))
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
