package ovirt

import (
	"reflect"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// settingsOf returns all settings of a network.
func settingsOf(n model.Network) wire.Settings[boolean, integer] {
	n.Isolation = n.EffectiveIsolation()
	var s wire.Settings[boolean, integer]
	from, to := reflect.ValueOf(n), reflect.ValueOf(&s).Elem()
	for i := range to.NumField() {
		member := reflect.New(to.Field(i).Type().Elem())
		member.Elem().Set(from.FieldByName(to.Type().Field(i).Name).Convert(member.Type().Elem()))
		to.Field(i).Set(member)
	}
	return s
}
