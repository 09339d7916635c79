package ovstest

import (
	_ "embed" // the columns
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

//go:embed columns-2.17.txt
var oldestColumns string

//go:embed columns-4.0.txt
var laterColumns string

// Columns returns the columns of the Open_vSwitch database in Open vSwitch 4.0, by
// table.
func Columns() map[string][]string { return columns(oldestColumns + laterColumns) }

// columns reads lines of a table and its columns.
func columns(text string) map[string][]string {
	of := map[string][]string{}
	for line := range strings.Lines(text) {
		if table, names, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, "#") {
			of[table] = append(of[table], strings.Fields(names)...)
		}
	}
	return of
}

// Oldest gives the instance a database as Open vSwitch 2.17 has it, without the
// tables and columns that came later.
func Oldest() Option { return func(o *OVS) { o.oldest = true } }

// schemaOf217 writes the machine's schema without what came after Open vSwitch
// 2.17 to a file.
func schemaOf217(t testing.TB, file string) {
	t.Helper()
	text, err := os.ReadFile(Schema)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatalf("%s: %v", Schema, err)
	}
	columns := columns(oldestColumns)
	tables := schema["tables"].(map[string]any)
	for table, description := range tables {
		known, there := columns[table]
		if !there {
			delete(tables, table)
			continue
		}
		have := description.(map[string]any)["columns"].(map[string]any)
		for column := range have {
			if !slices.Contains(known, column) {
				delete(have, column)
			}
		}
	}
	schema["version"] = "8.3.0"
	delete(schema, "cksum") // it is of the whole text
	if text, err = json.Marshal(schema); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
