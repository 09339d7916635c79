package ovsdb

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Reader reads JSON of a known form, such as the messages of an OVSDB server,
// without a detour by Go values. After a failure it does nothing.
type Reader struct {
	decoder *jsontext.Decoder
	raw     jsontext.Value
	err     error
}

// NewReader returns a reader of one JSON value.
func NewReader(raw []byte) *Reader {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return &Reader{decoder: decoder, raw: raw}
}

// Failure returns what kept the reader from understanding the value.
func (r *Reader) Failure() error {
	if r.err != nil {
		return fmt.Errorf("understand the server: %w", r.err)
	}
	return nil
}

// Peek returns the kind of what comes next, see jsontext.Kind.
func (r *Reader) Peek() jsontext.Kind { return r.decoder.PeekKind() }

// Value returns the next value as it is. It is a part of what is read.
func (r *Reader) Value() jsontext.Value {
	if r.err != nil {
		return nil
	}
	v, err := r.decoder.ReadValue()
	if err != nil {
		r.err = err
		return nil
	}
	end := r.decoder.InputOffset()
	return r.raw[end-int64(len(v)) : end]
}

// Text returns what is in a string. It may be a part of what is read.
func (r *Reader) Text() []byte {
	v := r.Value()
	switch {
	case r.err != nil:
		return nil
	case v.Kind() != '"':
		r.fail("%.20s is not a string", v)
		return nil
	case bytes.IndexByte(v, '\\') < 0:
		return v[1 : len(v)-1]
	}
	text, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		r.fail("%.20s is not a string", v)
	}
	return text
}

// Integer reads a whole number.
func (r *Reader) Integer() int64 {
	v := r.Value()
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		r.fail("%.20s is not an integer", v)
	}
	return n
}

// OptionalInteger reads a column that holds one integer or none; 0 is none.
func (r *Reader) OptionalInteger() (n int64) {
	if r.Peek() != '[' {
		return r.Integer()
	}
	r.Value() // ["set",[]]
	return 0
}

// Object calls member with every name of an object, to read the value.
func (r *Reader) Object(member func(name []byte)) {
	if !r.open('{') {
		return
	}
	for r.err == nil && r.Peek() != '}' {
		if name := r.Text(); r.err == nil {
			member(name)
		}
	}
	r.close()
}

// Array calls element for every element of an array, to read it.
func (r *Reader) Array(element func()) {
	if !r.open('[') {
		return
	}
	for r.err == nil && r.Peek() != ']' {
		element()
	}
	r.close()
}

// Pairs calls value with every key of a map column, to read the value:
// ["map",[[KEY,VALUE],...]] (RFC 7047 section 5.1).
func (r *Reader) Pairs(value func(key []byte)) {
	r.pairs(func() {
		if key := r.Text(); r.err == nil {
			value(key)
		}
	})
}

// pairs calls pair for every pair of a map column, to read key and value.
func (r *Reader) pairs(pair func()) {
	if !r.open('[') {
		return
	}
	r.Value()
	r.Array(func() {
		if r.open('[') {
			pair()
			r.close()
		}
	})
	r.close()
}

// Set calls atom for every element of a set column, to read it. A set of one
// may be the element alone (RFC 7047 section 5.1).
func (r *Reader) Set(atom func()) {
	if r.Peek() != '[' {
		atom()
		return
	}
	if !r.open('[') {
		return
	}
	switch kind := string(r.Text()); kind {
	case "set":
		r.Array(atom)
	case "uuid", "named-uuid": // the element alone: the caller reads what follows
		atom()
	default:
		r.fail("%q is no set", kind)
	}
	r.close()
}

func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// open reads the first token of an array or object and reports whether it is
// one.
func (r *Reader) open(kind jsontext.Kind) bool {
	if r.err != nil {
		return false
	}
	token, err := r.decoder.ReadToken()
	if err == nil && token.Kind() != kind {
		err = fmt.Errorf("%s where %s was expected", token.Kind(), kind)
	}
	r.err = err
	return err == nil
}

// close reads the last token of an array or object.
func (r *Reader) close() {
	if r.err == nil {
		_, r.err = r.decoder.ReadToken()
	}
}
