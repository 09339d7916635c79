package ovirt

import (
	"reflect"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// settingsOf returns all settings of a network.
func settingsOf(n model.Network) wire.Settings {
	n.Isolation = n.EffectiveIsolation()
	var s wire.Settings
	from, to := reflect.ValueOf(n), reflect.ValueOf(&s).Elem()
	for i := range to.NumField() {
		member := reflect.New(to.Field(i).Type().Elem())
		member.Elem().Set(from.FieldByName(to.Type().Field(i).Name).Convert(member.Type().Elem()))
		to.Field(i).Set(member)
	}
	return s
}

// applySettings sets those that a body has; the model judges the values.
func applySettings(s wire.Settings, n *model.Network) {
	policy, effective := n.Isolation, n.EffectiveIsolation()
	from, to := reflect.ValueOf(s), reflect.ValueOf(n).Elem()
	for i := range from.NumField() {
		if member := from.Field(i); !member.IsNil() {
			field := to.FieldByName(from.Type().Field(i).Name)
			field.Set(member.Elem().Convert(field.Type()))
		}
	}
	if n.Isolation == effective {
		n.Isolation = policy // the default needs not be said
	}
}
