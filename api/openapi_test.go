package api_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// each calls f for every operation of the document.
func (c *contract) each(f func(path, method string, operation *openapi3.Operation)) {
	for _, path := range c.doc.Paths.InMatchingOrder() {
		for method, operation := range c.doc.Paths.Value(path).Operations() {
			f(path, method, operation)
		}
	}
}

// routes returns what the handlers serve: methods and paths below the base.
func (w *world) routes() []string {
	served, open := w.api.Routes()
	for i, pattern := range served {
		served[i] = strings.TrimSuffix(pattern, "{$}")
	}
	return slices.Sorted(slices.Values(slices.Concat(served, open)))
}

func TestEveryRouteIsDocumented(t *testing.T) {
	c, w := loadContract(t), newWorld(t)
	var documented []string
	c.each(func(path, method string, _ *openapi3.Operation) { documented = append(documented, method+" "+path) })
	slices.Sort(documented)
	if diff := cmp.Diff(documented, w.routes()); diff != "" {
		t.Errorf("routes (-in docs/openapi.yaml +served):\n%s", diff)
	}
	for _, server := range c.doc.Servers {
		w.must(http.StatusOK, "GET", server.URL+"/networks", "")
	}
}

func TestDocumentIsSound(t *testing.T) {
	c := loadContract(t)
	// TestExamplesAreGoldens and TestExamplesOfRequests are about the examples.
	if err := c.doc.Validate(t.Context(), openapi3.EnableSchemaPatternValidation(), openapi3.DisableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	tags := map[string]bool{}
	for _, tag := range c.doc.Tags {
		tags[tag.Name] = true
	}
	c.each(func(path, method string, o *openapi3.Operation) {
		if o.OperationID == "" || names[o.OperationID] {
			t.Errorf("%s %s has no operationId of its own: %q", method, path, o.OperationID)
		}
		names[o.OperationID] = true
		if o.Summary == "" || len(o.Tags) != 1 || !tags[o.Tags[0]] {
			t.Errorf("%s lacks a summary or one of the tags", o.OperationID)
		}
		for status, response := range o.Responses.Map() {
			for mediaType, content := range response.Value.Content {
				if status >= "400" && !tellsFault(content.Schema) {
					t.Errorf("%s with %s as %s does not refer to Fault", o.OperationID, status, mediaType)
				}
			}
		}
	})
}

// tellsFault reports whether a schema is, or has, the one of faults.
func tellsFault(schema *openapi3.SchemaRef) bool {
	if strings.HasSuffix(schema.Ref, "/Fault") || strings.HasSuffix(schema.Ref, "/LoginFault") {
		return true
	}
	fault := schema.Value.Properties["fault"]
	return fault != nil && tellsFault(fault)
}

// TestContractRefuses shows that what is not in the document would be found.
func TestContractRefuses(t *testing.T) {
	c := loadContract(t)
	const label = `{"href": "/api/hosts/` + string(host1) + `/networklabels/a", "id": "a", "host": {"href": "/api/hosts/` + string(host1) + `", "id": "` + string(host1) + `"}`
	path := hostPath + "/networklabels/a"
	for name, test := range map[string]struct {
		method, path, contentType, body string
		status                          int
		documented                      bool
	}{
		"as it is":            {"GET", path, "application/json", label + "}", 200, true},
		"a member more":       {"GET", path, "application/json", label + `, "more": "x"}`, 200, false},
		"a native number":     {"GET", path, "application/json", strings.Replace(label, `"a"`, "7", 1) + "}", 200, false},
		"other status":        {"GET", path, "application/json", label + "}", 202, false},
		"other type":          {"GET", path, "text/html", label + "}", 200, false},
		"no fault":            {"GET", path, "application/json", label + "}", 404, false},
		"unknown path":        {"GET", base + "/nosuch", "application/json", `{"detail": "x", "reason": "y"}`, 404, true},
		"served unknown path": {"GET", base + "/nosuch", "application/json", "{}", 200, false},
		"XML": {
			"DELETE", path, "application/xml", `<action><status>complete</status></action>`, 200, true,
		},
		"other element":           {"DELETE", path, "application/xml", `<actions><status>complete</status></actions>`, 200, false},
		"an element more":         {"DELETE", path, "application/xml", `<action><status>complete</status><x/></action>`, 200, false},
		"element for attribute":   {"GET", path, "application/xml", `<network_label href="/api/x"><id>a</id><host href="/api/y" id="` + string(host1) + `"/></network_label>`, 200, false},
		"attribute for element":   {"DELETE", path, "application/xml", `<action status="complete"/>`, 200, false},
		"attribute as documented": {"GET", path, "application/xml", `<network_label href="/api/x" id="a"><host href="/api/y" id="` + string(host1) + `"/></network_label>`, 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			reply := httptest.NewRecorder()
			reply.Header().Set("Content-Type", test.contentType)
			reply.Header().Set("Correlation-Id", "x")
			reply.Header().Set("ETag", `"7.0123456789abcdef"`)
			reply.Code = test.status
			reply.Body.WriteString(test.body)
			err := c.check(httptest.NewRequest(test.method, test.path, nil), "", reply)
			if (err == nil) != test.documented {
				t.Errorf("the contract says %v", err)
			}
		})
	}
	t.Run("header", func(t *testing.T) {
		reply := httptest.NewRecorder()
		reply.Header().Set("Content-Type", "application/json")
		reply.Body.WriteString(label + "}")
		if c.check(httptest.NewRequest("GET", path, nil), "", reply) == nil {
			t.Error("the contract does not miss Correlation-Id")
		}
	})
	t.Run("request", func(t *testing.T) {
		reply := httptest.NewRecorder()
		reply.Header().Set("Content-Type", "application/xml")
		reply.Header().Set("Correlation-Id", "x")
		reply.Body.WriteString(`<action><status>complete</status></action>`)
		r := httptest.NewRequest("POST", setupPath, nil)
		if err := c.check(r, "<action><force>true</force><x/></action>", reply); err != nil {
			t.Errorf("the contract does not let a member be ignored: %v", err)
		}
		if c.check(r, "<action><force>maybe</force></action>", reply) == nil {
			t.Error("the contract lets a wrong request be accepted")
		}
	})
}

