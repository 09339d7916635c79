package ovirt

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/api/rest"
)

var sameQuery = gocmp.AllowUnexported(query{}, term{})

// print writes a query so that it can be parsed again.
func (q query) print() string {
	var groups []string
	for _, group := range q.groups {
		var alternatives []string
		for _, alternative := range group {
			var terms []string
			for _, t := range alternative {
				terms = append(terms, t.field+t.relation+`"`+t.value+`"`)
			}
			alternatives = append(alternatives, strings.Join(terms, " and "))
		}
		groups = append(groups, strings.Join(alternatives, " or "))
	}
	if q.sortby != "" {
		groups = append(groups, "sortby "+q.sortby)
	}
	if q.descending {
		groups = append(groups, "desc")
	}
	if q.page != 0 {
		groups = append(groups, "page "+strconv.Itoa(q.page))
	}
	return strings.Join(groups, " ")
}

func FuzzSearch(f *testing.F) {
	for _, seed := range []string{
		"", "name=x", `name="a b" and datacenter=Default`, "name=*", `label=""`, "name!=x", "a=b or c=d and e<=1 f>2", `name="`,
		"name = x page 2", "sortby name desc page 1", "sortby", "page x", "=", "and", "or=and", "name=\x00", "Hosts: name=x", "(a=b)", `a="b"c`,
	} {
		f.Add(seed, "some text")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		q, err := parseQuery(text)
		switch {
		case err != nil:
			if !errors.Is(err, rest.ErrValue) {
				t.Errorf("error of no kind: %v", err)
			}
		case len(text) < maxSearch/2: // printing adds quotes
			again, err := parseQuery(q.print())
			if diff := gocmp.Diff(q, again, sameQuery); err != nil || diff != "" {
				t.Errorf("%q is not the same after printing as %q: %v\n%s", text, q.print(), err, diff)
			}
		}
		by := fields[string]{}
		for _, group := range q.groups {
			for _, alternative := range group {
				for _, term := range alternative {
					by[term.field] = field[string]{of: func(s string) string { return s }}
				}
			}
		}
		if holds, err := by.test(q, true); err == nil {
			holds(value)
		}
		// Whatever has no quote and no star is found by its quoted self.
		if strings.ContainsAny(value, `"*`) || len(value) > maxSearch/2 {
			return
		}
		q, err = parseQuery(`name="` + value + `"`)
		if err != nil {
			t.Fatal(err)
		}
		holds, err := fields[string]{"name": {of: func(s string) string { return s }}}.test(q, false)
		if err != nil || !holds(value) || holds(value+"x") {
			t.Errorf("%q is not found by its name: %v", value, err)
		}
	})
}

// item is what the properties search.
type item struct {
	name, comment string
	mtu           int
}

var itemFields = fields[item]{
	"name":    {of: func(i item) string { return i.name }},
	"comment": {of: func(i item) string { return i.comment }},
	"mtu":     {of: func(i item) string { return strconv.Itoa(i.mtu) }, numeric: true},
	"never":   {},
}

func drawTerm(t *rapid.T) term {
	name := rapid.SampledFrom([]string{"name", "comment", "mtu", "never"}).Draw(t, "field")
	if name == "mtu" {
		return term{
			name, rapid.SampledFrom([]string{"=", "!=", "<", "<=", ">", ">="}).Draw(t, "relation"),
			strconv.Itoa(rapid.IntRange(-1, 3).Draw(t, "number")),
		}
	}
	return term{name, rapid.SampledFrom([]string{"=", "!="}).Draw(t, "relation"), rapid.StringOfN(rapid.SampledFrom([]rune("aB*_ .")), 0, 5, -1).Draw(t, "text")}
}

// naive evaluates a term another way.
func (t term) naive(i item, fold bool) bool {
	if t.field == "never" {
		return false
	}
	if t.field == "mtu" {
		n, _ := strconv.Atoi(t.value)
		order := cmp.Compare(i.mtu, n)
		return (order == 0 && strings.Contains(t.relation, "=") && t.relation != "!=") || (order < 0 && t.relation[0] == '<') ||
			(order > 0 && t.relation[0] == '>') || (order != 0 && t.relation == "!=")
	}
	pattern := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(t.value), `\*`, ".*") + "$"
	if fold {
		pattern = "(?i)" + pattern
	}
	text := i.name
	if t.field == "comment" {
		text = i.comment
	}
	return regexp.MustCompile(pattern).MatchString(text) == (t.relation == "=")
}

