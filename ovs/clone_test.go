package ovs

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-kubernetes/libovsdb/model"
)

// TestARowAndItsCopyShareNothing fills every column, so that a new one cannot be
// forgotten.
func TestARowAndItsCopyShareNothing(t *testing.T) {
	for _, empty := range []model.CloneableModel{&openVSwitch{}, &bridge{}, &port{}, &iface{}, &flowSample{}} {
		t.Run(reflect.TypeOf(empty).Elem().Name(), func(t *testing.T) {
			if diff := cmp.Diff(empty, empty.CloneModel()); diff != "" {
				t.Errorf("copy of an empty row (-row +copy):\n%s", diff)
			}
			row := reflect.New(reflect.TypeOf(empty).Elem())
			for _, field := range row.Elem().Fields() {
				fill(t, field)
			}
			clone := reflect.ValueOf(row.Interface().(model.CloneableModel).CloneModel())
			if diff := cmp.Diff(row.Interface(), clone.Interface()); diff != "" {
				t.Errorf("copy (-row +copy):\n%s", diff)
			}
			for field, value := range row.Elem().Fields() {
				switch value.Kind() {
				case reflect.Map, reflect.Pointer, reflect.Slice:
					if value.Pointer() == clone.Elem().FieldByIndex(field.Index).Pointer() {
						t.Errorf("the copy shares %s", field.Name)
					}
				}
			}
		})
	}
}

// fill gives a value something that is not its zero value.
func fill(t *testing.T, value reflect.Value) {
	t.Helper()
	switch value.Kind() {
	case reflect.String:
		value.SetString("x")
	case reflect.Int:
		value.SetInt(1)
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Map:
		key, element := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
		fill(t, key)
		fill(t, element)
		value.Set(reflect.MakeMap(value.Type()))
		value.SetMapIndex(key, element)
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(t, value.Elem())
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(t, value.Index(0))
	default:
		t.Fatalf("a column of the kind %s", value.Kind())
	}
}
