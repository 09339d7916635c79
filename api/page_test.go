package api_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// page is docs/ovirt-api.md by its headings: the rows of the tables, each cell
// trimmed.
func readPage(t *testing.T) map[string][][]string {
	t.Helper()
	page := map[string][][]string{}
	heading := ""
	for line := range strings.Lines(string(readFile(t, filepath.Join("..", "docs", "ovirt-api.md")))) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "## "); ok {
			heading = text
		}
		row, ok := strings.CutPrefix(line, "| ")
		if !ok {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.ReplaceAll(row, `\|`, "\x00"), "|") {
			cells = append(cells, strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|"))
		}
		page[heading] = append(page[heading], cells)
	}
	return page
}

// quoted returns what stands in backticks in a cell.
func quoted(cell string) []string {
	var names []string
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			names = append(names, part)
		}
	}
	return names
}

// TestPageHasEveryRoute holds docs/ovirt-api.md to the table of routes.
func TestPageHasEveryRoute(t *testing.T) {
	route := regexp.MustCompile(`^(GET|POST|PUT|DELETE) /`)
	var routes []string
	for _, rows := range readPage(t) {
		for _, row := range rows {
			for _, name := range quoted(row[0]) {
				if route.MatchString(name) {
					routes = append(routes, name)
				}
			}
		}
	}
	slices.Sort(routes)
	if diff := cmp.Diff(routes, newWorld(t).routes()); diff != "" {
		t.Errorf("routes (-in docs/ovirt-api.md +served):\n%s", diff)
	}
}

// TestPageHasEveryFieldAndLink compares the page with the document, which
// TestLinksAndFieldsAreDocumented compares with the API.
func TestPageHasEveryFieldAndLink(t *testing.T) {
	c, page := loadContract(t), readPage(t)
	fields, links := map[string][]string{}, map[string][]string{}
	for path, item := range c.doc.Paths.Map() {
		if item.Get == nil {
			continue
		}
		if p := parameter(item.Get, "search"); p != nil {
			fields[path] = fieldsIn(p)
		}
		// The page has them by the shortest path to an object.
		if p := parameter(item.Get, "follow"); p != nil && strings.HasSuffix(path, "}") && (strings.Count(path, "/") == 2 || strings.HasPrefix(path, "/hosts/")) {
			for _, link := range p.Schema.Value.Items.Value.Enum {
				links[path] = append(links[path], link.(string))
			}
		}
	}
	if diff := cmp.Diff(fields, namesByPath(page["Search"])); diff != "" {
		t.Errorf("fields (-docs/openapi.yaml +docs/ovirt-api.md):\n%s", diff)
	}
	if diff := cmp.Diff(links, namesByPath(page["Links to follow"])); diff != "" {
		t.Errorf("links (-docs/openapi.yaml +docs/ovirt-api.md):\n%s", diff)
	}
}

// namesByPath returns the second cells of a table by the paths in the first.
func namesByPath(rows [][]string) map[string][]string {
	names := map[string][]string{}
	for _, row := range rows {
		for _, path := range quoted(row[0]) {
			names[path] = quoted(row[1])
		}
	}
	return names
}

// TestPageHasEveryMember compares the tables of members with the schemas.
func TestPageHasEveryMember(t *testing.T) {
	c, page := loadContract(t), readPage(t)
	for heading, schemas := range map[string][]string{
		"The root":                {"Api"},
		"Networks":                {"Network", "NetworkInput"},
		"Labels":                  {"NetworkLabel", "NetworkLabelInput"},
		"Hosts":                   {"Host"},
		"Attachments":             {"NetworkAttachment", "NetworkAttachmentInput"},
		"setupnetworks":           {"Action", "SetupNetworksInput"},
		"Statistics":              {"Statistic"},
		"Network interfaces":      {"HostNIC"},
		"Data center":             {"DataCenter"},
		"Cluster":                 {"Cluster"},
		"Networks of the cluster": {"ClusterNetwork", "ClusterNetworkInput"},
		"Profiles":                {"VnicProfile"},
		"Users":                   {"User"},
		"Login":                   {"LoginInput", "LogoutInput", "Token"},
		"isonet's own":            {"HostStatus"},
	} {
		members := map[string]bool{}
		for _, schema := range schemas {
			for name := range c.doc.Components.Schemas[schema].Value.Properties {
				members[name] = true
			}
		}
		named := map[string]bool{}
		for _, row := range page[heading] {
			for _, name := range quoted(row[0]) {
				if !strings.Contains(name, " ") { // else it is a route
					named[name] = true
				}
			}
		}
		// Every object has the first ones. The settings that oVirt has not are in
		// docs/cli.md, which another test holds.
		for _, known := range append([]string{"href", "id", "link"}, settingNames()...) {
			if !named[known] {
				delete(members, known)
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(members)), slices.Sorted(maps.Keys(named))); diff != "" {
			t.Errorf("members of %s (-docs/openapi.yaml +docs/ovirt-api.md):\n%s", heading, diff)
		}
	}
}

// TestPageQuotesTheCode looks for the texts of the page where they are written.
func TestPageQuotesTheCode(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"*.go", "*/*.go", "../change/*.go", "../model/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(data)
		}
	}
	text := regexp.MustCompile(`"([^"]+)"`)
	texts := 0
	for _, rows := range readPage(t) {
		for _, row := range rows {
			for _, found := range text.FindAllStringSubmatch(strings.Join(row, " "), -1) {
				texts++
				for part := range strings.SplitSeq(found[1], "…") {
					if part = strings.TrimSpace(part); len(part) > 2 && !strings.Contains(code.String(), part) {
						t.Errorf("nothing in the code says %q, as in docs/ovirt-api.md: %q", part, found[1])
					}
				}
			}
		}
	}
	if texts == 0 {
		t.Error("the page quotes nothing")
	}
}
