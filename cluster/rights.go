package cluster

import (
	"encoding/json"

	"github.com/isonet/isonet/fleet"
)

// HostRole is the RBAC role of hosts.
const HostRole = "isonet-host"

// operation is one of a transaction (RFC 7047 section 5.2).
type operation map[string]any

// right is what a role may write of a table: columns of rows in which a column has the
// client's name. Nothing of other rows, and no other column.
type right struct {
	table, owner string
	// insert lets it make and remove such rows.
	insert  bool
	columns []string
}

// storeRights are what hosts may write of the desired state: how they leave networks,
// and how their machine is called. A host's row is made when it joins.
func storeRights() []right {
	return []right{{table: "Host", owner: "system_id", columns: []string{"evicted", "released", "external_ids", "name"}}}
}

// reportRights are what hosts may write of the reports: each has a row.
func reportRights() []right {
	return []right{{table: fleet.Table, owner: fleet.SystemIDColumn, insert: true, columns: fleet.Columns()}}
}

// grant returns the operations that give the hosts' role its rights, and open the port
// on which it counts.
func grant(rights []right, root operation, target string) []operation {
	permissions := []any{}
	var operations []operation
	for _, r := range rights {
		name := "may_" + r.table
		operations = append(operations, operation{"op": "insert", "table": "RBAC_Permission", "uuid-name": name, "row": map[string]any{
			"table": r.table, "authorization": r.owner, "insert_delete": r.insert, "update": set(r.columns),
		}})
		permissions = append(permissions, []any{r.table, []any{"named-uuid", name}})
	}
	operations = append(
		operations,
		operation{"op": "insert", "table": "RBAC_Role", "row": map[string]any{"name": HostRole, "permissions": []any{"map", permissions}}},
		operation{"op": "insert", "table": "Connection", "uuid-name": "hosts", "row": map[string]any{"target": target, "role": HostRole}},
	)
	return append(operations, root)
}

func set(texts []string) []any {
	elements := []any{}
	for _, t := range texts {
		elements = append(elements, t)
	}
	return []any{"set", elements}
}

// transaction writes operations as the parameters of a transaction.
func transaction(database string, operations []operation) (string, error) {
	params := []any{database}
	for _, o := range operations {
		params = append(params, o)
	}
	text, err := json.Marshal(params)
	return string(text), err
}
