// Package strictyaml reads files that people write, in YAML or JSON, into
// structs. A value is what stands in the file, or it is refused with its place:
// nothing is guessed, such as a text of an octal number.
package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a file.
const (
	maxSize     = 8 << 20 // bytes
	maxMistakes = 1000    // that are told
	maxDepth    = 100     // of nesting: the parser's memory grows with its square
)

// Position is a place in a file, counted from 1.
type Position struct{ Line, Column int }

// Mistake is one thing that is wrong with a file.
type Mistake struct {
	File string
	Position
	Text string
}

// Error is FILE:LINE:COLUMN: TEXT.
func (m Mistake) Error() string { return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Text) }

// Mistakes are what is wrong with a file, in its order.
type Mistakes []Mistake

// Error has a line for each.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Decode reads a document into a struct, whose members have the tag yaml: texts,
// numbers (int), booleans, pointers to them, lists and structs. What the document
// does not name stays as it is; an empty one names nothing. It returns Mistakes: a
// syntax error, or all that is not as the struct has it. Check is called when the
// struct is read, also with mistakes, and returns what else is wrong: errors of At.
// Name is the file's.
func Decode(name string, data []byte, into any, check func() []error) error {
	d := decoder{file: name, anchors: map[string]ast.Node{}, told: map[Mistake]bool{}, unread: map[Position]bool{}}
	root, readable := d.document(data, reflect.ValueOf(into).Elem())
	if readable && check != nil {
		for _, err := range check() {
			d.consequence(root, err)
		}
	}
	if len(d.mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(d.mistakes, func(a, b Mistake) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	if d.more {
		d.mistakes = append(d.mistakes, Mistake{name, Position{1, 1}, fmt.Sprintf("there are more mistakes than these %d", maxMistakes)})
	}
	return d.mistakes
}

// At says that an error is about a value of the file: the keys of maps and the
// indices of lists that lead to it.
func At(err error, path ...any) error { return &placed{path, err} }

type placed struct {
	path []any
	error
}

func (p *placed) Unwrap() error { return p.error }

type decoder struct {
	file     string
	anchors  map[string]ast.Node
	mistakes Mistakes
	told     map[Mistake]bool
	unread   map[Position]bool // values that could not be read
	more     bool
}

func (d *decoder) wrong(at Position, format string, args ...any) {
	one := Mistake{d.file, at, strings.Map(printable, fmt.Sprintf(format, args...))}
	switch {
	case d.told[one]: // an alias repeats it
	case len(d.mistakes) == maxMistakes:
		d.more = true
	default:
		d.mistakes = append(d.mistakes, one)
		d.told[one] = true
	}
}

// consequence tells what a check found, unless the check has not seen the value,
// because it could not be read.
func (d *decoder) consequence(root ast.Node, err error) {
	at := Position{1, 1}
	if one, ok := errors.AsType[*placed](err); ok && root != nil {
		at = d.place(root, one.path)
	}
	if !d.unread[at] {
		d.wrong(at, "%v", err)
	}
}

// place returns where a value is, or what is nearest to it. What an alias stands for
// is where the alias is.
func (d *decoder) place(n ast.Node, path []any) Position {
	at := start(n)
	if _, alias := n.(*ast.AliasNode); alias || len(path) == 0 {
		return at
	}
	n = d.resolve(n)
	switch step := path[0].(type) {
	case int:
		if list, ok := n.(*ast.SequenceNode); ok {
			return d.place(list.Values[step], path[1:])
		}
	case string:
		if m, ok := n.(ast.MapNode); ok {
			for members := m.MapRange(); members.Next(); {
				if members.Key().GetToken().Value == step {
					return d.place(members.Value(), path[1:])
				}
			}
		}
	}
	return at
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// document reads a file. Root is nil if it has none, and readable says whether the
// struct has what is in it.
func (d *decoder) document(data []byte, to reflect.Value) (root ast.Node, readable bool) {
	if len(data) > maxSize {
		d.wrong(Position{1, 1}, "the file is larger than %d MiB: split it", maxSize>>20)
		return nil, false
	}
	if good := validUTF8(data); good < len(data) {
		line := bytes.Count(data[:good], []byte("\n"))
		d.wrong(Position{line + 1, good - bytes.LastIndexByte(data[:good], '\n')}, "this is not UTF-8")
		return nil, false
	}
	tokens := withoutEmptyDocuments(lexer.Tokenize(strings.TrimPrefix(string(data), "\ufeff")))
	if deep := tooDeep(tokens); deep != nil {
		d.wrong(position(deep), "this is nested deeper than %d levels", maxDepth)
		return nil, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, text := Position{1, 1}, err.Error()
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			at, text = position(syntax.Token), syntax.Message
			if strings.Contains(text, "'\t'") { // which the message would show as a blank
				text = "a line begins with a tab: indent with blanks"
			}
		}
		d.wrong(at, "%s", text)
		return nil, false
	}
	var bodies []ast.Node
	for _, document := range file.Docs {
		switch document.Body.(type) {
		case nil, *ast.DirectiveNode, *ast.CommentGroupNode: // an empty document says nothing
		default:
			bodies = append(bodies, document.Body)
		}
	}
	if len(bodies) == 0 {
		return nil, true
	}
	if len(bodies) > 1 {
		d.wrong(start(bodies[1]), "the file has more than one document: put all in one")
	}
	ast.Walk(d, bodies[0])
	d.value(bodies[0], to)
	return bodies[0], true
}

// withoutEmptyDocuments drops the beginnings of documents that have nothing: the
// parser would ignore all that comes after one.
func withoutEmptyDocuments(tokens token.Tokens) (kept token.Tokens) {
	empty := true // what begins at the last header that was seen, going backwards
	var dropped []int
	for i := len(tokens) - 1; i >= 0; i-- {
		switch tokens[i].Type {
		case token.DocumentHeaderType:
			if empty {
				dropped = append(dropped, i)
			}
			empty = true
		case token.CommentType:
		default:
			empty = false
		}
	}
	for i, t := range tokens {
		if len(dropped) > 0 && dropped[len(dropped)-1] == i {
			dropped = dropped[:len(dropped)-1]
			continue
		}
		kept.Add(t)
	}
	return kept
}

// tooDeep returns the token with which brackets, or indicators in a row, are nested
// too deep; nil if none are.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, row := 0, 0
	for _, t := range tokens {
		row++
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets, row = brackets-1, 0
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
		default:
			row = 0
		}
		if brackets > maxDepth || row > maxDepth {
			return t
		}
	}
	return nil
}

