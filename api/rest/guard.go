package rest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// The standard decoders accept more than a client can mean, and need up to a
// hundred times the memory of the body for it. The guards of this file Refuse
// it.
const (
	// maxDepth bounds the nesting of a body. The deepest request of an oVirt
	// client has 7 levels.
	maxDepth = 32
	// maxParts bounds the elements of an XML body, and the keys and values of a
	// JSON body. Ten thousand attachments have about 50,000.
	maxParts = 100_000
	// maxAttributes bounds the attributes of an element. oVirt's have two.
	maxAttributes = 64
)

func tooMany(most int) error {
	return Refuse(ErrTooLarge, "The body has more than %d parts: send less at once.", most)
}

func tooDeep() error {
	return Refuse(ErrSyntax, "The body is nested deeper than %d levels.", maxDepth)
}

// decodeXML reads a body that is one element. Of elements that are given again
// where one is meant the last value counts, as in the oVirt engine.
func decodeXML(data []byte, into Document) error {
	tokens := xml.NewDecoder(bytes.NewReader(data))
	tokens.CharsetReader = func(name string, in io.Reader) (io.Reader, error) {
		if _, known := charsetOf(name); known {
			return in, nil // it is in UTF-8 by now
		}
		return nil, Refuse(ErrSyntax, "The body declares the encoding %q: "+supportedCharsets+".", name)
	}
	g := &guardXML{tokens: tokens, root: into.Element()}
	err := xml.NewTokenDecoder(g).Decode(into)
	for err == nil {
		_, err = g.Token() // nothing may follow the element
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// guardXML passes the tokens of a body on and refuses what xml.Decoder would
// accept or skip: another root element, document type definitions, namespaces,
// deep nesting and anything after the root.
type guardXML struct {
	tokens                 *xml.Decoder
	root                   string
	depth, roots, elements int
}

// Token returns the next token; io.EOF after the root element.
func (g *guardXML) Token() (xml.Token, error) {
	token, err := g.tokens.Token()
	if errors.Is(err, io.EOF) && g.roots == 0 {
		return nil, Refuse(ErrSyntax, "The body is empty: send an element <%s>.", g.root)
	}
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case xml.StartElement:
		return g.start(t)
	case xml.EndElement:
		g.depth--
	case xml.CharData:
		if g.depth == 0 && len(bytes.TrimSpace(t)) > 0 {
			return nil, Refuse(ErrSyntax, "The body has text outside of the element <%s>.", g.root)
		}
	case xml.Directive:
		return nil, Refuse(ErrSyntax, "The body must not have a document type definition or entities.")
	case xml.ProcInst:
		if t.Target != "xml" || g.roots > 0 {
			return nil, Refuse(ErrSyntax, "The body must not have the processing instruction %q.", t.Target)
		}
	}
	return token, nil
}

func (g *guardXML) start(t xml.StartElement) (xml.Token, error) {
	if t.Name.Space != "" {
		return nil, Refuse(ErrSyntax, "The element <%s> is in the namespace %q: the API's elements are in none.", t.Name.Local, t.Name.Space)
	}
	if g.depth == 0 {
		g.roots++
	}
	if g.depth == 0 && (g.roots > 1 || t.Name.Local != g.root) {
		return nil, Refuse(ErrSyntax, "The body must be one element <%s>, but it has <%s>.", g.root, t.Name.Local)
	}
	if g.depth++; g.depth > maxDepth {
		return nil, tooDeep()
	}
	if g.elements++; g.elements > maxParts {
		return nil, tooMany(maxParts)
	}
	if len(t.Attr) > maxAttributes {
		return nil, Refuse(ErrSyntax, "The element <%s> has %d attributes; the limit is %d.", t.Name.Local, len(t.Attr), maxAttributes)
	}
	for i, a := range t.Attr {
		if slices.ContainsFunc(t.Attr[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
			return nil, Refuse(ErrSyntax, "The element <%s> has the attribute %q twice.", t.Name.Local, a.Name.Local)
		}
	}
	// Else xmlns:id would be taken for the id.
	t.Attr = slices.DeleteFunc(t.Attr, func(a xml.Attr) bool { return a.Name.Space != "" })
	return t, nil
}

// guardJSON refuses a body that is no object, deep nesting, keys that stand
// twice in an object, and nulls in arrays. Anything after the object is left to
// json.Unmarshal.
func guardJSON(data []byte, parts int) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // a number of any size is for its reader to judge
	at := place{most: parts}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return Refuse(ErrSyntax, "The body is empty or ends too early: send one JSON object.")
		}
		if err != nil {
			return err
		}
		if err := at.add(token); err != nil {
			return err
		}
		if len(at.levels) == 0 {
			return nil
		}
	}
}

// place is where a reader of a JSON body is.
type place struct {
	parts  int
	most   int     // parts
	levels []level // the objects and arrays that are open, the outermost first
}

type level struct {
	keys map[string]bool // nil for an array
	// keyed says that a key has come and its value has not.
	keyed bool
}

func (p *place) add(token json.Token) error {
	delimiter, _ := token.(json.Delim)
	depth := len(p.levels)
	if delimiter == '}' || delimiter == ']' {
		p.levels = p.levels[:depth-1]
		return nil
	}
	if p.parts++; p.parts > p.most {
		return tooMany(p.most)
	}
	if depth == 0 && delimiter != '{' {
		return Refuse(ErrSyntax, "The body must be a JSON object.")
	}
	if depth > 0 {
		if err := p.levels[depth-1].add(token); err != nil {
			return err
		}
	}
	if delimiter == 0 {
		return nil
	}
	if depth == maxDepth {
		return tooDeep()
	}
	inner := level{}
	if delimiter == '{' {
		inner.keys = map[string]bool{}
	}
	p.levels = append(p.levels, inner)
	return nil
}

// add takes a key or the beginning of a value.
func (l *level) add(token json.Token) error {
	if l.keys == nil {
		if token == nil {
			return Refuse(ErrSyntax, "The body has a null in an array: leave it out.")
		}
		return nil
	}
	if l.keyed {
		l.keyed = false
		return nil
	}
	l.keyed = true
	key, _ := token.(string)
	// json.Unmarshal takes keys for the same whose letters differ in case.
	folded := strings.ToLower(strings.ToUpper(key))
	if l.keys[folded] {
		return Refuse(ErrSyntax, "The body has the member %q twice in one object.", key)
	}
	l.keys[folded] = true
	return nil
}
