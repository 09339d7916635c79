package api_test

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// listed returns the names in a list.
func (w *world) listed(path string) []string {
	w.t.Helper()
	var list struct {
		Member []struct {
			Name string `xml:"name"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(w.must(http.StatusOK, "GET", path, "").Body.Bytes(), &list); err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, m := range list.Member {
		names = append(names, m.Name)
	}
	return names
}

// TestT22Search searches the collections of the root.
func TestT22Search(t *testing.T) {
	const second = "second isolated network"
	all := []string{"iso1", "iso3", "iso4", second}
	w := newWorld(t)
	for _, c := range []struct {
		collection, search string
		want               []string
	}{
		{"networks", "", all},
		{"networks", " ", all},
		{"networks", "name=iso1", []string{"iso1"}},
		{"networks", `name="iso1" and datacenter="Default"`, []string{"iso1"}},
		{"networks", `NAME = "ISO1" AND DataCenter=default`, []string{"iso1"}},
		{"networks", `name="second isolated network"`, []string{second}},
		{"networks", "name=iso*", []string{"iso1", "iso3", "iso4"}},
		{"networks", `name="*o*o*"`, []string{second}},
		{"networks", "name=iso1 and label=lab3", nil},
		{"networks", "datacenter=Other", nil},
		{"networks", `description="first <&> network"`, []string{"iso1"}},
		{"networks", `comment="nothing yet"`, []string{second}},
		{"networks", "label=lab3", []string{"iso3"}},
		{"networks", `label=""`, []string{"iso1", second}},
		{"networks", "mtu=1400", []string{"iso1"}},
		{"networks", "vmnetwork=true and stp=false", all},
		{"networks", "sortby name desc", []string{second, "iso4", "iso3", "iso1"}},
		{"networks", "sortby mtu", []string{"iso3", "iso4", second, "iso1"}},
		{"networks", "name=iso* sortby mtu desc page 1", []string{"iso1", "iso3", "iso4"}},
		{"networks", "name=iso* page 2", nil},
		{"networks", "iso1", []string{"iso1"}},
		{"networks", "ISO", all},
		{"networks", "lab3", []string{"iso3"}},
		{"networks", `"first <&>"`, []string{"iso1"}},
		{"networks", "first", []string{"iso1"}},
		{"networks", "f*network", []string{"iso1"}},
		{"networks", "iso and label=lab*", []string{"iso3", "iso4"}},
		{"networks", "label=lab3 or 1400 sortby name desc", []string{"iso3", "iso1"}},
		{"networks", "red", nil},
		{"networks", "name", nil},
		{"networks", `"and"`, nil},
		{"hosts", "host1", []string{"host1"}},
		{"hosts", "Default sortby name desc page 1", []string{"host2", "host1"}},
		{"hosts", `name="host1"`, []string{"host1"}},
		{"hosts", "name=host*", []string{"host1", "host2"}},
		{"hosts", "status=up", []string{"host1"}},
		{"hosts", "cluster=Default and datacenter=Default and type=rhel", []string{"host1", "host2"}},
		{"hosts", "id=" + string(host2), []string{"host2"}},
		{"hosts", "address=host2", []string{"host2"}},
		{"hosts", `comment="" sortby name desc`, []string{"host2", "host1"}},
		{"clusters", `name="Default"`, []string{"Default"}},
		{"clusters", "datacenter=Default and initialized=true", []string{"Default"}},
		{"clusters", "name=Other", nil},
		{"datacenters", `name=Default and status=up and description="the default*" and comment=""`, []string{"Default"}},
		{"vnicprofiles", "name=iso1", []string{"iso1"}},
		{"vnicprofiles", "network_name=iso* and passthrough=false sortby name desc", []string{"iso4", "iso3", "iso1"}},
		{"vms", "name=x", nil},
	} {
		if diff := cmp.Diff(c.want, w.listed(base+"/"+c.collection+"?search="+url.QueryEscape(c.search))); diff != "" {
			t.Errorf("%s with %s (-want +got):\n%s", c.collection, c.search, diff)
		}
	}
	if got := w.listed(base + "/networks?search=name%3DISO1&case_sensitive=true"); got != nil {
		t.Errorf("case-sensitive search found %v", got)
	}
	if got := w.listed(base + "/networks?search=page+2&max=3"); !slices.Equal(got, []string{second}) {
		t.Errorf("the second page of three is %v", got)
	}
	if got := w.listed(base + "/networks?search=page+1&max=0"); got != nil {
		t.Errorf("a page of none has %v", got)
	}
}

func TestT22SearchRefusals(t *testing.T) {
	w := newWorld(t)
	for search, detail := range map[string]string{
		"nosuch=1":                       "there is no field 'nosuch' to search here; use one of comment, datacenter, description, label, mtu, name",
		"vms.status=up":                  "there is no field 'vms.status'",
		"sortby nosuch":                  "there is no field 'nosuch'",
		"name=x sortby":                  "a field must follow 'sortby'",
		"sortby name upward":             "terms come first, then 'sortby', then 'page'",
		"page 1 sortby name":             "terms come first, then 'sortby', then 'page'",
		"name=x xor name=y":              "terms are joined by 'and' or 'or'",
		"name=x label=y":                 "terms are joined by 'and' or 'or'",
		"name!x":                         "a term has the form field=value",
		"mtu>=1400":                      "'mtu' has no order: use = or !=",
		"(name=x)":                       "a term has the form field=value",
		"page":                           "a number from 1 must follow 'page'",
		"page 0":                         "a number from 1 must follow 'page'",
		"page 99999999999999999999":      "a number from 1 must follow 'page'",
		"name=":                          "quote a value that is empty",
		"=x":                             "a term has the form field=value",
		"name=x and":                     "a term has the form field=value",
		"and name=x":                     "a term has the form field=value",
		"or":                             "a term has the form field=value",
		`x"y`:                            "a term has the form field=value",
		`"x`:                             "a quote is not closed",
		"name=second network":            "a value that has blanks is quoted",
		"Networks: name=x":               "leave out 'networks:', because the path names the collection",
		`name="x`:                        "a quote is not closed",
		`name="x"y`:                      "a blank must follow a quoted value",
		`name=x"y`:                       "a term has the form field=value",
		strings.Repeat("x", 4097):        "use at most 4096",
		strings.Repeat("mtu=1 and ", 65): "more than 64 terms",
	} {
		f := readFault(t, w.must(http.StatusBadRequest, "GET", base+"/networks?search="+url.QueryEscape(search), "").Body.Bytes())
		if f.Reason != "Invalid value" || !strings.Contains(f.Detail, detail) {
			t.Errorf("%s: fault is %+v, want %q", search, f, detail)
		}
	}
}

// TestT22SearchOfSubCollections: only the collections of the root are searched.
func TestT22SearchOfSubCollections(t *testing.T) {
	w := newWorld(t)
	for _, path := range subCollections() {
		got := w.must(http.StatusOK, "GET", path+"?search=nosuch%3Dx", "").Body.String()
		if want := w.must(http.StatusOK, "GET", path, "").Body.String(); got != want {
			t.Errorf("%s is searched:\n%s", path, got)
		}
	}
}

func subCollections() []string {
	return []string{
		base + "/datacenters/" + dataCenter + "/clusters",
		base + "/datacenters/" + dataCenter + "/networks",
		base + "/clusters/" + cluster + "/networks",
		base + "/networks/" + string(iso3) + "/networklabels",
		base + "/networks/" + string(iso3) + "/vnicprofiles",
		hostPath + "/networklabels",
		hostPath + "/networkattachments",
		attachmentsPath + "/" + attachmentID(iso1) + "/statistics",
	}
}

func TestT22Max(t *testing.T) {
	w := newWorld(t)
	count := func(path string) int {
		var list struct {
			Member []struct{} `xml:",any"`
		}
		if err := xml.Unmarshal(w.must(http.StatusOK, "GET", path, "").Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		return len(list.Member)
	}
	for _, path := range append(subCollections(), base+"/hosts", base+"/networks", base+"/clusters", base+"/datacenters", base+"/vnicprofiles") {
		all := count(path)
		if all == 0 {
			t.Errorf("%s is empty, which proves nothing", path)
		}
		for limit, want := range map[string]int{"0": 0, "1": 1, "1000": all, "-1": all, "x": all, "": all, "99999999999999999999": all} {
			if got := count(path + "?max=" + limit); got != want {
				t.Errorf("%s with max=%s has %d, want %d", path, limit, got, want)
			}
		}
	}
}

// TestT22Follow checks that each link can be followed in both spellings, and
// that what was followed is no link any more.
func TestT22Follow(t *testing.T) {
	w := newWorld(t)
	attachment := attachmentsPath + "/" + attachmentID(iso3)
	for _, c := range []struct{ path, follow, want string }{
		{base + "/hosts", "network_attachments", `"network_attachment": [`},
		{base + "/hosts", "networkattachments.network.network_labels", `"id": "lab3"`},
		{base + "/hosts", "network_attachments.network.vnic_profiles", `"mode": "disabled"`},
		{base + "/hosts", "network_attachments.network.data_center", `"local": "false"`},
		{base + "/hosts", "network_attachments.host", `"address": "host1"`},
		{base + "/hosts", "networkattachments.statistics", `"name": "data.total.rx"`},
		{base + "/hosts", "network_labels", `"id": "lab3"`},
		{base + "/hosts", "Cluster.Networks", `"required": "false"`},
		{base + "/hosts", "cluster.data_center", `"local": "false"`},
		{attachmentsPath, "network.networklabels", `"id": "lab3"`},
		{attachment, "network.networklabels", `"id": "lab3"`},
		{attachment, "host", `"address": "host1"`},
		{attachment, "statistics", `"name": "data.total.rx"`},
		{base + "/networks", "network_labels,vnic_profiles", `"mode": "disabled"`},
		{base + "/networks", "data_center", `"local": "false"`},
		{base + "/datacenters", "networks.networklabels", `"id": "lab3"`},
		{base + "/datacenters", "clusters.networks", `"required": "false"`},
		{base + "/datacenters/" + dataCenter + "/clusters", "networks", `"required": "false"`},
		{base + "/datacenters/" + dataCenter + "/networks", "vnicprofiles", `"mode": "disabled"`},
		{base + "/clusters", "networks.vnic_profiles", `"mode": "disabled"`},
		{base + "/clusters", "data_center", `"local": "false"`},
		{base + "/clusters/" + cluster + "/networks", "network_labels", `"id": "lab3"`},
		{base + "/vnicprofiles", "network", `"vdsm_name": "iso1"`},
		{base + "/networks/" + string(iso1) + "/vnicprofiles", "network", `"vdsm_name": "iso1"`},
	} {
		plain := w.must(http.StatusOK, "GET", c.path, "", jsonReply).Body.String()
		for _, spelling := range []string{c.follow, strings.ReplaceAll(c.follow, "_", ""), strings.ToUpper(c.follow), " ," + c.follow + "," + c.follow} {
			followed := w.must(http.StatusOK, "GET", c.path+"?follow="+url.QueryEscape(spelling), "", jsonReply).Body.String()
			if strings.Count(followed, c.want) <= strings.Count(plain, c.want) {
				t.Errorf("%s?follow=%s has no more of %s:\n%s", c.path, spelling, c.want, followed)
			}
		}
		if empty := w.must(http.StatusOK, "GET", c.path+"?follow=", "", jsonReply).Body.String(); empty != plain {
			t.Errorf("%s?follow= changes the reply:\n%s", c.path, cmp.Diff(plain, empty))
		}
	}
	for follow, detail := range map[string]string{
		"vms":                              "The link 'vms' cannot be followed: use one of cluster, networkattachments, networklabels, nics, statistics.",
		"network_attachments.vms":          "use one of networkattachments.host, networkattachments.network, networkattachments.statistics.",
		"network_attachments.host.cluster": "nothing can be followed after 'networkattachments.host'.",
		"network_attachments.network.":     "use one of networkattachments.network.datacenter",
		".":                                "use one of cluster",
		strings.Repeat("networkattachments.", 99): "use one of networkattachments.host",
	} {
		f := readFault(t, w.must(http.StatusBadRequest, "GET", base+"/hosts?follow="+follow, "").Body.Bytes())
		if f.Reason != "Invalid value" || !strings.Contains(f.Detail, detail) {
			t.Errorf("follow=%s: fault is %+v, want %q", follow, f, detail)
		}
	}
}

// TestT22FollowOfWrites: what a write answers is followed; an action has
// nothing to follow.
func TestT22FollowOfWrites(t *testing.T) {
	for name, c := range map[string]struct {
		status                   int
		method, path, body, want string
	}{
		"attachment added":   {201, "POST", attachmentsPath + "?follow=network", attachIso2, "<vdsm_name>"},
		"attachment updated": {200, "PUT", attachmentsPath + "/" + attachmentID(iso1) + "?follow=network", "<network_attachment/>", "<vdsm_name>"},
		"network added":      {201, "POST", base + "/networks?follow=data_center", "<network><name>x</name></network>", "<local>"},
		"network updated":    {200, "PUT", base + "/networks/" + string(iso1) + "?follow=vnic_profiles", "<network/>", "<pass_through>"},
		"network assigned":   {201, "POST", base + "/clusters/" + cluster + "/networks?follow=vnic_profiles", "<network><name>iso1</name></network>", "<pass_through>"},
		"assignment updated": {200, "PUT", base + "/clusters/" + cluster + "/networks/" + string(iso1) + "?follow=vnic_profiles", "<network/>", "<pass_through>"},
		"action":             {200, "POST", setupPath + "?follow=x", "<action/>", "<status>complete</status>"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if got := w.must(c.status, c.method, c.path, c.body).Body.String(); !strings.Contains(got, c.want) {
				t.Errorf("no %s in:\n%s", c.want, got)
			}
			if name == "action" {
				return
			}
			revision := w.store.Snapshot().Revision
			path, _, _ := strings.Cut(c.path, "?")
			newWorld(t).must(http.StatusBadRequest, c.method, path+"?follow=nosuch", c.body)
			w.must(http.StatusBadRequest, c.method, path+"?follow=nosuch", c.body)
			if w.store.Snapshot().Revision != revision {
				t.Error("a refused write changed something")
			}
		})
	}
}

// TestT19JSON writes in JSON with strings and with native values, and reads the
// same back.
func TestT19JSON(t *testing.T) {
	for _, body := range []string{
		`{"name":"new","mtu":"1400","stp":"false","port_isolation":"true","usages":{"usage":["vm"]},"network_labels":{"network_label":[{"id":"lab3"}]},"data_center":{"name":"Default"}}`,
		`{"name":"new","mtu":1400,"stp":false,"port_isolation":true,"usages":{"usage":["vm"]},"network_labels":{"network_label":[{"id":"lab3"}]},"unknown":{"a":[1]},"vlan":null}`,
	} {
		w := newWorld(t)
		var made struct {
			Href, ID, Name, MTU, STP string
			PortIsolation            string `json:"port_isolation"`
			Usages                   struct{ Usage []string }
			Link                     []struct{ Rel string }
		}
		reply := w.must(http.StatusCreated, "POST", base+"/networks", body, jsonBody, jsonReply)
		if err := json.Unmarshal(reply.Body.Bytes(), &made); err != nil {
			t.Fatalf("%v:\n%s", err, reply.Body)
		}
		if made.MTU != "1400" || made.STP != "false" || made.PortIsolation != "true" || !slices.Equal(made.Usages.Usage, []string{"vm"}) {
			t.Errorf("made %+v", made)
		}
		if reply.Header().Get("Location") != made.Href {
			t.Errorf("Location is %q", reply.Header().Get("Location"))
		}
		// What was read can be written back unchanged.
		read := w.must(http.StatusOK, "GET", made.Href, "", jsonReply).Body.String()
		written := w.must(http.StatusOK, "PUT", made.Href, read, jsonBody, jsonReply).Body.String()
		if diff := cmp.Diff(read, written); diff != "" {
			t.Errorf("a round trip changed something (-read +written):\n%s", diff)
		}
		action := `{"modified_network_attachments":{"network_attachment":[{"network":{"name":"new"}}]},"commit_on_success":true,"connectivity_timeout":"30"}`
		done := w.must(http.StatusOK, "POST", setupPath, action, jsonBody, jsonReply).Body.String()
		for _, want := range []string{`"status": "complete"`, `"commit_on_success": "true"`, `"connectivity_timeout": "30"`} {
			if !strings.Contains(done, want) {
				t.Errorf("no %s in %s", want, done)
			}
		}
	}
	w := newWorld(t)
	for path, want := range map[string]string{
		base + "/vms":                "{}\n",
		base + "/networks?max=0":     "{}\n",
		base + "/vnicprofiles?max=0": "{}\n",
	} {
		if got := w.must(http.StatusOK, "GET", path, "", jsonReply).Body.String(); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	var list struct {
		Statistic []struct {
			Values struct{ Value []struct{ Datum float64 } }
		}
	}
	statistics := w.must(http.StatusOK, "GET", attachmentsPath+"/"+attachmentID(iso1)+"/statistics", "", jsonReply)
	if err := json.Unmarshal(statistics.Body.Bytes(), &list); err != nil || list.Statistic[0].Values.Value[0].Datum != 1234.5 {
		t.Errorf("a datum is a number in JSON: %v, %+v", err, list)
	}
}

func TestT20PathsAndVersions(t *testing.T) {
	w := newWorld(t)
	w.must(http.StatusOK, "GET", base+"//hosts", "")
	if body := w.must(http.StatusOK, "GET", base+"/v4/hosts", "").Body.String(); !strings.Contains(body, `href="/ovirt-engine/api/v4/hosts/`) {
		t.Errorf("hrefs lack the version:\n%s", body)
	}
	for version, status := range map[string]int{"4": 200, "2": 400, "3": 400, "5": 400, "x": 400, "4.0": 400} {
		reply := w.must(status, "GET", base+"/hosts", "", header{"Version": version})
		if status == 400 {
			if f := readFault(t, reply.Body.Bytes()); f.Reason != "Unsupported version" {
				t.Errorf("version %s: fault %+v", version, f)
			}
		}
	}
}

// Who speaks another version is told so in words, by the header and by the path.
func TestOtherVersions(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ path, version, text string }{
		{base + "/hosts", "3", "Version 3 of the API is not supported"},
		{base + "/v3", "", "Version 3 of the API is not supported"},
		{base + "/v3/hosts", "4", "Version 3 of the API is not supported"},
		{"/api", "3", "Version 3 of the API is not supported"},
		{"/api/v5/hosts", "", "The API version \"5\" is not supported"},
		{base + "/v4/v4/hosts", "", ""},
	} {
		if c.text == "" {
			w.must(http.StatusNotFound, "GET", c.path, "", header{"Version": c.version})
			continue
		}
		f := readFault(t, w.must(http.StatusBadRequest, "GET", c.path, "", header{"Version": c.version}).Body.Bytes())
		if f.Reason != "Unsupported version" || !strings.Contains(f.Detail, c.text) {
			t.Errorf("%s with %q: %+v", c.path, c.version, f)
		}
	}
}

// Parameters may stand in the path, as ovirt-web-ui sends them.
func TestMatrixParameters(t *testing.T) {
	w := newWorld(t)
	for target, want := range map[string][]string{
		base + "/networks/;max=2?search=SORTBY%20NAME%20ASC%20page%201": {"iso1", "iso3"},
		base + "/networks/;max=2?search=SORTBY%20NAME%20ASC%20page%202": {"iso4", "second isolated network"},
		base + "/networks;max=1":                                  {"iso1"},
		base + "/networks;max=1?max=2":                            {"iso1", "iso3"},
		base + "/networks;max=1;case_sensitive=true":              {"iso1"},
		base + "/networks;search=name%3Diso3":                     {"iso3"},
		base + ";max=3/networks;max":                              {"iso1", "iso3", "iso4"},
		base + "/networks;":                                       {"iso1", "iso3", "iso4", "second isolated network"},
		base + "/networks;=5;;%zz=%":                              {"iso1", "iso3", "iso4", "second isolated network"},
		base + "/v4;a=b//networks/;max=1":                         {"iso1"},
		base + "/networks;accept=application%2Fxml;max=1":         {"iso1"},
		"/api;max=1/networks":                                     {"iso1"},
		base + "/datacenters/" + dataCenter + "/networks;max=1":   {"iso1"},
		base + "/networks;max=1;correlation_id=x":                 {"iso1"},
		base + "/networks;max=9999999999999999999999":             {"iso1", "iso3", "iso4", "second isolated network"},
		base + "/networks;search=name%3Diso%2A;max=1;max=2;max=3": {"iso1"},
	} {
		if strings.Contains(target, "%zz") {
			continue // net/http refuses it before
		}
		if got := w.listed(target); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
	before := w.store.Snapshot()
	w.must(http.StatusOK, "DELETE", base+"/networks/"+string(iso2)+";dry_run=true", "")
	if w.store.Snapshot() != before {
		t.Error("dry_run in the path was not taken up")
	}
	w.must(http.StatusConflict, "DELETE", base+"/networks/"+string(iso1)+";async=true", "")
	w.must(http.StatusOK, "DELETE", base+"/networks/"+string(iso1)+";force=true", "")
	for _, path := range []string{"/..;x=y/networks", "/.;/networks", "/networks%3Bmax=1"} {
		w.must(http.StatusNotFound, "GET", base+path, "")
	}
	// Messages go to the log: no password of a path is in them.
	for _, path := range []string{base + "/nosuch;password=hunter2", base + "/..;password=hunter2/networks", "/ovirt-engine/sso/nosuch;password=hunter2"} {
		if text := w.must(http.StatusNotFound, "GET", path, "").Body.String(); strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s", path, text)
		}
	}
	remote := newRemote(t, nil)
	for _, path := range []string{"/ovirt-engine/sso;x/../api/hosts", "/ovirt-engine/api;x=/ovirt-engine/services/x/hosts", "/ovirt-engine;x=y/api/hosts", ";/ovirt-engine/api/hosts"} {
		if code := remote.do("GET", "/"+strings.TrimPrefix(path, "/"), "").Code; code != http.StatusUnauthorized && code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, code)
		}
	}
}