// TestSearchMeans compares a search in any spelling with an evaluation that
// applies the words between the terms one kind after the other: first each
// 'and', then each 'or', then what has no word.
func TestSearchMeans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) item {
			text := rapid.StringOfN(rapid.SampledFrom([]rune("abB_ .")), 0, 4, -1)
			return item{text.Draw(t, "name"), text.Draw(t, "comment"), rapid.IntRange(0, 2).Draw(t, "mtu")}
		}), 0, 8).Draw(t, "items")
		terms := rapid.SliceOfN(rapid.Custom(drawTerm), 1, 6).Draw(t, "terms")
		joints := rapid.SliceOfN(rapid.SampledFrom([]string{"and", "or", ""}), len(terms)-1, len(terms)-1).Draw(t, "joints")
		fold := rapid.Bool().Draw(t, "fold")

		text := spell(t, terms[0])
		for i, joint := range joints {
			text += rapid.SampledFrom([]string{" ", "\t  "}).Draw(t, "blank") + spellWord(t, joint) + " " + spell(t, terms[i+1])
		}
		q, err := parseQuery(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := parseQuery(q.print())
		if diff := gocmp.Diff(q, again, sameQuery); err != nil || diff != "" {
			t.Fatalf("%q is not the same after printing: %v\n%s", text, err, diff)
		}
		holds, err := itemFields.test(q, fold)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, i := range items {
			if want := evaluate(terms, joints, i, fold); holds(i) != want {
				t.Errorf("%q for %+v with fold=%v: %v, want %v", text, i, fold, !want, want)
			}
		}
	})
}

func spellWord(t *rapid.T, word string) string {
	if rapid.Bool().Draw(t, "upper") {
		return strings.ToUpper(word)
	}
	return word
}

func spell(t *rapid.T, of term) string {
	blank := rapid.SampledFrom([]string{"", " ", "  "})
	value := of.value
	if value == "" || strings.Contains(value, " ") || rapid.Bool().Draw(t, "quoted") {
		value = `"` + value + `"`
	}
	return spellWord(t, of.field) + blank.Draw(t, "blank") + of.relation + blank.Draw(t, "blank") + value
}

func evaluate(terms []term, joints []string, i item, fold bool) bool {
	var values []bool
	for _, t := range terms {
		values = append(values, t.naive(i, fold))
	}
	joints = slices.Clone(joints)
	for _, apply := range []string{"and", "or", ""} {
		for at := slices.Index(joints, apply); at >= 0; at = slices.Index(joints, apply) {
			both, either := values[at] && values[at+1], values[at] || values[at+1]
			values[at] = (apply == "or" && either) || (apply != "or" && both)
			values, joints = slices.Delete(values, at+1, at+2), slices.Delete(joints, at, at+1)
		}
	}
	return values[0]
}

// TestPages checks that all pages together are the sorted whole, once.
func TestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := make([]item, rapid.IntRange(0, 250).Draw(t, "items"))
		for i := range items {
			items[i] = item{name: strconv.Itoa(i), comment: string(rune('A' + i%50)), mtu: i % 7}
		}
		shuffled := slices.Clone(items)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		size := rapid.SampledFrom([]string{"", "1", "10", "100", "1000", "-1"}).Draw(t, "max")
		var got []item
		for number := 1; ; number++ {
			c := rest.NewCall(httptest.NewRecorder(), httptest.NewRequest("GET", "/hosts?search=sortby+mtu+desc+page+"+strconv.Itoa(number)+"&max="+size, nil))
			list, err := find(c, shuffled, itemFields)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			got = append(got, list...)
		}
		want := slices.Clone(shuffled)
		slices.SortStableFunc(want, func(a, b item) int { return b.mtu - a.mtu })
		if !slices.Equal(got, want) {
			t.Errorf("with max=%s: %v, want %v", size, got, want)
		}
	})
}
