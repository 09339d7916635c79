package store

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store/internal/schema"
)

// historyLength is how many transactions the root row remembers. A writer that
// lost its connection recognises its own transaction among them, so it must be
// more than others can commit while it reconnects.
const historyLength = 64

// compile returns the operations that turn one desired state into another. It
// touches no row that is in neither.
func compile(from, to *model.Desired) ([]rfc.Operation, error) {
	var c compiler
	compileTable(&c, schema.NetworkTable, from.Networks, to.Networks, networkRow)
	compileTable(&c, schema.HostTable, from.Hosts, to.Hosts, hostRow)
	compileTable(&c, schema.AttachmentTable, from.Attachments, to.Attachments, attachmentRow)
	return c.operations, c.err
}

type compiler struct {
	operations []rfc.Operation
	err        error
}

func compileTable[V any](c *compiler, table string, from, to map[model.ID]V, row func(V) rfc.Row) {
	for _, id := range slices.Sorted(maps.Keys(from)) {
		if _, keep := to[id]; !keep {
			c.operations = append(c.operations, rfc.Operation{Op: rfc.OperationDelete, Table: table, Where: byUUID(string(id))})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(to)) {
		have, exists := from[id]
		switch {
		case !exists:
			c.insert(table, id, row(to[id]))
		case !reflect.DeepEqual(have, to[id]): // most rows are as they were
			c.update(table, id, row(have), row(to[id]))
		}
	}
}

func (c *compiler) insert(table string, id model.ID, row rfc.Row) {
	if canonical, ok := model.ParseID(string(id)); !ok || canonical != id {
		c.refuse(model.Invalidf("'%s' is not the id of a %s: want a UUID in lower case.", id, strings.ToLower(table)))
	}
	c.checkTexts(table, row)
	c.operations = append(c.operations, rfc.Operation{Op: rfc.OperationInsert, Table: table, UUID: string(id), Row: row})
}

// update writes the columns that differ, unless somebody who does not count
// revisions has changed or deleted them meanwhile.
func (c *compiler) update(table string, id model.ID, have, want rfc.Row) {
	old, row := rfc.Row{}, rfc.Row{}
	for column, value := range want {
		if !reflect.DeepEqual(have[column], value) {
			old[column], row[column] = have[column], value
		}
	}
	if len(row) == 0 {
		return
	}
	c.checkTexts(table, row)
	c.operations = append(c.operations,
		unchanged(table, string(id), old),
		rfc.Operation{Op: rfc.OperationUpdate, Table: table, Where: byUUID(string(id)), Row: row})
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

// transaction puts the operations between a guard, which fails when somebody
// committed since the root was read, and the record that they were made.
func transaction(r root, id string, operations []rfc.Operation) []rfc.Operation {
	next := int(r.revision) + 1
	old := []any{}
	for id, revision := range r.recent {
		if revision <= next-historyLength {
			old = append(old, id)
		}
	}
	return slices.Concat(
		[]rfc.Operation{unchanged(schema.IsolatedNetworksTable, r.uuid, rfc.Row{"revision": int(r.revision)})},
		operations,
		[]rfc.Operation{{
			Op: rfc.OperationMutate, Table: schema.IsolatedNetworksTable, Where: byUUID(r.uuid),
			Mutations: []rfc.Mutation{
				*rfc.NewMutation("revision", rfc.MutateOperationAdd, 1),
				*rfc.NewMutation("recent", rfc.MutateOperationDelete, rfc.OvsSet{GoSet: old}),
				*rfc.NewMutation("recent", rfc.MutateOperationInsert, rfc.OvsMap{GoMap: map[any]any{id: next}}),
			},
		}})
}

// unchanged fails the transaction unless the row is there and has the columns'
// values.
func unchanged(table, uuid string, row rfc.Row) rfc.Operation {
	noWait := 0
	return rfc.Operation{
		Op: rfc.OperationWait, Table: table, Where: byUUID(uuid), Timeout: &noWait,
		Columns: slices.Sorted(maps.Keys(row)), Until: string(rfc.WaitConditionEqual), Rows: []rfc.Row{row},
	}
}

func byUUID(uuid string) []rfc.Condition {
	return []rfc.Condition{rfc.NewCondition("_uuid", rfc.ConditionEqual, rfc.UUID{GoUUID: uuid})}
}