// Bodies may be in the character sets that clients in old languages have.
func TestCharacterSets(t *testing.T) {
	w := newWorld(t)
	for i, c := range []struct{ contentType, before, text string }{
		{"application/xml; charset=us-ascii", "", "plain"},
		{"application/xml; charset=ASCII", "", "plain"},
		{"application/xml; charset=UTF8", "", "gr\u00fcn"},
		{"application/xml; charset=ISO-8859-1", "", "gr\xfcn"},
		{"text/xml; charset=\"latin1\"", `<?xml version="1.0" encoding="UTF-8"?>`, "gr\xfcn"},
		{"application/xml", `<?xml version="1.0" encoding="ISO-8859-1"?>`, "gr\xfcn"},
		{"application/xml", `<?xml version='1.0' encoding = 'us-ascii' standalone='yes'?>`, "plain"},
		{"application/xml; charset=utf-8", `<?xml version="1.0" encoding="iso-8859-1"?>`, "gr\u00fcn"},
	} {
		want := "gr\u00fcn"
		if c.text == "plain" {
			want = c.text
		}
		body := fmt.Sprintf("%s<network><name>n%d</name><description>%s</description></network>", c.before, i, c.text)
		got := w.must(http.StatusCreated, "POST", base+"/networks", body, header{"Content-Type": c.contentType, "Accept": "application/json"})
		var network struct{ Description string }
		if err := json.Unmarshal(got.Body.Bytes(), &network); err != nil || network.Description != want {
			t.Errorf("%s %s: %q, %v", c.contentType, c.before, network.Description, err)
		}
	}
	got := w.must(http.StatusCreated, "POST", base+"/networks", "{\"name\":\"json\",\"description\":\"gr\xfcn\"}", header{"Content-Type": "application/json; charset=iso-8859-1"})
	if !strings.Contains(got.Body.String(), "gr\u00fcn") {
		t.Errorf("the network is %s", got.Body)
	}
}

