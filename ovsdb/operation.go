package ovsdb

import "github.com/ovn-kubernetes/libovsdb/ovsdb"

// search is a wait operation with all its members. libovsdb leaves out rows when there
// are none, and then the server refuses what waits for that (RFC 7047 section 5.2.6).
type search struct {
	operation
	Rows []ovsdb.Row `json:"rows"`
}

type operation ovsdb.Operation

// transactArgs returns the parameters of a transact request (RFC 7047 section 4.1.3).
func transactArgs(database string, operations []ovsdb.Operation) []any {
	args := ovsdb.NewTransactArgs(database, operations...)
	for i, o := range operations {
		if o.Op == ovsdb.OperationWait && len(o.Rows) == 0 {
			args[1+i] = search{operation: operation(o), Rows: []ovsdb.Row{}}
		}
	}
	return args
}
