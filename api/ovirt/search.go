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

// query is a search in as much of oVirt's language as clients of networks send. All
// terms of one of its alternatives must hold; without alternatives all objects do.
type query struct {
	alternatives [][]term
	// sortby is a field, "" for the order of the list.
	sortby     string
	descending bool
	// page counts from 1; 0 means that there are no pages.
	page int
}

// term is one condition. A '*' in the value stands for any text. The relation is =, !=,
// <, <=, > or >=. Without a field it is free text, which any field may have within.
type term struct{ field, relation, value string }

// ordered are the fields of which a search may ask what is greater: those whose texts
// have the order of what they say.
func ordered(field string) bool { return field == "time" || field == "id" || field == "index" }

// parseQuery reads
//
//	[term [and|or term]...] [sortby field [asc|desc]] [page number]
//
// where a term is 'field=value', or free text; 'and' binds before 'or'. A value with
// blanks stands in double quotes. Words are case-insensitive.
func parseQuery(text string) (query, error) {
	if len(text) > maxSearch {
		return query{}, rest.Refuse(rest.ErrValue, "The search has %d bytes: use at most %d.", len(text), maxSearch)
	}
	p := parser{text: text, rest: text}
	var q query
	next := p.word()
	for n := 0; (p.rest != "" || n == 0 && next != "") && next != "sortby" && next != "page"; n++ {
		join := "or"
		if n > 0 {
			if join = next; join != "and" && join != "or" {
				return query{}, p.refuse("terms are joined by 'and' or 'or'")
			}
			next = p.word()
		}
		if n == maxTerms {
			return query{}, p.refuse("it has more than " + strconv.Itoa(maxTerms) + " terms")
		}
		t, err := p.term(next)
		if err != nil {
			return query{}, err
		}
		if last := len(q.alternatives) - 1; join == "and" {
			q.alternatives[last] = append(q.alternatives[last], t)
		} else {
			q.alternatives = append(q.alternatives, []term{t})
		}
		next = p.word()
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
		var err error
		if q.page, err = strconv.Atoi(p.upToBlank()); err != nil || q.page < 1 {
			return query{}, p.refuse("a number from 1 must follow 'page'")
		}
		next = p.word()
	}
	if next != "" || p.rest != "" {
		return query{}, p.refuse("a term has the form field=value, and a value that has blanks is quoted; terms come first, then 'sortby', then 'page'")
	}
	return q, nil
}

// parser takes a search apart from the left. What was the rest before the last word is
// kept, for a word may turn out to be the beginning of free text.
type parser struct{ text, rest, before string }

// word takes the letters, dots and underscores that come next, in lower case.
func (p *parser) word() string {
	p.skipBlanks()
	p.before = p.rest
	return strings.ToLower(p.until(func(r rune) bool {
		return r != '_' && r != '.' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}))
}

func (p *parser) upToBlank() string { return p.until(unicode.IsSpace) }

// until takes what comes before the next rune of a kind. Blanks around it count for
// nothing.
func (p *parser) until(kind func(rune) bool) string {
	p.skipBlanks()
	end := strings.IndexFunc(p.rest, kind)
	if end < 0 {
		end = len(p.rest)
	}
	taken := p.rest[:end]
	p.rest = p.rest[end:]
	p.skipBlanks()
	return taken
}

func (p *parser) skipBlanks() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

// term takes what follows a field.
func (p *parser) term(field string) (t term, err error) {
	t.field = field
	for _, relation := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if rest, is := strings.CutPrefix(p.rest, relation); is {
			t.relation, p.rest = relation, rest
			break
		}
	}
	switch {
	case strings.HasPrefix(p.rest, ":"):
		return t, p.refuse("leave out '" + field + ":', because the path names the collection")
	case t.relation == "":
		return p.freeText()
	case field == "":
		return t, p.refuse("a term has the form field=value; quote a value that has blanks")
	case t.relation != "=" && t.relation != "!=" && !ordered(field):
		return t, p.refuse("'" + field + "' has no order: use = or !=")
	}
	t.value, err = p.value()
	return t, err
}

// freeText takes a term that has no field.
func (p *parser) freeText() (t term, err error) {
	p.rest = p.before
	quoted := strings.HasPrefix(p.rest, `"`)
	if t.value, err = p.value(); err != nil {
		return t, err
	}
	if word := strings.ToLower(t.value); !quoted && (word == "and" || word == "or" || strings.ContainsAny(word, "=!<>()")) {
		return t, p.refuse("a term has the form field=value; quote a value that has blanks")
	}
	t.relation, t.value = "=", "*"+t.value+"*"
	return t, nil
}

