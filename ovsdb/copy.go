package ovsdb

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// Tables are rows by table and UUID.
type Tables map[string]map[string]model.Model

// Changes are what became of rows, by table and UUID.
type Changes map[string]map[string]Change

// Change is a row as it was and as it is; nil is no row.
type Change struct{ Before, After model.Model }

// rowCopy is a copy of the monitored tables. A row that changes is replaced, never
// altered.
type rowCopy struct {
	shapes map[string]shape // by table

	mu      sync.Mutex
	rows    Tables
	changes Changes // since the last look
}

// newCopy returns an empty copy. Every column that the Go types of the model name
// must be in the server's schema.
func newCopy(m model.ClientDBModel, schema ovsdb.DatabaseSchema) (*rowCopy, error) {
	c := &rowCopy{shapes: map[string]shape{}, rows: Tables{}, changes: Changes{}}
	for table, pointer := range m.Types() {
		s := shapeOf(pointer.Elem())
		have := schema.Table(table)
		if have == nil {
			return nil, fmt.Errorf("it has no table %s", table)
		}
		for column := range s.fields {
			if have.Column(column) == nil {
				return nil, fmt.Errorf("its table %s has no column %s", table, column)
			}
		}
		s.typed(have)
		c.shapes[table], c.rows[table] = s, map[string]model.Model{}
	}
	return c, nil
}

// requests returns the <monitor-requests> for all columns (RFC 7047 section
// 4.1.5).
func (c *rowCopy) requests() map[string]any {
	requests := map[string]any{}
	for table, s := range c.shapes {
		requests[table] = map[string]any{"columns": s.names()}
	}
	return requests
}

// apply reads the <table-updates> of one message (RFC 7047 section 4.1.6), which
// tell all that one transaction, or several, changed.
func (c *rowCopy) apply(raw []byte) error {
	return c.read(raw, func(r *Reader, s shape, uuid string, _ model.Model) (row model.Model) {
		r.Object(func(which []byte) {
			if string(which) != "new" {
				r.Value()
				return
			}
			row = s.read(r, uuid)
		})
		return row
	})
}

// read reads the updates of one message. It calls row to read what became of a row
// that was as before says, nil if there was none.
func (c *rowCopy) read(raw []byte, row func(r *Reader, s shape, uuid string, before model.Model) model.Model) error {
	r := NewReader(raw)
	type news struct {
		table, uuid string
		row         model.Model
	}
	var told []news
	r.Object(func(name []byte) {
		table := string(name)
		s, known := c.shapes[table]
		if !known {
			r.fail("nobody asked for the table %s", table)
			return
		}
		r.Object(func(name []byte) {
			uuid := string(name)
			// Nobody else changes the rows: to look at them takes no lock.
			told = append(told, news{table, uuid, row(r, s, uuid, c.rows[table][uuid])})
		})
	})
	if err := r.Failure(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range told {
		c.put(n.table, n.uuid, n.row)
	}
	return nil
}

// put replaces a row; nil is none. Of a row that changed more than once since the
// last look the first state counts as the one before.
func (c *rowCopy) put(table, uuid string, row model.Model) {
	rows := c.rows[table]
	change, changed := c.changes[table][uuid]
	if !changed {
		change.Before = rows[uuid]
	}
	change.After = row
	if c.changes[table] == nil {
		c.changes[table] = map[string]Change{}
	}
	c.changes[table][uuid] = change
	if row == nil {
		delete(rows, uuid)
		return
	}
	rows[uuid] = row
}

// shape is the Go type of a table's rows.
type shape struct {
	of     reflect.Type
	uuid   int            // the field of _uuid
	fields map[string]int // by column
	// Of the server's schema, see typed:
	replaced map[string]bool // the columns that are told as a whole when they change
	fresh    reflect.Value   // a row whose columns have their default values
}

func shapeOf(of reflect.Type) shape {
	s := shape{of: of, fields: map[string]int{}}
	for i := range of.NumField() {
		switch column := of.Field(i).Tag.Get("ovsdb"); column {
		case "":
		case "_uuid":
			s.uuid = i
		default:
			s.fields[column] = i
		}
	}
	return s
}

// names returns the columns.
func (s shape) names() []string { return slices.Sorted(maps.Keys(s.fields)) }

// read reads a <row>.
func (s shape) read(r *Reader, uuid string) model.Model {
	row := reflect.New(s.of)
	row.Elem().Field(s.uuid).SetString(uuid)
	r.Object(func(column []byte) {
		field, known := s.fields[string(column)]
		if !known {
			r.fail("nobody asked for the column %s", column)
			return
		}
		r.column(row.Elem().Field(field))
	})
	return row.Interface()
}

// column reads a <value> (RFC 7047 section 5.1) of a type that libovsdb gives to
// columns: atoms, pointers to them for optional ones, slices and maps.
func (r *Reader) column(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		r.Set(func() {
			v.Set(reflect.New(v.Type().Elem()))
			r.atom(v.Elem())
		})
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		r.Set(func() {
			element := reflect.New(v.Type().Elem()).Elem()
			r.atom(element)
			v.Set(reflect.Append(v, element))
		})
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		r.pairs(func() {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			r.atom(key)
			r.atom(value)
			v.SetMapIndex(key, value)
		})
	default:
		r.atom(v)
	}
}

// atom reads an <atom>.
func (r *Reader) atom(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if r.Peek() == '[' { // ["uuid",UUID]
			r.Array(func() { v.SetString(string(r.Text())) })
			return
		}
		v.SetString(string(r.Text()))
	case reflect.Int:
		v.SetInt(r.Integer())
	case reflect.Bool:
		text := string(r.Value())
		if text != "true" && text != "false" {
			r.fail("%.20s is not a boolean", text)
		}
		v.SetBool(text == "true")
	default:
		r.fail("columns of the Go type %s cannot be read", v.Type())
	}
}
