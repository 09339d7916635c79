package fleet

import (
	_ "embed"
	"fmt"

	libovsdb "github.com/ovn-kubernetes/libovsdb/model"
)

// Database is the name of the OVSDB database of the hosts' reports.
const Database = "Isolated_Networks_Status"

// Table is the table that has a row for each host. A certificate of a host may write the
// row whose SystemIDColumn is its common name, and no other (ovsdb-server(7),
// RBAC_Permission).
const (
	Table          = "Host_Status"
	SystemIDColumn = "system_id"
)

// Schema is the OVSDB schema (RFC 7047 section 3.2) of the database, as ovsdb-tool(1)
// takes it.
//
//go:embed status.ovsschema
var Schema []byte

// The columns of Table that a host changes.
const (
	hostColumn      = "host"
	bootColumn      = "boot"
	versionColumn   = "version"
	ovsColumn       = "ovs_version"
	urlColumn       = "url"
	heartbeatColumn = "heartbeat"
	seenColumn      = "seen"
	realisedColumn  = "realised"
	connectedColumn = "connected"
	missingColumn   = "missing"
	noticesColumn   = "notices"
	errorColumn     = "last_error"
	detailsColumn   = "details"
	networksColumn  = "networks"
	foreignColumn   = "foreign"
	namesColumn     = "names"
)

// Columns returns the columns of Table that a host changes.
func Columns() []string {
	return []string{
		hostColumn, bootColumn, versionColumn, ovsColumn, urlColumn, heartbeatColumn, seenColumn, realisedColumn, connectedColumn,
		missingColumn, noticesColumn, errorColumn, detailsColumn, networksColumn, foreignColumn, namesColumn,
	}
}

// hostRow is a row of Table. Nobody changes it.
//
// A row with 100 networks of 3 ports each has about 80 KB. Bounds are those of
// maxPorts and the other constants beside it.
type hostRow struct {
	UUID     string `ovsdb:"_uuid"`
	SystemID string `ovsdb:"system_id"`
	// Host is the id of the host in the desired state.
	Host string `ovsdb:"host"`
	// Boot names the run of the machine that reports.
	Boot       string `ovsdb:"boot"`
	Version    string `ovsdb:"version"`
	OVSVersion string `ovsdb:"ovs_version"`
	URL        string `ovsdb:"url"`
	// Heartbeat is when the host last reported, in Unix seconds by its own clock. It,
	// Seen and Realised are 0 after a restart of the server.
	Heartbeat int  `ovsdb:"heartbeat"`
	Seen      int  `ovsdb:"seen"`
	Realised  int  `ovsdb:"realised"`
	Connected bool `ovsdb:"connected"`
	// Missing and Notices are JSON, see lacking and notice; "" is none.
	Missing   string `ovsdb:"missing"`
	Notices   string `ovsdb:"notices"`
	LastError string `ovsdb:"last_error"`
	// Details is JSON, see details.
	Details string `ovsdb:"details"`
	// Networks has JSON by the id of a network, see network: of those that the host
	// must have, and of those that have a bridge there.
	Networks map[string]string `ovsdb:"networks"`
	// Foreign has the UUIDs of bridges that are not isonet's, by their names.
	Foreign map[string]string `ovsdb:"foreign"`
	// Names has the names that no bridge can have, as JSON, see taken. The ones of
	// bridges and those of Interfaces on the bridges of Networks are not among them.
	Names map[string]string `ovsdb:"names"`
}

func databaseModel() (libovsdb.ClientDBModel, error) {
	m, err := libovsdb.NewClientDBModel(Database, map[string]libovsdb.Model{Table: &hostRow{}})
	if err != nil {
		return m, fmt.Errorf("describe the database: %w", err)
	}
	return m, nil
}