// validUTF8 returns how many bytes of the beginning are UTF-8.
func validUTF8(data []byte) (good int) {
	for good < len(data) {
		r, size := utf8.DecodeRune(data[good:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		good += size
	}
	return good
}

// Visit finds the anchors.
func (d *decoder) Visit(n ast.Node) ast.Visitor {
	if anchor, ok := n.(*ast.AnchorNode); ok {
		name := anchor.Name.GetToken().Value
		if _, twice := d.anchors[name]; twice {
			d.wrong(start(n), "there is an anchor '%s' already: give each a name of its own", name)
		}
		d.anchors[name] = anchor.Value
	}
	return d
}

// resolve returns what an anchor or an alias stands for; nil says nothing.
func (d *decoder) resolve(n ast.Node) ast.Node {
	switch t := n.(type) {
	case *ast.AnchorNode:
		return t.Value
	case *ast.AliasNode:
		name := t.Value.GetToken().Value
		if _, known := d.anchors[name]; !known {
			d.wrong(start(n), "there is no anchor '%s'", name)
		}
		return d.anchors[name]
	}
	return n
}

// value reads a node.
func (d *decoder) value(n ast.Node, to reflect.Value) {
	at := start(n)
	if n = d.resolve(n); n == nil {
		return
	}
	expected := ""
	_, null := n.(*ast.NullNode)
	switch to.Kind() {
	case reflect.Pointer:
		if null { // it says nothing
			return
		}
		to.Set(reflect.New(to.Type().Elem()))
		d.value(n, to.Elem())
		return
	case reflect.Struct:
		if m, ok := n.(ast.MapNode); ok {
			d.members(m, to)
			return
		}
		expected = "a map with the keys " + strings.Join(keys(to.Type()), ", ")
	case reflect.Slice:
		if null {
			return
		}
		if list, ok := n.(*ast.SequenceNode); ok {
			d.items(list, to)
			return
		}
		expected = "a list"
	case reflect.Int:
		text := n.GetToken().Value
		number, err := strconv.Atoi(text)
		if _, ok := n.(*ast.IntegerNode); ok && err == nil && strconv.Itoa(number) == text {
			to.SetInt(int64(number))
			return
		}
		expected = "a number such as 1400" + asWritten(n)
		if _, ok := n.(*ast.IntegerNode); ok {
			expected += ", in decimal digits without a leading zero"
		}
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok && strconv.FormatBool(b.Value) == n.GetToken().Value {
			to.SetBool(b.Value)
			return
		}
		expected = "true or false" + asWritten(n)
	default:
		if text, ok := text(n); ok {
			to.SetString(text)
			return
		}
		expected = "a text"
		if _, ok := n.(*ast.StringNode); ok {
			expected = "a text; one that has tabs needs quotes"
		}
	}
	d.unread[at] = true
	d.wrong(at, "expected %s", expected)
}

// asWritten says what is wrong with the way in which a number or a boolean is written.
func asWritten(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BoolNode:
		return ", in lower case"
	case *ast.StringNode:
		if n.Token.Type != token.StringType {
			return ", without quotes"
		}
	}
	return ""
}

// text returns a scalar as it is written. A key without a value has an empty one.
func text(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		// The parser drops tabs of a text without quotes.
		written, read := strings.Fields(t.Token.Origin), strings.Fields(t.Value)
		return t.Value, t.Token.Type != token.StringType || slices.Equal(written, read)
	case *ast.NullNode:
		return "", t.Token.Type == token.ImplicitNullType
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func (d *decoder) items(list *ast.SequenceNode, to reflect.Value) {
	to.Set(reflect.MakeSlice(to.Type(), len(list.Values), len(list.Values)))
	for i, n := range list.Values {
		if d.more {
			return // many aliases of what is wrong take no time
		}
		d.value(n, to.Index(i))
	}
}

func (d *decoder) members(m ast.MapNode, to reflect.Value) {
	known := keys(to.Type())
	seen := map[string]Position{}
	for members := m.MapRange(); members.Next(); {
		key := members.Key().GetToken()
		here := position(key)
		before, twice := seen[key.Value]
		seen[key.Value] = here
		switch {
		case twice:
			d.wrong(here, "the key '%s' is there already, in line %d", key.Value, before.Line)
		case !slices.Contains(known, key.Value):
			d.wrong(here, "unknown key '%s': use %s", key.Value, strings.Join(known, ", "))
		default:
			d.value(members.Value(), member(to, key.Value))
		}
	}
}

// keys are those of a struct's members.
func keys(t reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(t) {
		if name := field.Tag.Get("yaml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func member(of reflect.Value, key string) reflect.Value {
	for _, field := range reflect.VisibleFields(of.Type()) {
		if field.Tag.Get("yaml") == key {
			return of.FieldByIndex(field.Index)
		}
	}
	return reflect.Value{}
}

// start is where a node begins. The token of a map is its first colon.
func start(n ast.Node) Position {
	if m, ok := n.(ast.MapNode); ok {
		if members := m.MapRange(); n.GetToken().Type == token.MappingValueType && members.Next() {
			return position(members.Key().GetToken())
		}
	}
	return position(n.GetToken())
}

func position(t *token.Token) Position { return Position{t.Position.Line, t.Position.Column} }