func TestT21CorrelationID(t *testing.T) {
	w := newWorld(t)
	for sent, want := range map[string]string{
		"my-corr_1":             "my-corr_1",
		"a b;c\"<d>":            "abcd",
		strings.Repeat("x", 37): strings.Repeat("x", 36),
	} {
		for _, path := range []string{base + "/hosts", base + "/hosts/nope", base + "/hosts?search=(", base + "/vnicprofiles"} {
			if got := w.do("GET", path, "", header{"Correlation-Id": sent}).Header().Get("Correlation-Id"); got != want {
				t.Errorf("%s: sent %q, got %q, want %q", path, sent, got, want)
			}
		}
	}
	if got := w.do("GET", base+"/hosts?correlation_id=from+query", "").Header().Get("Correlation-Id"); got != "fromquery" {
		t.Errorf("from the query: %q", got)
	}
	if _, ok := model.ParseID(w.do("GET", base+"/hosts?correlation_id=%00", "").Header().Get("Correlation-Id")); !ok {
		t.Error("an id that is empty without its forbidden characters is not replaced")
	}
}

// TestIgnoredHints sends what clients say about how they would like a request to
// be served. It changes nothing, because every request is served in the one way.
func TestIgnoredHints(t *testing.T) {
	hints := header{
		"Prefer": "persistent-auth, csrf-protection", "Session-TTL": "30", "JSESSIONID": "x", "Filter": "true", "All-Content": "true",
		"X-Ovirt-Expect": "202-accepted",
	}
	const query = "?async=true&filter=true&all_content=true&override_configuration=true&current="
	w := newWorld(t)
	plain := w.must(http.StatusOK, "GET", base+"/hosts", "").Body.String()
	if got := w.must(http.StatusOK, "GET", base+"/hosts"+query, "", hints).Body.String(); got != plain {
		t.Errorf("hints change the reply:\n%s", cmp.Diff(plain, got))
	}
	w.must(http.StatusCreated, "POST", attachmentsPath+query, attachIso2, hints)
	w.must(http.StatusOK, "PUT", attachmentsPath+"/"+attachmentID(iso2)+query, "<network_attachment/>", hints)
	done := w.must(http.StatusOK, "DELETE", attachmentsPath+"/"+attachmentID(iso2)+query, "", hints)
	if !strings.Contains(done.Body.String(), "<status>complete</status>") {
		t.Errorf("the removal answers:\n%s", done.Body)
	}
	done = w.must(http.StatusOK, "POST", setupPath+query, "<action><async>true</async></action>", hints)
	if !strings.Contains(done.Body.String(), "<status>complete</status>") {
		t.Errorf("the action answers:\n%s", done.Body)
	}
}

