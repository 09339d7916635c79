package store

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

func readRoot(t ovsdb.Tables) (root, bool) {
	for uuid, row := range t[schema.IsolatedNetworksTable] {
		if r, ok := row.(*schema.IsolatedNetworks); ok {
			return root{uuid: uuid, revision: int64(r.Revision), names: r.Names, recent: r.Recent}, true
		}
	}
	return root{}, false
}

// after returns the desired state that rows describe, valid or not, when they have changed.
// What the other rows describe stays as it is.
func after(written *model.Desired, changes ovsdb.Changes) *model.Desired {
	return &model.Desired{
		Networks:    followed(written.Networks, changes[schema.NetworkTable], network),
		Hosts:       followed(written.Hosts, changes[schema.HostTable], host),
		Attachments: followed(written.Attachments, changes[schema.AttachmentTable], attachment),
	}
}

func followed[R, V any](values map[model.ID]V, changes map[string]ovsdb.Change, value func(*R) V) map[model.ID]V {
	if len(changes) == 0 {
		return values
	}
	values = maps.Clone(values)
	for uuid, change := range changes {
		if row, exists := change.After.(*R); exists {
			values[model.ID(uuid)] = value(row)
		} else {
			delete(values, model.ID(uuid))
		}
	}
	return values
}

// valid returns what is valid of all, which is all of it unless somebody wrote rows
// without isonet. A row that became invalid counts as it was before, which was valid; one
// that never was is left out. Both are named, with the problem.
func valid(all, before *model.Desired) (*model.Desired, map[string]string) {
	invalid := map[string]string{}
	good := &model.Desired{
		Networks:    withoutWrong(all.Networks, before.Networks, model.Network.Validate, sameNetwork, schema.NetworkTable, invalid),
		Hosts:       withoutWrong(all.Hosts, before.Hosts, model.Host.Validate, model.Host.Equal, schema.HostTable, invalid),
		Attachments: withoutWrong(all.Attachments, before.Attachments, model.Attachment.Validate, model.Attachment.Equal, schema.AttachmentTable, invalid),
	}
	check := func(good *model.Desired) error { return good.ValidateSince(before) }
	if check(good) != nil {
		good = keepValid(good, before, check, invalid)
	}
	return good, invalid
}

// withoutWrong returns the rows with what they were before in the place of those that are
// wrong by themselves.
func withoutWrong[V any](rows, before map[model.ID]V, alone func(V) error, same func(was, now V) bool, table string, invalid map[string]string) map[model.ID]V {
	var wrong []model.ID
	for id, row := range rows {
		if was, known := before[id]; known && same(was, row) {
			continue
		}
		if err := alone(row); err != nil {
			invalid[table+" "+string(id)] = err.Error()
			wrong = append(wrong, id)
		}
	}
	if len(wrong) == 0 {
		return rows
	}
	rows = maps.Clone(rows)
	for _, id := range wrong {
		if was, known := before[id]; known {
			rows[id] = was
		} else {
			delete(rows, id)
		}
	}
	return rows
}

// keepValid returns what is valid of rows that are in each other's way, by a check of what
// there is so far.
func keepValid(all, before *model.Desired, check func(good *model.Desired) error, invalid map[string]string) *model.Desired {
	good := &model.Desired{
		Networks: make(map[model.ID]model.Network, len(all.Networks)), Hosts: make(map[model.ID]model.Host, len(all.Hosts)),
		Attachments: make(map[model.ID]model.Attachment, len(all.Attachments)),
	}
	refers := func(was, now model.Attachment) bool {
		_, host := good.Hosts[now.Host]
		_, network := good.Networks[now.Network]
		return host && network && was.Equal(now)
	}
	valid := func() error { return check(good) }
	keep(good.Networks, all.Networks, before.Networks, sameNetwork, valid, schema.NetworkTable, invalid)
	keep(good.Hosts, all.Hosts, before.Hosts, model.Host.Equal, valid, schema.HostTable, invalid)
	keep(good.Attachments, all.Attachments, before.Attachments, refers, valid, schema.AttachmentTable, invalid)
	return good
}

func sameNetwork(a, b model.Network) bool { return a == b }

// keep adds rows in an order that is the same every time: first those that are as before,
// which are valid together, so that no new one takes the place of what was there.
func keep[V any](into, from, before map[model.ID]V, same func(was, now V) bool, check func() error, table string, invalid map[string]string) {
	var others []model.ID
	for id, row := range from {
		if was, known := before[id]; known && same(was, row) {
			into[id] = row
		} else {
			others = append(others, id)
		}
	}
	// What is valid stays so when some of it is left out: rows that are valid
	// together are so one by one, and need not be tried like that.
	var add func(ids []model.ID)
	add = func(ids []model.ID) {
		for _, id := range ids {
			into[id] = from[id]
		}
		err := check()
		if err == nil {
			return
		}
		for _, id := range ids {
			delete(into, id)
		}
		if len(ids) > 1 {
			add(ids[:len(ids)/2])
			add(ids[len(ids)/2:])
			return
		}
		invalid[table+" "+string(ids[0])] = err.Error()
		if was, known := before[ids[0]]; known {
			if into[ids[0]] = was; check() != nil {
				delete(into, ids[0])
			}
		}
	}
	if slices.Sort(others); len(others) > 0 {
		add(others)
	}
}

