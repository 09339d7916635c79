package ovsdb

import (
	"reflect"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// noUUID is the default value of a column that has one UUID (RFC 7047 section 5.2.1).
const noUUID = "00000000-0000-0000-0000-000000000000"

// typed takes from the schema what rows are told by differences: the values of columns
// that are left out, and how those are told that changed (ovsdb-server(7), update2
// notification).
func (s *shape) typed(table *ovsdb.TableSchema) {
	s.replaced, s.fresh = map[string]bool{}, reflect.New(s.of).Elem()
	for column, field := range s.fields {
		t := table.Column(column).TypeObj
		s.replaced[column] = t.Max() == 1
		value := s.fresh.Field(field)
		switch value.Kind() {
		case reflect.Pointer: // none
		case reflect.Slice:
			value.Set(reflect.MakeSlice(value.Type(), t.Min(), t.Min()))
			for i := range t.Min() {
				setDefault(value.Index(i), t.Key)
			}
		case reflect.Map:
			value.Set(reflect.MakeMap(value.Type()))
			if t.Min() > 0 {
				k, v := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
				setDefault(k, t.Key)
				setDefault(v, t.Value)
				value.SetMapIndex(k, v)
			}
		default:
			setDefault(value, t.Key)
		}
	}
}

// setDefault gives an atom that is zero its default value.
func setDefault(atom reflect.Value, t *ovsdb.BaseType) {
	if t != nil && t.Type == ovsdb.TypeUUID {
		atom.SetString(noUUID)
	}
}

// applyDiffs reads the <table-updates2> of one message (ovsdb-server(7)), which tell of
// a row that changed only what differs.
func (c *rowCopy) applyDiffs(raw []byte) error {
	return c.read(raw, func(r *Reader, s shape, uuid string, before model.Model) (row model.Model) {
		r.Object(func(what []byte) {
			switch string(what) {
			case "initial", "insert":
				row = s.alter(r, uuid, s.fresh, func(r *Reader, _ string, v reflect.Value) { r.column(v) })
			case "modify":
				if before == nil {
					r.fail("the row %s changes and is not there", uuid)
					return
				}
				row = s.alter(r, uuid, reflect.ValueOf(before).Elem(), s.differ)
			case "delete":
				r.Value()
			default:
				r.fail("%.20s became of a row", what)
			}
		})
		return row
	})
}

// alter reads a <row> of some columns, and returns a copy of a row with what column
// makes of them.
func (s shape) alter(r *Reader, uuid string, from reflect.Value, column func(r *Reader, column string, v reflect.Value)) model.Model {
	row := reflect.New(s.of)
	row.Elem().Set(from)
	row.Elem().Field(s.uuid).SetString(uuid)
	r.Object(func(name []byte) {
		field, known := s.fields[string(name)]
		if !known {
			r.fail("nobody asked for the column %s", name)
			return
		}
		column(r, string(name), row.Elem().Field(field))
	})
	return row.Interface()
}

// differ reads how a column differs from v, and puts the new value there. What v refers
// to belongs to the row before and stays as it is.
func (s shape) differ(r *Reader, column string, v reflect.Value) {
	diff := reflect.New(v.Type()).Elem()
	r.column(diff)
	switch {
	case s.replaced[column] || v.Kind() != reflect.Slice && v.Kind() != reflect.Map:
		v.Set(diff)
	case v.Kind() == reflect.Slice:
		v.Set(toggled(v, diff))
	default:
		v.Set(mapped(v, diff))
	}
}

// toggled returns a set without the elements of the difference that it has, and with
// the others, in the order of the server.
func toggled(set, diff reflect.Value) reflect.Value {
	has := map[any]bool{}
	for i := range set.Len() {
		has[set.Index(i).Interface()] = true
	}
	result := reflect.MakeSlice(set.Type(), 0, set.Len()+diff.Len())
	for i := range diff.Len() {
		element := diff.Index(i)
		if has[element.Interface()] {
			delete(has, element.Interface())
		} else {
			result = reflect.Append(result, element)
		}
	}
	for i := range set.Len() {
		if has[set.Index(i).Interface()] {
			result = reflect.Append(result, set.Index(i))
		}
	}
	switch list := result.Interface().(type) { // no column is a set of booleans
	case []string:
		slices.Sort(list)
	case []int:
		slices.Sort(list)
	}
	return result
}

// mapped returns a map without the pairs of the difference that it has, and with the
// others in the place of those with the same keys.
func mapped(pairs, diff reflect.Value) reflect.Value {
	result := reflect.MakeMap(pairs.Type())
	for key, value := range pairs.Seq2() {
		result.SetMapIndex(key, value)
	}
	for key, value := range diff.Seq2() {
		if have := pairs.MapIndex(key); have.IsValid() && have.Equal(value) {
			result.SetMapIndex(key, reflect.Value{})
		} else {
			result.SetMapIndex(key, value)
		}
	}
	return result
}
