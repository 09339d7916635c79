package ovirt

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/isonet/isonet/api/rest"
)

const (
	// maxSearch bounds a search in bytes, maxTerms in terms.
	maxSearch = 4096
	maxTerms  = 64
	// pageSize is how many objects a page has when max does not say it.
	pageSize = 100
)

// query is a search in oVirt's language. All of its groups must hold, of a
// group any of the alternatives, and of an alternative all of the terms: 'and'
// binds stronger than 'or', and terms without a word between them are groups of
// their own.
type query struct {
	groups [][][]term
	// sortby is a field, "" for the order of the list.
	sortby     string
	descending bool
	// page counts from 1; 0 means that there are no pages.
	page int
}

// term is one condition. A '*' in the value of a text stands for any text.
type term struct{ field, relation, value string }

// parseQuery reads
//
//	term [[and|or] term]... [sortby field [asc|desc]] [page number]
//
// where each part may be absent and a term is 'field relation value'. A value
// with blanks stands in double quotes. Words are case-insensitive.
func parseQuery(text string) (query, error) {
	if len(text) > maxSearch {
		return query{}, rest.Refuse(rest.ErrValue, "The search has %d bytes: use at most %d.", len(text), maxSearch)
	}
	p := parser{text: text, rest: text}
	q, next, err := p.terms()
	if err != nil {
		return query{}, err
	}
	if next == "sortby" {
		if q.sortby = p.word(); q.sortby == "" {
			return query{}, p.refuse("a field must follow 'sortby'")
		}
		next = p.word()
		if q.descending = next == "desc"; q.descending || next == "asc" {
			next = p.word()
		}
	}
	if next == "page" {
		if q.page, err = p.number(); err != nil {
			return query{}, err
		}
		next = p.word()
	}
	if next != "" || p.rest != "" {
		return query{}, p.refuse("nothing but 'page' can follow 'sortby', and nothing a page")
	}
	return q, nil
}

// parser takes a search apart from the left.
type parser struct{ text, rest string }

// terms reads all terms and returns the word after them.
func (p *parser) terms() (q query, next string, err error) {
	for count := 0; ; count++ {
		next = p.word()
		if next == "sortby" || next == "page" || (next == "" && p.rest == "") {
			return q, next, nil
		}
		if count == maxTerms {
			return q, "", p.refuse("it has more than " + strconv.Itoa(maxTerms) + " terms")
		}
		joint := ""
		if count > 0 && (next == "and" || next == "or") {
			joint, next = next, p.word()
		}
		t, err := p.term(next)
		if err != nil {
			return q, "", err
		}
		q.add(joint, t)
	}
}

func (q *query) add(joint string, t term) {
	switch joint {
	case "and":
		group := q.groups[len(q.groups)-1]
		group[len(group)-1] = append(group[len(group)-1], t)
	case "or":
		group := &q.groups[len(q.groups)-1]
		*group = append(*group, []term{t})
	default:
		q.groups = append(q.groups, [][]term{{t}})
	}
}

// word takes the letters, dots and underscores that come next, in lower case.
func (p *parser) word() string {
	p.skipBlanks()
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return r != '_' && r != '.' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if end < 0 {
		end = len(p.rest)
	}
	word := strings.ToLower(p.rest[:end])
	p.rest = p.rest[end:]
	return word
}

func (p *parser) skipBlanks() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

// upToBlank takes what comes before the next blank.
func (p *parser) upToBlank() string {
	p.skipBlanks()
	end := strings.IndexFunc(p.rest, unicode.IsSpace)
	if end < 0 {
		end = len(p.rest)
	}
	taken := p.rest[:end]
	p.rest = p.rest[end:]
	return taken
}

func (p *parser) number() (int, error) {
	text := p.upToBlank()
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, p.refuse("a number from 1 must follow 'page'")
	}
	return n, nil
}

// term reads what follows a field.
func (p *parser) term(field string) (term, error) {
	p.skipBlanks()
	if strings.HasPrefix(p.rest, ":") {
		return term{}, p.refuse("leave out '" + field + ":', because the path names the collection")
	}
	t := term{field: field, relation: p.relation()}
	if field == "" || t.relation == "" {
		return term{}, p.refuse("a term has the form field=value; quote a value that has blanks")
	}
	var err error
	t.value, err = p.value()
	return t, err
}

func (p *parser) relation() string {
	for _, relation := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if rest, ok := strings.CutPrefix(p.rest, relation); ok {
			p.rest = rest
			return relation
		}
	}
	return ""
}

func (p *parser) value() (string, error) {
	p.skipBlanks()
	quoted, ok := strings.CutPrefix(p.rest, `"`)
	if !ok {
		value := p.upToBlank()
		if value == "" || strings.Contains(value, `"`) {
			return "", p.refuse("a term has the form field=value; quote a value that is empty")
		}
		return value, nil
	}
	value, after, closed := strings.Cut(quoted, `"`)
	if !closed {
		return "", p.refuse("a quote is not closed")
	}
	if p.rest = after; after != "" && after == strings.TrimLeftFunc(after, unicode.IsSpace) {
		return "", p.refuse("a blank must follow a quoted value")
	}
	return value, nil
}

func (p *parser) refuse(advice string) error {
	return rest.Refuse(rest.ErrValue, "The search '%s' is not supported: %s.", p.text, advice)
}

