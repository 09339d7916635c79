package fleet

import (
	"maps"
	"slices"
	"strings"
	"time"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// record is what the row of a host says, but for its heartbeat and what comes with it.
// Nobody changes it.
type record struct {
	systemID string
	// columns are those of one value, maps those of many.
	columns map[string]any
	maps    map[string]map[string]string
}

// member is what is told of a host beside its report.
type member struct {
	systemID, boot, version, url string
}

// newRecord returns what is to be told of a host.
func newRecord(m member, s report.Status) *record {
	d := details{
		Since: millis(s.Since), Reconnects: s.Reconnects, Repairs: s.Repairs, Schema: text(s.Switch.SchemaVersion), Datapath: s.Switch.DatapathType,
		Guard: guardOf(s.Guard),
	}
	r := &record{systemID: m.systemID, maps: map[string]map[string]string{networksColumn: {}, foreignColumn: {}, namesColumn: {}}}
	entries := networksOf(s)
	if s.Host != nil {
		d.Lingering = s.Host.Leaving(model.NewDesired(), s.HostID) // with all bridges of networks
		d.Cut = r.addNames(s.Host, entries, &d)
	}
	for id, n := range entries {
		r.maps[networksColumn][string(id)] = compact(n)
	}
	r.columns = map[string]any{
		hostColumn: string(s.HostID), bootColumn: m.boot, versionColumn: text(m.version), urlColumn: text(m.url), ovsColumn: text(s.Switch.Version),
		realisedColumn: int(s.Revision), connectedColumn: s.Connected,
		missingColumn: missingOf(s.Missing), noticesColumn: noticesOf(s.Notices), errorColumn: text(s.LastError), detailsColumn: compact(d),
	}
	return r
}

// networksOf returns what is told of networks that the host must have, or whose bridges
// are held, without the bridges.
func networksOf(s report.Status) map[model.ID]*network {
	entries := map[model.ID]*network{}
	for id, v := range s.Networks {
		n := &network{Verdict: verdictOf(v)}
		if devices, looked := s.Devices[id]; looked {
			n.Guarded = true
			if s.Guard != nil {
				n.Unguarded = texts(s.Guard.Lacking(devices))
			}
		}
		entries[id] = n
	}
	for _, h := range s.Held {
		of(entries, h.NetworkID).Held = append([]string{h.Bridge}, texts(h.Ports)...)
	}
	return entries
}

func of(entries map[model.ID]*network, id model.ID) *network {
	if entries[id] == nil {
		entries[id] = &network{}
	}
	return entries[id]
}

// addNames adds the bridges of networks to their entries, and the other names that are
// taken to the record. It returns how many of these it leaves out.
func (r *record) addNames(host report.Host, entries map[model.ID]*network, d *details) (cut int) {
	names := host.Names()
	known := map[string]bool{} // interfaces on bridges of networks
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t := names[name]
		if t.Network == "" {
			continue
		}
		b, _ := host.BridgeNamed(name)
		d.Lingering--
		told := bridgeOf(b)
		of(entries, t.Network).Bridge = told
		for _, p := range told.Ports {
			for _, i := range p.report().Interfaces {
				known[i.Name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t := names[name]
		into, value := r.maps[namesColumn], compact(taken{text(t.Port), text(t.On)})
		switch {
		case t.Network != "" || t.Device && known[name]:
			continue
		case t.Bridge != "":
			into, value = r.maps[foreignColumn], t.Bridge
		case len(name) > maxName: // no bridge can have it
			continue
		}
		if len(into) >= maxNames {
			cut++
			continue
		}
		into[text(name)] = value
	}
	return cut
}

func guardOf(g *report.Guarding) *guards {
	if g == nil {
		return nil
	}
	told := &guards{Failed: text(g.Failed), Unavailable: text(g.Unavailable), Limited: text(g.Limited)}
	if told.Failed == "" && time.Since(g.Verified) > report.Freshness {
		told.Failed = "the kernel was not seen of late to keep the host from VMs: see the log of isonetd"
	}
	for _, d := range g.Left {
		told.Left = append(told.Left, d.Name)
	}
	told.Left = texts(told.Left)
	return told
}

// where selects the row of a host.
func where(systemID string) []rfc.Condition {
	return []rfc.Condition{rfc.NewCondition(SystemIDColumn, rfc.ConditionEqual, systemID)}
}

// at selects a row by its UUID, which the server finds without a look at all of them.
func at(uuid string) []rfc.Condition {
	return []rfc.Condition{rfc.NewCondition("_uuid", rfc.ConditionEqual, rfc.UUID{GoUUID: uuid})}
}

// unchanged fails the transaction unless the row is there and a run of a machine has
// written it.
func unchanged(uuid, boot string) rfc.Operation {
	noWait := 0
	return rfc.Operation{
		Op: rfc.OperationWait, Table: Table, Where: at(uuid), Timeout: &noWait,
		Columns: []string{bootColumn}, Until: string(rfc.WaitConditionEqual), Rows: []rfc.Row{{bootColumn: boot}},
	}
}

// insert returns the operation that makes the row.
func (r *record) insert(now time.Time, seen int64) rfc.Operation {
	row := pulse(now, seen)
	row[SystemIDColumn] = r.systemID
	maps.Copy(row, r.columns)
	for column, pairs := range r.maps {
		row[column] = ovsMap(pairs)
	}
	return rfc.Operation{Op: rfc.OperationInsert, Table: Table, Row: row}
}

// beat returns the operation that writes the heartbeat to a row.
func beat(uuid string, now time.Time, seen int64) rfc.Operation {
	return rfc.Operation{Op: rfc.OperationUpdate, Table: Table, Where: at(uuid), Row: pulse(now, seen)}
}

// pulse is what is written with a heartbeat: a revision that was seen is no reason for a
// report, because most of them do not concern the host.
func pulse(now time.Time, seen int64) rfc.Row {
	return rfc.Row{heartbeatColumn: int(now.Unix()), seenColumn: int(seen)}
}

// differs returns the operations that make a row say this which says what before does.
func (r *record) differs(uuid string, before *record) []rfc.Operation {
	var operations []rfc.Operation
	row := rfc.Row{}
	for column, value := range r.columns {
		if before.columns[column] != value {
			row[column] = value
		}
	}
	if len(row) > 0 {
		operations = append(operations, rfc.Operation{Op: rfc.OperationUpdate, Table: Table, Where: at(uuid), Row: row})
	}
	var mutations []rfc.Mutation
	for _, column := range slices.Sorted(maps.Keys(r.maps)) {
		mutations = append(mutations, mutated(column, before.maps[column], r.maps[column])...)
	}
	if len(mutations) > 0 {
		operations = append(operations, rfc.Operation{Op: rfc.OperationMutate, Table: Table, Where: at(uuid), Mutations: mutations})
	}
	return operations
}

// mutated returns the mutations of single pairs that make one map of the other.
func mutated(column string, have, want map[string]string) []rfc.Mutation {
	gone, changed := []any{}, map[string]string{}
	for key, value := range have {
		if now, stays := want[key]; !stays || now != value {
			gone = append(gone, key)
		}
	}
	for key, value := range want {
		if was, there := have[key]; !there || was != value {
			changed[key] = value
		}
	}
	var mutations []rfc.Mutation
	if len(gone) > 0 {
		mutations = append(mutations, *rfc.NewMutation(column, rfc.MutateOperationDelete, rfc.OvsSet{GoSet: gone}))
	}
	if len(changed) > 0 {
		mutations = append(mutations, *rfc.NewMutation(column, rfc.MutateOperationInsert, ovsMap(changed)))
	}
	return mutations
}

func ovsMap(pairs map[string]string) rfc.OvsMap {
	m := rfc.OvsMap{GoMap: make(map[any]any, len(pairs))}
	for key, value := range pairs {
		m.GoMap[key] = value
	}
	return m
}

// recordOf returns what a row says that was selected, with its heartbeat.
func recordOf(systemID string, row rfc.Row) (r *record, heartbeat int64) {
	r = &record{systemID: systemID, columns: map[string]any{}, maps: map[string]map[string]string{}}
	for _, column := range Columns() {
		switch value := row[column].(type) {
		case rfc.OvsMap:
			pairs := make(map[string]string, len(value.GoMap))
			for k, v := range value.GoMap {
				key, _ := k.(string)
				pairs[key], _ = v.(string)
			}
			r.maps[column] = pairs
		case float64: // JSON has no integers
			r.columns[column] = int(value)
		default:
			r.columns[column] = value
		}
	}
	stamp, _ := r.columns[heartbeatColumn].(int)
	delete(r.columns, heartbeatColumn)
	delete(r.columns, seenColumn)
	return r, int64(stamp)
}

// boot returns the run of the machine that wrote the row.
func (r *record) boot() string {
	boot, _ := r.columns[bootColumn].(string)
	return boot
}

// silent says that there is nothing to report: the host is not known, or another isonetd
// or another machine speaks for it.
func silent(systemID string, s report.Status) bool {
	return s.HostID == "" || strings.TrimSpace(systemID) == "" || s.Standby || s.Occupied
}
