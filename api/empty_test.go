package api_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/isonet/isonet/model"
)

// Every list that is always empty is so in both forms, under the engine's name, and only
// below what there is.
func TestEmptyLists(t *testing.T) {
	w := newRemote(t, nil)
	admin := adminsBasic
	lists, refused := 0, 0
	loadContract(t).each(func(path, _ string, o *openapi3.Operation) {
		if len(o.Tags) != 1 || o.Tags[0] != "empty" {
			return
		}
		at := base + idsOfPaths().Replace(path)
		if o.Responses.Status(http.StatusOK) == nil {
			refused++
			f := readFault(t, w.must(http.StatusNotFound, "GET", at, "", admin).Body.Bytes())
			if f.Reason != "Not Found" || !strings.HasPrefix(f.Detail, "isonet ") {
				t.Errorf("%s: the fault is %+v", path, f)
			}
			return
		}
		lists++
		name := strings.Split(o.Summary, "`")[1]
		var list struct{ XMLName xml.Name }
		body := w.must(http.StatusOK, "GET", at+"?search=name%3Dx&max=5&follow=a.b", "", admin).Body.Bytes()
		if err := xml.Unmarshal(body, &list); err != nil || list.XMLName.Local != name || !strings.HasSuffix(at, "/"+strings.ReplaceAll(name, "_", "")) {
			t.Errorf("%s: %v in %s", path, err, body)
		}
		if body := w.must(http.StatusOK, "GET", at, "", admin, jsonReply).Body.String(); body != "{}\n" {
			t.Errorf("%s: the list is %s", path, body)
		}
		if strings.Count(path, "/") > 1 {
			collection := strings.Split(path, "/")[1]
			w.must(http.StatusNotFound, "GET", base+"/"+collection+"/"+string(model.NewID())+path[strings.LastIndexByte(path, '/'):], "", admin)
		}
	})
	if lists < 40 || refused < 5 {
		t.Errorf("there are %d lists, and %d are refused", lists, refused)
	}
}

// Who follows a link to a list that is empty everywhere gets what is beside it.
func TestEmptyListsAreFollowed(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/datacenters?follow=storage_domains,permissions", "/clusters?follow=networks.permissions", "/hosts?follow=permissions,nics"} {
		plain, _, _ := strings.Cut(path, "?")
		got := w.must(http.StatusOK, "GET", base+path, "", jsonReply).Body.Len()
		if want := w.must(http.StatusOK, "GET", base+plain, "", jsonReply).Body.Len(); got < want {
			t.Errorf("%s: %d bytes, and without follow %d", path, got, want)
		}
	}
	w.must(http.StatusBadRequest, "GET", base+"/hosts?follow=nosuch.permissions", "")
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{
		"UserSessionTimeOutInterval":                 `"value": "30"`,
		"UserSessionTimeOutInterval?version=general": `"version": "general"`,
		"UserSessionTimeOutInterval?version=4.7":     `"values": {}`,
		"ServerCPUList":                              `"values": {}`,
	} {
		if body := w.must(http.StatusOK, "GET", base+"/options/"+path, "", jsonReply).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s: %s", path, body)
		}
	}
	f := readFault(t, w.must(http.StatusNotFound, "GET", base+"/options/MaxNumOfVmCpus", "").Body.Bytes())
	if !strings.Contains(f.Detail, "isonet has no option 'MaxNumOfVmCpus'") {
		t.Errorf("the fault is %+v", f)
	}
}