// field is what a search can ask of a T.
type field[T any] struct {
	// numeric says that values are integers, which have an order.
	numeric bool
	// of returns the value. It is nil for what no T ever has: oVirt's clients
	// may ask for it and find nothing.
	of func(T) string
}

// fields tells by their names what of a T can be searched and sorted by.
type fields[T any] map[string]field[T]

// find returns the items that the query parameters search, case_sensitive and
// max ask for.
func find[T any](c *rest.Call, items []T, by fields[T]) ([]T, error) {
	q, err := parseQuery(c.Query().Get("search"))
	if err != nil {
		return nil, err
	}
	holds, err := by.test(q, !c.Flag("case_sensitive"))
	if err != nil {
		return nil, err
	}
	var found []T
	for _, item := range items {
		if holds(item) {
			found = append(found, item)
		}
	}
	if err := by.sort(q, found); err != nil {
		return nil, err
	}
	return page(c, found, q.page), nil
}

// page returns the page with a number, each as large as max says; for the
// number 0 all items up to max.
func page[T any](c *rest.Call, items []T, number int) []T {
	size, limited := c.Max()
	switch {
	case number == 0:
		return rest.Limit(c, items)
	case !limited:
		size = pageSize
	case size == 0:
		return nil
	}
	for chunk := range slices.Chunk(items, size) {
		if number--; number == 0 {
			return chunk
		}
	}
	return nil
}

func (by fields[T]) named(name string) (field[T], error) {
	f, ok := by[name]
	if !ok {
		return f, rest.Refuse(rest.ErrValue, "The search is not supported: there is no field '%s' to search here; use one of %s.",
			name, strings.Join(slices.Sorted(maps.Keys(by)), ", "))
	}
	return f, nil
}

// test returns the function that tells whether a query holds for an item.
// Unless fold, the case of letters counts.
func (by fields[T]) test(q query, fold bool) (func(T) bool, error) {
	tests := make([][][]func(T) bool, len(q.groups))
	for i, group := range q.groups {
		tests[i] = make([][]func(T) bool, len(group))
		for j, alternative := range group {
			for _, t := range alternative {
				holds, err := by.testTerm(t, fold)
				if err != nil {
					return nil, err
				}
				tests[i][j] = append(tests[i][j], holds)
			}
		}
	}
	return func(item T) bool {
		return every(tests, func(group [][]func(T) bool) bool {
			return slices.ContainsFunc(group, func(alternative []func(T) bool) bool {
				return every(alternative, func(holds func(T) bool) bool { return holds(item) })
			})
		})
	}, nil
}

func every[E any](list []E, holds func(E) bool) bool {
	return !slices.ContainsFunc(list, func(e E) bool { return !holds(e) })
}

func (by fields[T]) testTerm(t term, fold bool) (func(T) bool, error) {
	f, err := by.named(t.field)
	if err != nil {
		return nil, err
	}
	holds, err := t.text(fold)
	if f.numeric {
		holds, err = t.number()
	}
	if err != nil {
		return nil, err
	}
	if f.of == nil {
		return func(T) bool { return false }, nil
	}
	return func(item T) bool { return holds(f.of(item)) }, nil
}

// text returns the test of a text.
func (t term) text(fold bool) (func(string) bool, error) {
	if t.relation != "=" && t.relation != "!=" {
		return nil, rest.Refuse(rest.ErrValue, "The search is not supported: '%s' is not a number, so use '=' or '!=' instead of '%s'.", t.field, t.relation)
	}
	pattern, equal := t.value, t.relation == "="
	if !fold {
		return func(text string) bool { return wildcard(pattern, text) == equal }, nil
	}
	pattern = strings.ToLower(pattern)
	return func(text string) bool { return wildcard(pattern, strings.ToLower(text)) == equal }, nil
}

// number returns the test of an integer in its decimal form.
func (t term) number() (func(string) bool, error) {
	want, err := strconv.Atoi(t.value)
	if err != nil {
		return nil, rest.Refuse(rest.ErrValue, "The search is not supported: '%s' is a number, and '%s' is none.", t.field, t.value)
	}
	return func(text string) bool {
		is, err := strconv.Atoi(text)
		if err != nil {
			return false
		}
		switch t.relation {
		case "!=":
			return is != want
		case "<":
			return is < want
		case "<=":
			return is <= want
		case ">":
			return is > want
		case ">=":
			return is >= want
		}
		return is == want
	}, nil
}

// sort orders items as the query asks. What is equal keeps its order.
func (by fields[T]) sort(q query, items []T) error {
	if q.sortby == "" {
		return nil
	}
	f, err := by.named(q.sortby)
	if err != nil || f.of == nil {
		return err
	}
	slices.SortStableFunc(items, func(a, b T) int {
		if q.descending {
			a, b = b, a
		}
		return f.compare(a, b)
	})
	return nil
}

func (f field[T]) compare(a, b T) int {
	x, y := f.of(a), f.of(b)
	if !f.numeric {
		return strings.Compare(strings.ToLower(x), strings.ToLower(y))
	}
	m, _ := strconv.Atoi(x)
	n, _ := strconv.Atoi(y)
	return cmp.Compare(m, n)
}

// wildcard reports whether the whole text fits a pattern with stars.
func wildcard(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	last := len(parts) - 1
	if last == 0 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	for _, part := range parts[1:last] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return ok && strings.HasSuffix(text, parts[last])
}
