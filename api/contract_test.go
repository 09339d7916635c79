package api_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/text/encoding/charmap"
)

// contract is docs/openapi.yaml. Every exchange of every test of this package
// is held against it: see world.do.
type contract struct {
	doc *openapi3.T
	mux *http.ServeMux
	// operations has those of the document by their patterns in mux.
	operations map[string]*openapi3.Operation
}

var readContract = sync.OnceValues(func() (*contract, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(documentPath)
	if err != nil {
		return nil, err
	}
	c := &contract{doc: doc, mux: http.NewServeMux(), operations: map[string]*openapi3.Operation{}}
	for path, item := range doc.Paths.Map() {
		for _, server := range serversOf(doc, item) {
			for method, operation := range item.Operations() {
				pattern := method + " " + strings.TrimSuffix(strings.TrimSuffix(server.URL, "/")+path, "/")
				c.operations[pattern] = operation
				c.mux.HandleFunc(pattern, http.NotFound)
			}
		}
	}
	return c, nil
})

// serversOf returns where a path of the document is.
func serversOf(doc *openapi3.T, item *openapi3.PathItem) openapi3.Servers {
	if len(item.Servers) > 0 {
		return item.Servers
	}
	return doc.Servers
}

func loadContract(t *testing.T) *contract {
	t.Helper()
	c, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkContract returns what of an exchange is not as in the document.
func checkContract(r *http.Request, body string, reply *httptest.ResponseRecorder) error {
	c, err := readContract()
	if err != nil {
		return err
	}
	return c.check(r, body, reply)
}

// operation returns the operation that a request is for; nil if there is none.
func (c *contract) operation(method string, u *url.URL) *openapi3.Operation {
	plain := regexp.MustCompile(`;[^/]*`).ReplaceAllString(u.EscapedPath(), "") // without matrix parameters
	segments := strings.FieldsFunc(plain, func(r rune) bool { return r == '/' })
	if slices.Contains(segments, ".") || slices.Contains(segments, "..") {
		return nil
	}
	escaped := "/" + strings.Join(segments, "/")
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return nil
	}
	_, pattern := c.mux.Handler(&http.Request{Method: method, URL: &url.URL{Path: path, RawPath: escaped}})
	return c.operations[pattern]
}

// check returns what of an exchange the document does not have.
func (c *contract) check(r *http.Request, body string, reply *httptest.ResponseRecorder) error {
	operation := c.operation(r.Method, r.URL)
	if operation == nil {
		return c.checkRefused(r, reply)
	}
	response := operation.Responses.Status(reply.Code)
	if response == nil {
		return fmt.Errorf("%s does not answer %d", operation.OperationID, reply.Code)
	}
	for name, header := range response.Value.Headers {
		if err := checkHeader(header.Value, reply.Header().Get(name)); err != nil {
			return fmt.Errorf("header %s of %s: %w", name, operation.OperationID, err)
		}
	}
	bodyless := r.Method == http.MethodHead || len(response.Value.Content) == 0
	if bodyless && reply.Body.Len() == 0 {
		return nil
	}
	if err := checkContent(response.Value.Content, reply.Header().Get("Content-Type"), reply.Body.Bytes(), asIs); err != nil {
		return fmt.Errorf("reply of %s with %d: %w", operation.OperationID, reply.Code, err)
	}
	if reply.Code >= http.StatusBadRequest || operation.RequestBody == nil || body == "" {
		return nil
	}
	contentType := cmp.Or(r.Header.Get("Content-Type"), "application/xml")
	if err := checkContent(operation.RequestBody.Value.Content, contentType, []byte(body), asRead); err != nil {
		return fmt.Errorf("request of %s, which was accepted: %w", operation.OperationID, err)
	}
	return nil
}

// checkRefused checks the reply to a request that is for nothing.
func (c *contract) checkRefused(r *http.Request, reply *httptest.ResponseRecorder) error {
	if reply.Code < http.StatusBadRequest {
		return fmt.Errorf("%s %s answers %d and is not in the document", r.Method, r.URL.Path, reply.Code)
	}
	response := c.doc.Components.Responses["NotFound"]
	if strings.Contains(r.URL.Path, "/sso") {
		response = c.doc.Components.Responses["LoginRefused"]
	}
	return checkContent(response.Value.Content, reply.Header().Get("Content-Type"), reply.Body.Bytes(), asIs)
}

func checkHeader(documented *openapi3.Header, value string) error {
	if value == "" && !documented.Required {
		return nil
	}
	if value == "" {
		return fmt.Errorf("it is absent")
	}
	return documented.Schema.Value.VisitJSON(scalar(value, documented.Schema.Value))
}