// networkColumn joins a column of the table Network to the field of model.Network that
// has the name of its field in the schema.
type networkColumn struct {
	name       string
	row, model []int
}

// networkColumns are all that a network has, but for its UUID.
var networkColumns = sync.OnceValue(func() []networkColumn {
	var columns []networkColumn
	for _, row := range reflect.VisibleFields(reflect.TypeFor[schema.Network]()) {
		if field, has := reflect.TypeFor[model.Network]().FieldByName(row.Name); has {
			columns = append(columns, networkColumn{row.Tag.Get("ovsdb"), row.Index, field.Index})
		}
	}
	return columns
})

func network(r *schema.Network) model.Network {
	n := model.Network{ID: model.ID(r.UUID)}
	from, to := reflect.ValueOf(r).Elem(), reflect.ValueOf(&n).Elem()
	for _, c := range networkColumns() {
		value, field := from.FieldByIndex(c.row), to.FieldByIndex(c.model)
		if value.Kind() == reflect.Pointer { // of a text that may be absent
			value = reflect.Indirect(value)
		}
		if value.IsValid() {
			field.Set(value.Convert(field.Type()))
		}
	}
	return n
}

func networkRow(n model.Network) rfc.Row {
	row, from := rfc.Row{}, reflect.ValueOf(n)
	for _, c := range networkColumns() {
		value, column := from.FieldByIndex(c.model), reflect.TypeFor[schema.Network]().FieldByIndex(c.row).Type
		if column.Kind() == reflect.Pointer {
			row[c.name] = optional(value.String())
			continue
		}
		row[c.name] = value.Convert(column).Interface()
	}
	return row
}

// optional is the value of a column that may be empty; "" is.
func optional(text string) rfc.OvsSet {
	if text == "" {
		return rfc.OvsSet{GoSet: []any{}}
	}
	return rfc.OvsSet{GoSet: []any{text}}
}

func host(r *schema.Host) model.Host {
	h := model.Host{
		ID: model.ID(r.UUID), SystemID: r.SystemID, Name: r.Name, Named: r.Named, Labels: slices.Sorted(slices.Values(r.Labels)), // none is nil
		Maintenance: r.Maintenance, Decommissioned: r.Decommissioned,
	}
	h.Evicted, h.Released = ids(r.Evicted), ids(r.Released)
	return h
}

// ids returns the ids of a column of UUIDs, sorted.
func ids(uuids []string) []model.ID {
	var list []model.ID
	for _, uuid := range uuids {
		list = append(list, model.ID(uuid))
	}
	slices.Sort(list)
	return list
}

// uuidSet is the value of a column of UUIDs.
func uuidSet(ids []model.ID) rfc.OvsSet {
	set := []any{}
	for _, id := range unique(ids) {
		set = append(set, rfc.UUID{GoUUID: string(id)})
	}
	return rfc.OvsSet{GoSet: set}
}

func hostRow(h model.Host) rfc.Row {
	labels := []any{}
	for _, label := range unique(h.Labels) {
		labels = append(labels, label)
	}
	return rfc.Row{
		"system_id": h.SystemID, "name": h.Name, "named": h.Named,
		"labels": rfc.OvsSet{GoSet: labels}, "evicted": uuidSet(h.Evicted), "released": uuidSet(h.Released),
		"maintenance": h.Maintenance, "decommissioned": h.Decommissioned,
	}
}

func unique[T ~string](list []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func attachment(r *schema.Attachment) model.Attachment {
	a := model.Attachment{ID: model.ID(r.UUID), Host: model.ID(r.Host), Network: model.ID(r.Network), Explicit: true}
	if r.Adopts != nil {
		a.Adopts = *r.Adopts
	}
	if len(r.Properties) > 0 {
		a.Properties = maps.Clone(r.Properties)
	}
	return a
}

func attachmentRow(a model.Attachment) rfc.Row {
	properties := make(map[any]any, len(a.Properties))
	for key, value := range a.Properties {
		properties[key] = value
	}
	var adopts []model.ID
	if a.Adopts != "" {
		adopts = append(adopts, model.ID(a.Adopts))
	}
	return rfc.Row{
		"host":       rfc.UUID{GoUUID: string(a.Host)},
		"network":    rfc.UUID{GoUUID: string(a.Network)},
		"adopts":     uuidSet(adopts),
		"properties": rfc.OvsMap{GoMap: properties},
	}
}