// value takes what follows a relation.
func (p *parser) value() (string, error) {
	p.skipBlanks()
	quoted, ok := strings.CutPrefix(p.rest, `"`)
	if !ok {
		value := p.upToBlank()
		if value == "" || strings.Contains(value, `"`) {
			return "", p.refuse("a term has the form field=value; quote a value that is empty or has quotes, and double the quotes in it")
		}
		return value, nil
	}
	value, after, closed := unquote(quoted)
	if !closed {
		return "", p.refuse("a quote is not closed")
	}
	if after != "" && after == strings.TrimLeftFunc(after, unicode.IsSpace) {
		return "", p.refuse("a blank must follow a quoted value")
	}
	p.rest = after
	p.skipBlanks()
	return value, nil
}

// unquote takes a value up to its closing quote. Two quotes in it are one.
func unquote(text string) (value, after string, closed bool) {
	for {
		part, rest, found := strings.Cut(text, `"`)
		value += part
		if !found {
			return "", "", false
		}
		if text, found = strings.CutPrefix(rest, `"`); !found {
			return value, rest, true
		}
		value += `"`
	}
}

func (p *parser) refuse(advice string) error {
	return rest.Refuse(rest.ErrValue, "The search '%s' is not supported: %s.", p.text, advice)
}

// fields tells by their names what of a T can be searched and sorted by.
type fields[T any] map[string]func(T) string

// find returns the items that the query parameters search, case_sensitive and
// max ask for.
func find[T any](c *rest.Call, items []T, by fields[T]) ([]T, error) {
	q, err := parseQuery(c.Query().Get("search"))
	if err != nil {
		return nil, err
	}
	found, err := by.search(q, items, !c.Flag("case_sensitive"))
	if err != nil {
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

// search returns the items for which a query holds, in its order; what is equal keeps
// its own. Unless fold, the case of letters counts.
func (by fields[T]) search(q query, items []T, fold bool) ([]T, error) {
	holds, err := by.condition(q, fold)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(slices.Clone(items), func(item T) bool { return !holds(item) })
	if q.sortby == "" {
		return found, nil
	}
	of, err := by.named(q.sortby)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b T) int {
		if q.descending {
			a, b = b, a
		}
		return compare(of(a), of(b))
	})
	return found, nil
}

// condition returns whether the terms of a query hold for an item.
func (by fields[T]) condition(q query, fold bool) (func(T) bool, error) {
	var any func(T) bool
	for _, alternative := range q.alternatives {
		all := func(T) bool { return true }
		for _, t := range alternative {
			holds, err := by.term(t, fold)
			if err != nil {
				return nil, err
			}
			before := all
			all = func(item T) bool { return before(item) && holds(item) }
		}
		if before := any; before == nil {
			any = all
		} else {
			any = func(item T) bool { return before(item) || all(item) }
		}
	}
	if any == nil {
		return func(T) bool { return true }, nil
	}
	return any, nil
}

// term returns whether a term holds for an item.
func (by fields[T]) term(t term, fold bool) (func(T) bool, error) {
	if t.field == "" {
		return func(item T) bool {
			for _, of := range by {
				if t.holds(of(item), fold) {
					return true
				}
			}
			return false
		}, nil
	}
	of, err := by.named(t.field)
	return func(item T) bool { return t.holds(of(item), fold) }, err
}

// holds reports whether a term holds for what its field has. Unless fold, the case of
// letters counts.
func (t term) holds(text string, fold bool) bool {
	value := t.value
	if fold {
		text, value = strings.ToLower(text), strings.ToLower(value)
	}
	switch order := compare(text, value); t.relation {
	case "!=":
		return !wildcard(value, text)
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	}
	return wildcard(value, text)
}

// compare orders numbers as such, and texts without their case.
func compare(a, b string) int {
	m, wrong := strconv.Atoi(a)
	n, err := strconv.Atoi(b)
	if wrong == nil && err == nil {
		return cmp.Compare(m, n)
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}

func (by fields[T]) named(name string) (func(T) string, error) {
	of, ok := by[name]
	if !ok {
		return nil, rest.Refuse(rest.ErrValue, "The search is not supported: there is no field '%s' to search here; use one of %s.",
			name, strings.Join(slices.Sorted(maps.Keys(by)), ", "))
	}
	return of, nil
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
