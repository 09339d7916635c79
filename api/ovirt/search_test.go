package ovirt

import (
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
	var alternatives []string
	for _, all := range q.alternatives {
		var terms []string
		for _, t := range all {
			quoted := func(value string) string { return `"` + strings.ReplaceAll(value, `"`, `""`) + `"` }
			if t.field == "" { // free text
				terms = append(terms, quoted(t.value[1:len(t.value)-1]))
				continue
			}
			terms = append(terms, t.field+t.relation+quoted(t.value))
		}
		alternatives = append(alternatives, strings.Join(terms, " and "))
	}
	text := strings.Join(alternatives, " or ")
	if q.sortby != "" {
		text += " sortby " + q.sortby
	}
	if q.descending {
		text += " desc"
	}
	if q.page != 0 {
		text += " page " + strconv.Itoa(q.page)
	}
	return text
}

func FuzzSearch(f *testing.F) {
	for _, seed := range []string{
		"", "name=x", `name="a b" and datacenter=Default`, "name=*", `label=""`, "name!=x", "time>=2026", "name<x", "a=b or c=d and e<=1 f>2", `name="`,
		"name = x page 2", "sortby name desc page 1", "sortby", "page x", "=", "and", "or=and", "name=\x00", "Hosts: name=x", "(a=b)", `a="b"c`, "and=and and and=and", "0", `"a ""b"" and" or x=" "" "`,
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
		itself := func(s string) string { return s }
		by := fields[string]{"name": itself, q.sortby: itself}
		for _, term := range slices.Concat(q.alternatives...) {
			by[term.field] = itself
		}
		if _, err := by.search(q, []string{value, "other"}, true); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		// Whatever has no star is found by its quoted self.
		if strings.Contains(value, "*") || len(value) > maxSearch/2 {
			return
		}
		q, err = parseQuery(`name="` + strings.ReplaceAll(value, `"`, `""`) + `"`)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := by.search(q, []string{value, value + "x"}, false); err != nil || !slices.Equal(found, []string{value}) {
			t.Errorf("%q is not found by its name: %q, %v", value, found, err)
		}
	})
}

// item is what the properties search.
type item struct {
	name, comment string
	mtu           int
}

var itemFields = fields[item]{
	"name":    func(i item) string { return i.name },
	"comment": func(i item) string { return i.comment },
	"mtu":     func(i item) string { return strconv.Itoa(i.mtu) },
}

// isTrue evaluates a term another way.
func (t term) isTrue(i item, fold bool) bool {
	pattern := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(t.value), `\*`, ".*") + "$"
	if fold {
		pattern = "(?i)" + pattern
	}
	return regexp.MustCompile(pattern).MatchString(itemFields[t.field](i)) == (t.relation == "=")
}

// TestSearchMeans compares a search in any spelling with its terms one by one.
func TestSearchMeans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) item {
			text := rapid.StringOfN(rapid.SampledFrom([]rune("abB_ .")), 0, 4, -1)
			return item{text.Draw(t, "name"), text.Draw(t, "comment"), rapid.IntRange(0, 2).Draw(t, "mtu")}
		}), 0, 8).Draw(t, "items")
		terms := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) term {
			return term{
				rapid.SampledFrom([]string{"name", "comment", "mtu"}).Draw(t, "field"),
				rapid.SampledFrom([]string{"=", "!="}).Draw(t, "relation"),
				rapid.StringOfN(rapid.SampledFrom([]rune("aB*_ .01")), 0, 5, -1).Draw(t, "text"),
			}
		}), 1, 3).Draw(t, "terms")
		fold := rapid.Bool().Draw(t, "fold")

		text, alternatives := spell(t, terms[0]), [][]term{{terms[0]}}
		for _, next := range terms[1:] {
			join := rapid.SampledFrom([]string{"and", "or"}).Draw(t, "join")
			text += rapid.SampledFrom([]string{" ", "\t  "}).Draw(t, "blank") + spellWord(t, join) + " " + spell(t, next)
			if last := len(alternatives) - 1; join == "and" {
				alternatives[last] = append(alternatives[last], next)
			} else {
				alternatives = append(alternatives, []term{next})
			}
		}
		q, err := parseQuery(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		found, err := itemFields.search(q, items, fold)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		want := slices.DeleteFunc(slices.Clone(items), func(i item) bool {
			return !slices.ContainsFunc(alternatives, func(all []term) bool {
				return !slices.ContainsFunc(all, func(term term) bool { return !term.isTrue(i, fold) })
			})
		})
		if !slices.Equal(found, want) {
			t.Errorf("%q in %+v with fold=%v: %+v, want %+v", text, items, fold, found, want)
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
