package store

import (
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store/internal/schema"
)

// compiled is what turns one desired state into another: what must be as it was read,
// and what to write then.
type compiled struct {
	guards, writes []rfc.Operation
	// names says that a network is new or gets another name: their rules span rows.
	names bool
	// all says that nothing else may have been committed.
	all bool
}

// compile returns what makes the desired state of a view another one. It touches no row
// that is in neither.
func compile(now *view, to *model.Desired) (compiled, error) {
	c := compiler{now: now, to: to}
	networks := compileTable(&c, schema.NetworkTable, now.desired.Networks, to.Networks, now.written.Networks, sameNetwork, networkRow)
	hosts := compileTable(&c, schema.HostTable, now.desired.Hosts, to.Hosts, now.written.Hosts, model.Host.Equal, hostRow)
	attachments := compileTable(&c, schema.AttachmentTable, now.desired.Attachments, to.Attachments, now.written.Attachments, model.Attachment.Equal, attachmentRow)
	c.guard(networks, hosts, attachments)
	return c.compiled, c.err
}

type compiler struct {
	compiled
	now *view
	to  *model.Desired
	err error
}

// compileTable returns the rows that it writes. Those that do not count, because
// somebody made them invalid, are guarded and corrected as they are in the database.
func compileTable[V any](c *compiler, table string, from, to, written map[model.ID]V, same func(a, b V) bool, row func(V) rfc.Row) []model.ID {
	var gone, differ, changed []model.ID
	for id := range from {
		if _, keep := to[id]; !keep {
			gone = append(gone, id)
		}
	}
	for id, want := range to { // most rows are as they were
		if have, exists := from[id]; !exists || !same(have, want) {
			differ = append(differ, id)
		}
	}
	slices.Sort(gone)
	for _, id := range gone {
		c.guards = append(c.guards, unchanged(table, string(id), row(written[id])))
		c.writes = append(c.writes, rfc.Operation{Op: rfc.OperationDelete, Table: table, Where: byUUID(string(id))})
		changed = append(changed, id)
	}
	slices.Sort(differ)
	for _, id := range differ {
		if _, exists := from[id]; !exists {
			c.insert(table, id, row(to[id]))
			changed = append(changed, id)
		} else if c.update(table, id, row(written[id]), row(to[id])) {
			changed = append(changed, id)
		}
	}
	return changed
}

func (c *compiler) insert(table string, id model.ID, row rfc.Row) {
	if canonical, ok := model.ParseID(string(id)); !ok || canonical != id {
		c.refuse(model.Invalidf("'%s' is not the id of a %s: want a UUID in lower case.", id, strings.ToLower(table)))
	}
	c.checkTexts(table, row)
	c.writes = append(c.writes, rfc.Operation{Op: rfc.OperationInsert, Table: table, UUID: string(id), Row: row})
}

// update writes the columns that differ, unless somebody has changed or deleted them
// meanwhile. It says whether any does.
func (c *compiler) update(table string, id model.ID, have, want rfc.Row) bool {
	old, row := rfc.Row{}, rfc.Row{}
	for column, value := range want {
		if !reflect.DeepEqual(have[column], value) {
			old[column], row[column] = have[column], value
		}
	}
	if len(row) == 0 {
		return false
	}
	c.checkTexts(table, row)
	c.guards = append(c.guards, unchanged(table, string(id), old))
	c.writes = append(c.writes, rfc.Operation{Op: rfc.OperationUpdate, Table: table, Where: byUUID(string(id)), Row: row})
	return true
}

// checkTexts refuses what OVSDB cannot carry in any column: the server closes
// the connection on a NUL character, and what is not UTF-8 would arrive
// changed.
func (c *compiler) checkTexts(table string, row rfc.Row) {
	for column, value := range row {
		for _, text := range texts(value) {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				c.refuse(model.Invalidf("%s %s '%s' must be UTF-8 without NUL characters.", table, column, strings.ToValidUTF8(text, "?")))
			}
		}
	}
}

func texts(value any) []string {
	var list []string
	switch v := value.(type) {
	case string:
		list = append(list, v)
	case rfc.OvsSet:
		for _, element := range v.GoSet {
			list = append(list, texts(element)...)
		}
	case rfc.OvsMap:
		for key, element := range v.GoMap {
			list = append(append(list, texts(key)...), texts(element)...)
		}
	}
	return list
}

func (c *compiler) refuse(err error) {
	if c.err == nil {
		c.err = err
	}
}