// goldens returns the names of the golden files with an extension.
func goldens(t *testing.T, extension string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*"+extension))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	return files
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestXMLAndJSONAreTheSame compares the members of the golden files in both
// forms. A leaf is its text; nothing at all is the empty text.
func TestXMLAndJSONAreTheSame(t *testing.T) {
	for _, name := range goldens(t, ".json") {
		other, err := os.ReadFile(strings.TrimSuffix(name, "json") + "xml")
		if errors.Is(err, fs.ErrNotExist) {
			continue // such as isonet/status, which is JSON only
		}
		var e xmlElement
		if err := xml.Unmarshal(other, &e); err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(readFile(t, name)))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(treeOf(value), e.tree()); diff != "" {
			t.Errorf("%s (-JSON +XML):\n%s", name, diff)
		}
	}
}

// treeOf returns a JSON value with a list for every member, as XML has them.
func treeOf(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return fmt.Sprint(value)
	}
	tree := map[string][]any{}
	for name, member := range object {
		list, ok := member.([]any)
		if !ok {
			list = []any{member}
		}
		for _, item := range list {
			tree[name] = append(tree[name], treeOf(item))
		}
	}
	if len(tree) == 0 {
		return ""
	}
	return tree
}

func (e xmlElement) tree() any {
	if len(e.attributes) == 0 && len(e.children) == 0 {
		return e.text
	}
	tree := map[string][]any{}
	for _, a := range e.attributes {
		tree[a.Name.Local] = append(tree[a.Name.Local], a.Value)
	}
	for _, child := range e.children {
		tree[child.name] = append(tree[child.name], child.tree())
	}
	return tree
}

// documentPath is where the document is that this file is about.
const documentPath = "../docs/openapi.yaml"

// TestExamplesAreGoldens holds the examples of the document to what is served.
func TestExamplesAreGoldens(t *testing.T) {
	examples := loadContract(t).doc.Components.Examples
	if *update {
		updateExamples(t, slices.Sorted(maps.Keys(examples)))
		return
	}
	for name, example := range examples {
		golden := readFile(t, filepath.Join("testdata", name))
		want := any(string(golden))
		if strings.HasSuffix(name, ".json") {
			if err := json.Unmarshal(golden, &want); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, example.Value.Value); diff != "" {
			t.Errorf("example %s (-golden +document), run the tests with -update:\n%s", name, diff)
		}
	}
}

