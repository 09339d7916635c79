package rest

import (
	"bytes"
	"encoding"
	"encoding/json"
	"encoding/xml"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Clients of oVirt send more than isonet has, so that unknown keys of a body are ignored.
// A key that is only misspelt must not be: its sender is told in a header.
const (
	// warningHeader is that of RFC 7234 section 5.5, and warningCode the one of a
	// warning that is kept.
	warningHeader = "Warning"
	warningCode   = "299 isonet "
	// maxUnknown bounds the keys that are told, and maxKey what is told of each in bytes.
	maxUnknown = 8
	maxKey     = 200
)

// tellUnknown tells the client which keys of a body mean nothing.
func (c *Call) tellUnknown(f Format, data []byte, into any) {
	u := unknown{form: "xml", seen: map[reflect.Type]map[string]reflect.Type{}}
	if f == FormatJSON {
		u.form = "json"
		u.lookJSON(data, into)
	} else {
		u.lookXML(data, into)
	}
	for i, path := range u.paths {
		if i == maxUnknown {
			c.warn("The body has more unknown keys, which were ignored.")
			return
		}
		c.warn("The body has the unknown key " + path + ", which was ignored.")
	}
}

// warn adds a warning, whose text is in quotes.
func (c *Call) warn(text string) {
	c.w.Header().Add(warningHeader, warningCode+strconv.QuoteToASCII(text))
}

// unknown are the paths of unknown keys, in the order of the body. There is one more
// than are told.
type unknown struct {
	paths []string
	// form is that of the body, and seen has what membersOf said.
	form string
	seen map[reflect.Type]map[string]reflect.Type
}

func (u *unknown) membersOf(t reflect.Type) map[string]reflect.Type {
	members, seen := u.seen[t]
	if !seen {
		members = membersOf(t, u.form)
		u.seen[t] = members
	}
	return members
}

// look adds a key of an object with members, nil where anything is known, unless it is
// one of them. It returns the path of what is below a known one: below others nothing is
// looked for, and a path of keys that a client made up could have any length.
func (u *unknown) look(path, key string, known bool, members map[string]reflect.Type) string {
	switch {
	case known:
		return join(path, key)
	case members != nil && len(u.paths) <= maxUnknown:
		u.add(join(path, key))
	}
	return ""
}

func (u *unknown) add(path string) {
	if len(path) > maxKey {
		path = path[:maxKey] + "..."
	}
	if !slices.Contains(u.paths, path) {
		u.paths = append(u.paths, path)
	}
}

// lookJSON looks through a body that was decoded before.
func (u *unknown) lookJSON(data []byte, into any) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	u.valueJSON(decoder, reflect.TypeOf(into), "")
}

// valueJSON reads the value that comes next. The type is nil where anything is known.
func (u *unknown) valueJSON(decoder *json.Decoder, t reflect.Type, path string) {
	token, err := decoder.Token()
	if err != nil {
		return // what is wrong was told
	}
	members := u.membersOf(t)
	switch token {
	case json.Delim('['):
		for decoder.More() {
			u.valueJSON(decoder, t, path)
		}
	case json.Delim('{'):
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return
			}
			key, _ := name.(string)
			below, known := members[strings.ToLower(key)]
			u.valueJSON(decoder, below, u.look(path, key, known, members))
		}
	default:
		return
	}
	_, _ = decoder.Token() // the end of it
}

// lookXML looks through a body that was decoded before.
func (u *unknown) lookXML(data []byte, into any) {
	decoder := xml.NewDecoder(bytes.NewReader(data))
	decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	type element struct {
		path string
		t    reflect.Type
	}
	var open []element
	for {
		token, err := decoder.Token()
		if err != nil { // which is the end, or was told
			return
		}
		switch t := token.(type) {
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.StartElement:
			at := element{t: reflect.TypeOf(into)}
			if len(open) > 0 {
				parent := open[len(open)-1]
				members := u.membersOf(parent.t)
				below, known := members[t.Name.Local]
				at = element{u.look(parent.path, t.Name.Local, known, members), below}
			}
			u.attributes(t, at.path, at.t)
			open = append(open, at)
		}
	}
}

func (u *unknown) attributes(e xml.StartElement, path string, t reflect.Type) {
	members := u.membersOf(t)
	for _, a := range e.Attr {
		if a.Name.Space != "" || a.Name.Local == "xmlns" {
			continue
		}
		_, known := members[a.Name.Local]
		u.look(path, a.Name.Local, known, members)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// membersOf returns the types of the members of what is decoded into a type, by their
// names in a form. It is nil where anything is known: in what reads itself, and in what
// has no members.
func membersOf(t reflect.Type, form string) map[string]reflect.Type {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		if readsItself(t) {
			return nil
		}
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || readsItself(reflect.PointerTo(t)) {
		return nil
	}
	members := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get(form), ",")
		if name == "-" || name == "" || field.PkgPath != "" {
			continue
		}
		if form == "json" {
			name = strings.ToLower(name) // as json.Unmarshal takes them
		}
		members[name] = field.Type
	}
	return members
}

// readsItself reports whether a type has its own way to be decoded.
func readsItself(t reflect.Type) bool {
	for _, own := range []reflect.Type{
		reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[xml.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if t.Implements(own) {
			return true
		}
	}
	return false
}
