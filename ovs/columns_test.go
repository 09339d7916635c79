package ovs_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
)

// Each column of Open vSwitch 2.17 to 4.0, and of the machine's, is in the table of
// docs/isolation.md once, and the table names nothing that none of them has.
func TestEveryColumnIsAccountedFor(t *testing.T) {
	named := map[string]bool{}
	for table, columns := range ovstest.Columns() {
		for _, column := range columns {
			named[table+" "+column] = true
		}
	}
	for table, columns := range machineColumns(t) {
		for _, column := range columns {
			if !named[table+" "+column] {
				t.Errorf("the machine's Open vSwitch has the column %s of %s, and the lists of releases have not", column, table)
			}
			named[table+" "+column] = true
		}
	}
	for name := range named {
		table, column, _ := strings.Cut(name, " ")
		if n := entries(table, column); n != 1 {
			t.Errorf("%d entries of isolation.Columns name the column %s of %s, want 1: find out what it does (ovs-vswitchd.conf.db(5), vswitchd/bridge.c) and say what isonet does about it", n, column, table)
		}
	}
	for _, c := range isolation.Columns() {
		for _, name := range c.Names {
			column, _, _ := strings.Cut(name, ":")
			if !strings.Contains(column, "*") && !named[c.Table+" "+column] {
				t.Errorf("isolation.Columns names the column %s of %s, which the schema does not have", column, c.Table)
			}
		}
	}
}

// machineColumns returns the columns of the schema of the machine's Open vSwitch, by
// table.
func machineColumns(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(ovstest.Schema)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Tables map[string]struct {
			Columns map[string]any `json:"columns"`
		} `json:"tables"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	columns := map[string][]string{}
	for table, description := range schema.Tables {
		columns[table] = slices.Collect(maps.Keys(description.Columns))
	}
	return columns
}

// Each key that ovs-vswitchd.conf.db(5) documents is in the table once, or its
// whole map is.
func TestEveryKeyIsAccountedFor(t *testing.T) {
	text, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		column, keys, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		table, column, _ := strings.Cut(column, " ")
		for _, key := range strings.Fields(keys) {
			whole := column == "bfd" // each of its keys concerns what enable turns on
			if n := entries(table, column+":"+key); n > 1 || n == 0 && !whole {
				t.Errorf("%d entries of isolation.Columns name %s:%s of %s, want 1", n, column, key, table)
			}
		}
	}
}

func entries(table, name string) int {
	return len(slices.DeleteFunc(isolation.Columns(), func(c isolation.Column) bool {
		return c.Table != table || !c.Matches(name)
	}))
}