// TestExamplesOfRequests holds the examples of requests to their schemas.
func TestExamplesOfRequests(t *testing.T) {
	count := 0
	for name, body := range loadContract(t).doc.Components.RequestBodies {
		for mediaType, media := range body.Value.Content {
			if media.Example == nil {
				continue
			}
			count++
			text, isText := media.Example.(string)
			if !isText {
				data, err := json.Marshal(media.Example)
				if err != nil {
					t.Fatal(err)
				}
				text = string(data)
			}
			if err := checkContent(body.Value.Content, mediaType, []byte(text), asRead); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if count == 0 {
		t.Error("there are no examples")
	}
}

// updateExamples writes the examples of the document from the golden files.
func updateExamples(t *testing.T, names []string) {
	t.Helper()
	document := string(readFile(t, documentPath))
	before, rest, begins := strings.Cut(document, "\n  examples:\n")
	end := strings.Index(rest, "\n  #") // the comment of what comes next
	if !begins || end < 0 {
		t.Fatal("the document has no section of examples with a comment after it")
	}
	var b strings.Builder
	for _, name := range names {
		b.WriteString("    " + name + ":\n      value:")
		if strings.HasSuffix(name, ".xml") {
			b.WriteString(" |")
		}
		b.WriteByte('\n')
		for line := range strings.Lines(string(readFile(t, filepath.Join("testdata", name)))) {
			b.WriteString("        " + line)
		}
	}
	document = before + "\n  examples:\n" + strings.TrimSuffix(b.String(), "\n") + rest[end:]
	if err := os.WriteFile(documentPath, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryMemberIsServed finds members of replies that the document has and
// that nobody sees.
func TestEveryMemberIsServed(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range goldens(t, ".json") {
		collect(t, seen, readFile(t, name))
	}
	// What no golden file has.
	action := `{"async": true, "check_connectivity": true, "commit_on_success": true, "connectivity_timeout": 1, "force": true}`
	collect(t, seen, newWorld(t).must(http.StatusOK, "POST", setupPath, action, jsonBody, jsonReply).Body.Bytes())
	coded := header{wire.RefusalsHeader: "true"}
	collect(t, seen, newWorld(t).must(http.StatusNotFound, "GET", base+"/hosts/nosuch", "", jsonReply, coded).Body.Bytes())
	for name, schema := range loadContract(t).doc.Components.Schemas {
		if schema.Value.XML == nil || strings.HasSuffix(name, "Input") || strings.HasSuffix(name, "Add") {
			continue // not oVirt's, or of a request
		}
		for member := range schema.Value.Properties {
			if !seen[member] {
				t.Errorf("nothing that is served has the member %s of %s", member, name)
			}
		}
	}
}

// collect notes the names of all members of a JSON value.
func collect(t *testing.T, seen map[string]bool, data []byte) {
	t.Helper()
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, member := range v {
				seen[name] = true
				walk(member)
			}
		case []any:
			for _, member := range v {
				walk(member)
			}
		}
	}
	walk(value)
}

// idsOfPaths has what exists in a new world for every part of a path.
func idsOfPaths() *strings.Replacer {
	return strings.NewReplacer("{datacenter}", dataCenter, "{cluster}", cluster, "{network}", string(iso3), "{vnicprofile}",
		string(model.DeriveID("vnicprofile "+string(iso3))), "{host}", string(host1), "{attachment}", attachmentID(iso1),
		"{nic}", nicID("eth0"), "{label}", "lab3", "{event}", "1", "{user}", string(model.DeriveID("user admin")), "{option}", "ServerCPUList", "{statistic}", "0b9ddd6a-fc1b-398a-9f95-7a863c753017")
}

// parameter returns a query parameter of an operation; nil if it has none.
func parameter(o *openapi3.Operation, name string) *openapi3.Parameter {
	return o.Parameters.GetByInAndName("query", name)
}

// choices are what a refusal says can be used instead.
var choices = regexp.MustCompile(`use one of (.*)\.$`)

// choicesOf returns what the API offers instead of a query with nonsense.
func (w *world) choicesOf(path, query string) []string {
	w.t.Helper()
	var fault struct{ Detail string }
	body := w.must(http.StatusBadRequest, "GET", path+"?"+query, "", jsonReply).Body.Bytes()
	if err := json.Unmarshal(body, &fault); err != nil {
		w.t.Fatal(err)
	}
	found := choices.FindStringSubmatch(fault.Detail)
	if found == nil {
		return nil
	}
	return strings.Split(found[1], ", ")
}

// linksOf returns all that can be followed from a path, after what was passed.
func (w *world) linksOf(path, passed string) []string {
	w.t.Helper()
	var links []string
	for _, link := range w.choicesOf(path, "follow="+passed+"nosuch") {
		links = append(links, link)
		links = append(links, w.linksOf(path, link+".")...)
	}
	return links
}

// TestLinksAndFieldsAreDocumented asks the API itself what can be followed and
// searched.
func TestLinksAndFieldsAreDocumented(t *testing.T) {
	w, c := newWorld(t), loadContract(t)
	c.each(func(path, method string, o *openapi3.Operation) {
		follow, search := parameter(o, "follow"), parameter(o, "search")
		if method != http.MethodGet {
			// What a write answers is what can be read.
			if read := c.doc.Paths.Value(path).Get; read != nil && follow != parameter(read, "follow") && method != http.MethodDelete {
				t.Errorf("%s follows other links than %s", o.OperationID, read.OperationID)
			}
			return
		}
		if path == "/isonet/watch" || strings.HasPrefix(path, "/ovirt-engine/sso/") {
			return // it does not end, or is beside the API
		}
		path = base + idsOfPaths().Replace(path)
		var links, fields []string
		if w.do("GET", path+"?follow=nosuch", "").Code == http.StatusBadRequest {
			links = w.linksOf(path, "")
		}
		if w.do("GET", path+"?search=nosuch%3D1", "").Code == http.StatusBadRequest {
			fields = w.choicesOf(path, "search=nosuch%3D1")
		}
		if diff := cmp.Diff(linksIn(follow), links); diff != "" {
			t.Errorf("links of %s (-documented +followed):\n%s", o.OperationID, diff)
		}
		if diff := cmp.Diff(fieldsIn(search), fields); diff != "" {
			t.Errorf("fields of %s (-documented +searched):\n%s", o.OperationID, diff)
		}
	})
}

// linksIn returns the links of a documented parameter as refusals spell them.
func linksIn(follow *openapi3.Parameter) []string {
	if follow == nil {
		return nil
	}
	var links []string
	for _, link := range follow.Schema.Value.Items.Value.Enum {
		links = append(links, strings.ReplaceAll(link.(string), "_", ""))
	}
	return links
}

// fieldsIn returns the fields of a documented parameter.
func fieldsIn(search *openapi3.Parameter) []string {
	if search == nil {
		return nil
	}
	var fields []string
	for _, field := range search.Extensions["x-fields"].([]any) {
		fields = append(fields, field.(string))
	}
	return fields
}

// TestCommonRefusals sends each operation what is wrong with any request. It is
// refused with a status code that the document has for the operation.
func TestCommonRefusals(t *testing.T) {
	w := newRemote(t, []string{"bob@lab"})
	admin := header{"Authorization": basic("admin", "s3cr&t")}
	reader := header{"Authorization": basic("bob@lab", "b:ob")}
	loadContract(t).each(func(path, method string, o *openapi3.Operation) {
		open := slices.Contains(o.Tags, "login")
		writes := method != http.MethodGet
		if path == "/isonet/watch" {
			return // it does not end
		}
		if path = idsOfPaths().Replace(path); !open {
			path = base + path
		}
		for _, test := range []struct {
			status  int
			applies bool
			query   string
			headers []header
		}{
			{http.StatusBadRequest, true, "?a=%zz", []header{admin}},
			{http.StatusBadRequest, !open, "", []header{admin, {"Version": "3"}}},
			{http.StatusUnauthorized, !open, "", nil},
			{http.StatusForbidden, !open && writes, "", []header{reader}},
			{http.StatusForbidden, writes, "", []header{admin, {"Sec-Fetch-Site": "cross-site"}}},
			{http.StatusUnsupportedMediaType, o.RequestBody != nil, "", []header{admin, {"Content-Type": "text/plain"}}},
		} {
			if documented := o.Responses.Status(test.status) != nil; test.applies && !documented {
				t.Errorf("%s: %d is not in the document", o.OperationID, test.status)
			}
			if got := w.do(method, path+test.query, "", test.headers...); test.applies && got.Code != test.status {
				t.Errorf("%s with %v answers %d, want %d: %s", o.OperationID, test.headers, got.Code, test.status, got.Body)
			}
		}
		if open == (o.Security == nil || len(*o.Security) > 0) {
			t.Errorf("%s: the document does not have the security of the operation", o.OperationID)
		}
	})
}