// TestExpectContinue sends a body only when the server asks for it.
func TestExpectContinue(t *testing.T) {
	w := newWorld(t)
	_, address := serve(t, w.handler)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	const body = "<network><name>new</name></network>"
	_, err = fmt.Fprintf(conn, "POST %s/networks HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", base, len(body))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if line, err := lines.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("the server answers %q, %v", line, err)
	}
	if _, err := lines.ReadString('\n'); err != nil { // the empty line
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	reply, err := http.ReadResponse(lines, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = reply.Body.Close()
	if reply.StatusCode != http.StatusCreated {
		t.Errorf("status %d", reply.StatusCode)
	}
}

// TestVnicProfiles looks a profile up as clients do that give a VM a NIC.
func TestVnicProfiles(t *testing.T) {
	w := newWorld(t)
	byName := w.must(http.StatusOK, "GET", base+"/vnicprofiles?search=name%3Diso1", "").Body.String()
	ofNetwork := w.must(http.StatusOK, "GET", base+"/networks/"+string(iso1)+"/vnicprofiles", "").Body.String()
	if diff := cmp.Diff(byName, ofNetwork); diff != "" {
		t.Errorf("the profile is not the same in both lists:\n%s", diff)
	}
	one := w.must(http.StatusOK, "GET", base+"/vnicprofiles/"+vnicProfile, "").Body.String()
	if diff := cmp.Diff(one, w.must(http.StatusOK, "GET", base+"/networks/"+string(iso1)+"/vnicprofiles/"+vnicProfile, "").Body.String()); diff != "" {
		t.Errorf("the profile is not the same at both paths:\n%s", diff)
	}
	w.must(http.StatusNotFound, "GET", base+"/networks/"+string(iso2)+"/vnicprofiles/"+vnicProfile, "")
	w.must(http.StatusNotFound, "GET", base+"/vnicprofiles/"+string(iso1), "")
	for method, path := range map[string]string{
		"POST": "/vnicprofiles", "PUT": "/vnicprofiles/" + vnicProfile, "DELETE": "/vnicprofiles/" + vnicProfile, "PATCH": "/networks/" + string(iso1) + "/vnicprofiles",
	} {
		readFault(t, w.must(http.StatusMethodNotAllowed, method, base+path, "<vnic_profile/>").Body.Bytes())
	}
	// A profile lives as long as its network, and keeps its id when that is renamed.
	w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso1), "<network><name>renamed</name></network>")
	if got := w.must(http.StatusOK, "GET", base+"/vnicprofiles/"+vnicProfile, "").Body.String(); !strings.Contains(got, "<name>renamed</name>") {
		t.Errorf("the profile of the renamed network:\n%s", got)
	}
	w.must(http.StatusOK, "DELETE", base+"/networks/"+string(iso1)+"?force=true", "")
	w.must(http.StatusNotFound, "GET", base+"/vnicprofiles/"+vnicProfile, "")
}

