package api

import (
	"strings"
	"unicode"
)

// query is a search: all of its terms must hold.
type query []term

type term struct{ field, value string }

// parseQuery reads oVirt's search language as far as isonet has it: terms
// field=value joined by "and". A value with blanks stands in double quotes, and
// '*' in a value stands for any text.
func parseQuery(text string) (query, error) {
	var q query
	for rest := strings.TrimSpace(text); rest != ""; {
		if len(q) > 0 {
			word, after := cutWord(rest)
			if !strings.EqualFold(word, "and") {
				return nil, badSearch(text, "only 'and' can join terms")
			}
			rest = strings.TrimSpace(after)
		}
		t, after, err := parseTerm(text, rest)
		if err != nil {
			return nil, err
		}
		q, rest = append(q, t), strings.TrimSpace(after)
	}
	return q, nil
}

func parseTerm(text, rest string) (term, string, error) {
	field, rest, ok := strings.Cut(rest, "=")
	field = strings.ToLower(strings.TrimSpace(field))
	if !ok || field == "" || strings.ContainsFunc(field, notFieldRune) {
		return term{}, "", badSearch(text, "a term has the form field=value")
	}
	rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
	if quoted, isQuoted := strings.CutPrefix(rest, `"`); isQuoted {
		value, after, closed := strings.Cut(quoted, `"`)
		if !closed {
			return term{}, "", badSearch(text, "a quote is not closed")
		}
		if after != "" && !unicode.IsSpace(rune(after[0])) {
			return term{}, "", badSearch(text, "a blank must follow a quoted value")
		}
		return term{field, value}, after, nil
	}
	value, after := cutWord(rest)
	if value == "" || strings.Contains(value, `"`) {
		return term{}, "", badSearch(text, "a term has the form field=value; quote a value that is empty or has a blank")
	}
	return term{field, value}, after, nil
}

func notFieldRune(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }

func cutWord(text string) (word, rest string) {
	end := strings.IndexFunc(text, unicode.IsSpace)
	if end < 0 {
		return text, ""
	}
	return text[:end], text[end:]
}

func badSearch(text, advice string) error {
	return refuse(errValue, "The search '%s' is not supported: %s.", text, advice)
}

// fields tells what of a T can be searched.
type fields[T any] map[string]func(T) string

// find returns the items that the query parameters search, case_sensitive and
// max ask for.
func find[T any](c *call, items []T, by fields[T]) ([]T, error) {
	text := c.r.URL.Query().Get("search")
	q, err := parseQuery(text)
	if err != nil {
		return nil, err
	}
	for _, t := range q {
		if by[t.field] == nil {
			return nil, badSearch(text, "there is no field '"+t.field+"' to search here")
		}
	}
	fold := !c.flag("case_sensitive")
	var found []T
	for _, item := range items {
		if matches(q, item, by, fold) {
			found = append(found, item)
		}
	}
	return limit(c, found), nil
}

func matches[T any](q query, item T, by fields[T], fold bool) bool {
	for _, t := range q {
		pattern, text := t.value, by[t.field](item)
		if fold {
			pattern, text = strings.ToLower(pattern), strings.ToLower(text)
		}
		if !wildcard(pattern, text) {
			return false
		}
	}
	return true
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
