package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A misspelt key is told with its path, and means nothing, as before.
func TestUnknownKeys(t *testing.T) {
	key := func(path string) string {
		return `299 isonet "The body has the unknown key ` + path + `, which was ignored."`
	}
	setup := hostPath + "/setupnetworks"
	for name, c := range map[string]struct {
		method, path, body string
		header             header
		want               []string
	}{
		"JSON":                {"POST", base + "/networks", `{"name":"x","mtuu":9000}`, jsonBody, []string{key("mtuu")}},
		"XML":                 {"POST", base + "/networks", `<network><name>x</name><mtuu>9000</mtuu></network>`, nil, []string{key("mtuu")}},
		"all known":           {"POST", base + "/networks", `<network><name>x</name><mtu>1400</mtu><usages><usage>vm</usage></usages><strict>true</strict></network>`, nil, nil},
		"another case":        {"POST", base + "/networks", `{"NAME":"x","Mtu":1400,"Vlan":null}`, jsonBody, nil},
		"in XML it counts":    {"POST", base + "/networks", `<network><name>x</name><MTU>1400</MTU></network>`, nil, []string{key("MTU")}},
		"within":              {"POST", base + "/networks", `{"name":"x","data_center":{"nme":"Default"}}`, jsonBody, []string{key("data_center.nme")}},
		"an attribute":        {"POST", base + "/networks", `<network xmlns:x="y"><name>x</name><data_center idd="z"/></network>`, nil, []string{key("data_center.idd")}},
		"in lists, once":      {"POST", setup, `{"modified_network_attachments":{"network_attachment":[{"network":{"name":"iso1"},"nic":1},{"network":{"name":"iso2"},"nic":{"a":[{}]}}]}}`, jsonBody, []string{key("modified_network_attachments.network_attachment.nic")}},
		"two":                 {"POST", setup, `<action><comit/><modified_labels><label id="x"/></modified_labels></action>`, nil, []string{key("comit"), key("modified_labels.label")}},
		"below an unknown":    {"POST", base + "/networks", `{"name":"x","a":{"b":{"c":1}},"d":[[1,{"e":2}]]}`, jsonBody, []string{key("a"), key("d")}},
		"what is never read":  {"PUT", hostPath, `{"name":"h","cpu":{"x":1},"memory":[],"statistics":{"y":1}}`, jsonBody, nil},
		"a refused request":   {"POST", base + "/networks", `{"name":"","mtuu":9000}`, jsonBody, []string{key("mtuu")}},
		"of isonet's own":     {"POST", base + "/isonet/adopt", `{"bridge":"br-none","netwrk":"x"}`, jsonBody, []string{key("netwrk")}},
		"what no header has":  {"POST", base + "/networks", "{\"name\":\"x\",\"a\\r\\nX: y\\\"\u00e9\":1}", jsonBody, []string{`299 isonet "The body has the unknown key a\r\nX: y\"\u00e9, which was ignored."`}},
		"a long one":          {"POST", base + "/networks", `{"name":"x","` + strings.Repeat("k", 5000) + `":1}`, jsonBody, []string{key(strings.Repeat("k", 200) + "...")}},
		"what a client reads": {"PUT", base + "/networks/" + string(iso1), `{"href":"x","link":[{"rel":"a","href":"b"}],"vdsm_name":"iso1"}`, jsonBody, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := newWorld(t).do(c.method, c.path, c.body, c.header)
			if got.Code >= http.StatusInternalServerError {
				t.Fatalf("status %d: %s", got.Code, got.Body)
			}
			if diff := cmp.Diff(c.want, got.Header().Values("Warning")); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
	var body strings.Builder
	for i := range 100 {
		fmt.Fprintf(&body, `,"k%d":1`, i)
	}
	got := newWorld(t).must(http.StatusCreated, "POST", base+"/networks", `{"name":"x"`+body.String()+"}", jsonBody).Header().Values("Warning")
	if len(got) != 9 || got[7] != key("k7") || got[8] != `299 isonet "The body has more unknown keys, which were ignored."` {
		t.Errorf("of many keys the warnings are %q", got)
	}
}