func TestNetworksOfTheCluster(t *testing.T) {
	w := newWorld(t)
	networks, network1 := base+"/clusters/"+cluster+"/networks", base+"/clusters/"+cluster+"/networks/"+string(iso1)
	before := w.store.Snapshot()
	view := w.must(http.StatusOK, "GET", network1, "").Body.String()
	for _, body := range []string{
		"<network/>", "<network><required>false</required><display>false</display></network>", "<network><usages/></network>", view,
		`<network id="` + string(iso1) + `"><usages><usage>vm</usage></usages></network>`,
	} {
		if got := w.must(http.StatusOK, "PUT", network1, body).Body.String(); got != view {
			t.Errorf("%s is answered by another view:\n%s", body, cmp.Diff(view, got))
		}
	}
	for _, c := range []struct {
		status                     int
		method, path, body, detail string
	}{
		{400, "PUT", network1, "<network><required>true</required></network>", "cannot be required in the cluster"},
		{400, "PUT", network1, "<network><display>true</display></network>", "cannot be the display network"},
		{400, "PUT", network1, "<network><usages><usage>vm</usage><usage>migration</usage></usages></network>", "cannot have the usage 'migration' in the cluster"},
		{404, "PUT", networks + "/" + dataCenter, "<network/>", "Entity not found: " + dataCenter},
		{404, "PUT", base + "/clusters/" + dataCenter + "/networks/" + string(iso1), "<network/>", "Entity not found: " + dataCenter},
		{400, "POST", networks, "<network/>", "Network [id|name] required for add"},
		{400, "POST", networks, "<network><name>nope</name></network>", "'nope'"},
		{400, "POST", networks, "<network><name>iso1</name><required>true</required></network>", "cannot be required in the cluster"},
		{409, "DELETE", network1, "", "use DELETE /ovirt-engine/api/networks/" + string(iso1)},
		{404, "DELETE", networks + "/" + dataCenter, "", "Entity not found: " + dataCenter},
	} {
		if f := readFault(t, w.must(c.status, c.method, c.path, c.body).Body.Bytes()); !strings.Contains(f.Detail, c.detail) {
			t.Errorf("%s %s %s: %q, want %q", c.method, c.path, c.body, f.Detail, c.detail)
		}
	}
	if code := w.do("PUT", network1, `<network id="`+string(iso2)+`"/>`).Code; code/100 != 4 {
		t.Errorf("another network's id is answered with %d", code)
	}
	if w.store.Snapshot() != before {
		t.Error("the networks of the cluster changed")
	}
	// The status is what this host knows.
	w.loop.publish(func(s *report.Status) {
		s.Networks = map[model.ID]report.NetworkStatus{iso1: {State: report.Failed, Reason: "x"}, iso3: {State: report.Pending}}
	})
	for network, want := range map[model.ID]string{iso1: "non_operational", iso3: "operational", iso2: "operational"} {
		if got := w.must(http.StatusOK, "GET", networks+"/"+string(network), "").Body.String(); !strings.Contains(got, "<status>"+want+"</status>") {
			t.Errorf("%s is not %s:\n%s", network, want, got)
		}
	}
}