// checkContent checks a body against the schema for its type, after what meaning
// makes of it.
func checkContent(content openapi3.Content, contentType string, body []byte, meaning func(any) any) error {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if mediaType == "text/xml" { // another name for it
		mediaType = "application/xml"
	}
	media := content[mediaType]
	if err != nil || media == nil {
		return fmt.Errorf("the content type is %q, not one of %q", contentType, slices.Sorted(maps.Keys(content)))
	}
	schema := media.Schema.Value
	if !utf8.Valid(body) { // else it would not have been accepted
		if body, err = charmap.ISO8859_1.NewDecoder().Bytes(body); err != nil {
			return err
		}
	}
	value, err := decode(mediaType, bytes.TrimPrefix(body, []byte("\ufeff")), schema)
	if err == nil {
		err = schema.VisitJSON(meaning(value))
	}
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, body)
	}
	return nil
}

func asIs(value any) any { return value }

// asRead returns what a request means: a member that is null is absent, and the
// case of the names of members does not matter.
func asRead(value any) any {
	switch v := value.(type) {
	case map[string]any:
		object := map[string]any{}
		for name, member := range v {
			if member != nil {
				object[strings.ToLower(name)] = asRead(member)
			}
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, member := range v {
			list[i] = asRead(member)
		}
		return list
	}
	return value
}

// decode returns a body in the form that JSON has in memory.
func decode(mediaType string, body []byte, schema *openapi3.Schema) (value any, err error) {
	switch mediaType {
	case "application/json", "application/x-ndjson": // one line of it
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber() // what is ignored may be no float64
		err = decoder.Decode(&value)
	case "application/xml":
		var e xmlElement
		decoder := xml.NewDecoder(bytes.NewReader(body))
		decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // it is in UTF-8 here
		if err = decoder.Decode(&e); err == nil && schema.XML != nil && e.name != schema.XML.Name {
			err = fmt.Errorf("the element is <%s>, not <%s>", e.name, schema.XML.Name)
		}
		value = e.json(schema)
	case "application/x-www-form-urlencoded":
		var form url.Values
		form, err = url.ParseQuery(string(body))
		object := map[string]any{}
		for name := range form {
			object[name] = form.Get(name)
		}
		value = object
	default:
		value = string(body)
	}
	return value, err
}

// xmlElement is an XML element of any kind.
type xmlElement struct {
	name       string
	attributes []xml.Attr
	children   []xmlElement
	text       string
}

// UnmarshalXML reads it.
func (e *xmlElement) UnmarshalXML(decoder *xml.Decoder, start xml.StartElement) error {
	e.name = start.Name.Local
	for _, a := range start.Attr {
		if a.Name.Space == "" && a.Name.Local != "xmlns" { // others mean nothing here
			e.attributes = append(e.attributes, a)
		}
	}
	for {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			var child xmlElement
			if err := child.UnmarshalXML(decoder, t); err != nil {
				return err
			}
			e.children = append(e.children, child)
		case xml.CharData:
			e.text += string(t)
		case xml.EndElement:
			return nil
		}
	}
}

// json returns what the element is in JSON according to a schema. A member that
// is not where the schema has it, as an attribute or as an element, gets a name
// that no schema has.
func (e xmlElement) json(schema *openapi3.Schema) any {
	members, isObject := membersOf(schema)
	if !isObject && len(e.attributes) == 0 && len(e.children) == 0 {
		return scalar(e.text, schema)
	}
	object := map[string]any{}
	for _, a := range e.attributes {
		if m, known := members[a.Name.Local]; known && m.attribute {
			object[m.name] = scalar(a.Value, m.schema)
		} else {
			object["attribute "+a.Name.Local] = a.Value
		}
	}
	for _, child := range e.children {
		m, known := members[child.name]
		switch {
		case !known || m.attribute:
			object["element "+child.name] = child.text
		case m.list:
			list, _ := object[m.name].([]any)
			object[m.name] = append(list, child.json(m.schema))
		default:
			object[m.name] = child.json(m.schema)
		}
	}
	return object
}

// member is a member of an object in XML.
type member struct {
	name            string // in JSON
	attribute, list bool
	// schema is that of the member, or of one of a list.
	schema *openapi3.Schema
}

// membersOf returns the members that a schema or one of its alternatives has,
// by their names in XML, and whether it is for objects at all.
func membersOf(schema *openapi3.Schema) (members map[string]member, isObject bool) {
	members, isObject = map[string]member{}, schema.Type.Is("object")
	for name, property := range schema.Properties {
		m := member{name: name, schema: property.Value}
		if property.Value.Type.Is("array") {
			m.list, m.schema = true, property.Value.Items.Value
		}
		if x := m.schema.XML; x != nil {
			m.attribute = x.Attribute
			if x.Name != "" {
				name = x.Name
			}
		}
		members[name] = m
	}
	for _, alternative := range slices.Concat(schema.AllOf, schema.AnyOf, schema.OneOf) {
		more, object := membersOf(alternative.Value)
		maps.Copy(members, more)
		isObject = isObject || object
	}
	return members, isObject
}

// scalar returns a text as a value of the type that a schema has.
func scalar(text string, schema *openapi3.Schema) any {
	if at, err := time.Parse(time.RFC3339, text); err == nil && schema.Type.Is("integer") {
		return float64(at.UnixMilli())
	}
	if schema.Type.Is("number") || schema.Type.Is("integer") {
		if number, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
			return number
		}
	}
	return text
}
