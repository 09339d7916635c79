package ovirt

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
)

// bodies makes a new document of each kind that clients send.
func bodies() []rest.Document {
	return []rest.Document{&networkDTO{}, &attachmentDTO{}, &labelDTO{}, &actionDTO{}}
}

func FuzzDecodeXML(f *testing.F) {
	for _, seed := range []string{
		`<network xmlns:id="urn:x" xmlns="urn:y"/>`, `<ns:network/>`, `<network a="" a=""/>`, "\ufeff<network/>", "<network><![CDATA[]]><!-- --></network>",
		`<?xml version="1.0" encoding="UTF-16"?><network/>`, "<network><name>a</name><name>b&#xD800;</name></network>", "<network><mtu>2147483648</mtu></network>",
		`<action><host id="a"/><host href="b"/></action>`, `<network_attachment><statistics><statistic><values><value><datum>x</datum></value></values></statistic></statistics></network_attachment>`,
		"<action/>", "<network><name>x</name><mtu>1400</mtu><usages><usage>vm</usage></usages><vlan><id>1</id></vlan></network>",
		`<network_label id="lab1"><host_nic/></network_label>`,
		`<network_attachment id="a"><properties><property><name>k</name><value>v</value></property></properties><network id="b"/></network_attachment>`,
		"<action><modified_network_attachments><network_attachment><host_nic/></network_attachment></modified_network_attachments><async>1</async></action>",
		"<network>&#0;</network>", "<!DOCTYPE x><network/>", "<network/><network/>", strings.Repeat("<a>", 40), "<network>\xff</network>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkDecode(t, rest.FormatXML, data) })
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","NAME":"b"}`, `{"modified_labels":{"network_label":[null]}}`, `{"mtu":1e999999}`, `{"mtu":9223372036854775808}`, "\ufeff{}",
		`{"name":"\ud800"}`, `{"name":"\u0000"}`, `{"mtu":NaN}`, `{}x`, `{"statistics":{"statistic":[{"values":{"value":[{"datum":1e400}]}}]}}`,
		"{}", `{"name":"x","mtu":"1400","usages":{"usage":["vm"]},"vlan":{"id":1},"port_isolation":true}`, `{"id":"lab1","host_nic":null}`,
		`{"modified_network_attachments":{"network_attachment":[{"network":{"name":"x"}}]},"async":"true"}`,
		`{"statistics":{"statistic":[{"values":{"value":[{"datum":"x"},{"datum":1.5e3},{}]}}]},"qos":{"id":[null,{"a":""}]}}`, `{"mtu":"\u0031"}`, `{"mtu":{}}`, `{"name":[]}`, `{"a":` + strings.Repeat("[", 40), `{}{}`, `null`, `[]`, "{\"name\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkDecode(t, rest.FormatJSON, data) })
}

// checkDecode checks that a body is refused with a kind that the table knows, or
// means the same after it was written and read again, in either form.
func checkDecode(t *testing.T, f rest.Format, data []byte) {
	for i, d := range bodies() {
		if err := f.Decode(data, d); err != nil {
			if !errors.Is(err, rest.ErrSyntax) && !errors.Is(err, rest.ErrValue) && !errors.Is(err, rest.ErrTooLarge) {
				t.Errorf("%s: error of no kind: %v", d.Element(), err)
			}
			if status, body := (Faults{}).Status(err), fault(err); (status != 400 && status != 413) || body.Detail == "" || len(body.Detail) > 2*rest.MaxText {
				t.Errorf("%s: status %d, fault %+v", d.Element(), status, body)
			}
			continue
		}
		for _, form := range []rest.Format{rest.FormatXML, rest.FormatJSON} {
			written, err := encode(form, d)
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			again := bodies()[i]
			if err := form.Decode(written, again); err != nil {
				t.Fatalf("decode what was encoded: %v:\n%s", err, written)
			}
			rewritten, err := encode(form, again)
			if err != nil {
				t.Fatalf("encode again: %v", err)
			}
			// XML has no sign for some characters: they are replaced once.
			if form == rest.FormatJSON && string(written) != string(rewritten) {
				t.Errorf("written again (-first +second):\n%s", cmp.Diff(string(written), string(rewritten)))
			}
		}
	}
}

// encode returns a document as it is written.
func encode(form rest.Format, d rest.Document) ([]byte, error) {
	var b bytes.Buffer
	err := form.Write(&b, d)
	return b.Bytes(), err
}

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"*", "", true},
		{"a*", "abc", true},
		{"a*", "bac", false},
		{"*c", "abc", true},
		{"ab*bc", "abc", false},
		{"a*b*c", "axxbyyc", true},
		{"a*b*c", "acb", false},
		{"**a**", "xay", true},
	} {
		if got := wildcard(c.pattern, c.text); got != c.want {
			t.Errorf("%q against %q: %v", c.pattern, c.text, got)
		}
	}
}

// TestAnswersCoverTheModel keeps the table complete.
func TestAnswersCoverTheModel(t *testing.T) {
	for kind, want := range map[error]int{
		model.ErrInvalid: 400, model.ErrNotFound: 404, model.ErrConflict: 409, model.ErrForbidden: 403, model.ErrUnavailable: 503, rest.ErrPrecondition: 412, errors.New("other"): 500,
	} {
		if status := (Faults{}).Status(kind); status != want {
			t.Errorf("%v: %d, want %d", kind, status, want)
		}
	}
}