// TestDataCenterNetworks: the networks of the data center are the networks.
func TestNetworksOfTheDataCenter(t *testing.T) {
	w := newWorld(t)
	networks := base + "/datacenters/" + dataCenter + "/networks"
	w.must(http.StatusCreated, "POST", networks, "<network><name>new</name></network>")
	w.must(http.StatusOK, "PUT", networks+"/"+string(iso1), "<network><mtu>9000</mtu></network>")
	if got := w.store.Snapshot().Networks[iso1].MTU; got != 9000 {
		t.Errorf("the MTU is %d", got)
	}
	w.must(http.StatusOK, "DELETE", networks+"/"+string(iso2), "")
	w.must(http.StatusNotFound, "GET", base+"/networks/"+string(iso2), "")
	w.must(http.StatusNotFound, "DELETE", networks+"/"+string(iso2), "")
	for _, c := range []struct{ method, body string }{{"GET", ""}, {"PUT", "<network/>"}, {"DELETE", ""}} {
		w.must(http.StatusNotFound, c.method, base+"/datacenters/"+cluster+"/networks/"+string(iso1), c.body)
	}
	w.must(http.StatusOK, "GET", base+"/datacenters/"+dataCenter+"/clusters/"+cluster, "")
	w.must(http.StatusNotFound, "GET", base+"/datacenters/"+cluster+"/clusters/"+cluster, "")
}
