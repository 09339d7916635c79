package store

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store/internal/schema"
)

// A column that the schema gets, or a field that the model gets, is stored and read.
func TestEveryFieldOfANetworkHasAColumn(t *testing.T) {
	n := model.Network{}
	for i := range reflect.TypeFor[model.Network]().NumField() {
		field := reflect.ValueOf(&n).Elem().Field(i)
		switch field.Kind() {
		case reflect.String:
			field.SetString("x")
		case reflect.Bool:
			field.SetBool(true)
		default:
			field.SetInt(int64(i + 1))
		}
	}
	row, stored := networkRow(n), schema.Network{UUID: string(n.ID)}
	for i, column := range reflect.VisibleFields(reflect.TypeFor[schema.Network]()) {
		name, field := column.Tag.Get("ovsdb"), reflect.ValueOf(&stored).Elem().Field(i)
		switch value := row[name].(type) {
		case nil:
			if name != "_uuid" && name != "external_ids" {
				t.Errorf("nothing is written to the column %s", name)
			}
		case ovsdb.OvsSet:
			field.Set(reflect.ValueOf(new(value.GoSet[0].(string))))
		default:
			field.Set(reflect.ValueOf(value))
		}
	}
	if diff := cmp.Diff(n, network(&stored)); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
}
