package rest

import (
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// FuzzUnknownKeys checks that whatever can be decoded can be looked through, and that
// what is told fits into a header.
func FuzzUnknownKeys(f *testing.F) {
	for _, seed := range []string{
		`{"name":"x","list":[{"a":1,"b":[[{"c":null}]]}]}`, `<doc id="1" x="2"><name>x</name><list><a/></list><b><c/></b></doc>`,
		"{\"\\u0000\\r\\n\":{\"\u212a\":1}}", "<doc><\u00e9/></doc>", `<?xml version="1.0" encoding="latin1"?><doc/>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, form := range []Format{FormatXML, FormatJSON} {
			body, err := form.plain(data, "")
			if err == nil {
				err = form.parse(body, &fuzzed{})
			}
			if err != nil {
				continue
			}
			c := NewCall(httptest.NewRecorder(), httptest.NewRequest("POST", "/api", nil))
			c.tellUnknown(form, body, &fuzzed{})
			warnings := c.w.Header().Values(warningHeader)
			if len(warnings) > maxUnknown+1 {
				t.Errorf("%q: %d warnings", data, len(warnings))
			}
			for _, text := range warnings {
				if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("%q: the warning is %q", data, text)
				}
			}
		}
	})
}

type fuzzed struct {
	ID   string    `xml:"id,attr" json:"id"`
	Name string    `xml:"name" json:"name"`
	List []*fuzzed `xml:"list" json:"list"`
}

func (*fuzzed) Element() string { return "doc" }

// TestManyBelowALongKey looks at what a key costs that everything is below of: it must not
// be copied for each of them.
func TestManyBelowALongKey(t *testing.T) {
	long := strings.Repeat("k", 100_000)
	for form, body := range map[Format]string{
		FormatJSON: `{"` + long + `":[` + strings.Repeat(`{"a":1},`, 10_000) + `1]}`,
		FormatXML:  "<doc><" + long + ">" + strings.Repeat("<a b='c'/>", 10_000) + "</" + long + "></doc>",
	} {
		c := NewCall(httptest.NewRecorder(), httptest.NewRequest("POST", "/api", nil))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c.tellUnknown(form, []byte(body), &fuzzed{})
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 {
			t.Errorf("%d bytes were allocated for %d", used, len(body))
		}
		if warnings := c.w.Header().Values(warningHeader); len(warnings) != 1 {
			t.Errorf("%d warnings", len(warnings))
		}
	}
}

// BenchmarkUnknownKeys looks through the largest body that there may be of attachments.
func BenchmarkUnknownKeys(b *testing.B) {
	data := []byte("<doc>" + strings.Repeat(`<list id="x"><name>y</name></list>`, 25_000) + "</doc>")
	c := NewCall(httptest.NewRecorder(), httptest.NewRequest("POST", "/api", nil))
	for b.Loop() {
		c.tellUnknown(FormatXML, data, &fuzzed{})
	}
}
