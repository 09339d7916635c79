package ovs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
)

// Each column of the running server's schema is in the table of docs/isolation.md
// once, and the table names nothing that no Open vSwitch has.
func TestEveryColumnIsAccountedFor(t *testing.T) {
	server := ovstest.Start(t)
	text, err := exec.Command("ovsdb-client", "get-schema", server.Endpoint(), "Open_vSwitch").Output()
	if err != nil {
		t.Fatalf("ovsdb-client get-schema: %v", err)
	}
	var schema struct {
		Tables map[string]struct {
			Columns map[string]any `json:"columns"`
		} `json:"tables"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for table, description := range schema.Tables {
		for column := range description.Columns {
			named[table+" "+column] = true
			if n := entries(table, column); n != 1 {
				t.Errorf("%d entries of isolation.Columns name the column %s of %s, want 1: find out what it does (ovs-vswitchd.conf.db(5), vswitchd/bridge.c) and say what isonet does about it", n, column, table)
			}
		}
	}
	// Open vSwitch 3.7 has it, and not each machine that tests run on does.
	named["Flow_Sample_Collector_Set local_group_id"] = true
	for _, c := range isolation.Columns() {
		for _, name := range c.Names {
			column, _, _ := strings.Cut(name, ":")
			if !strings.Contains(column, "*") && !named[c.Table+" "+column] {
				t.Errorf("isolation.Columns names the column %s of %s, which the schema does not have", column, c.Table)
			}
		}
	}
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
