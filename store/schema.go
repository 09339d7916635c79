package store

import _ "embed"

//go:generate go tool modelgen -extended -p schema -o internal/schema isolated-networks.ovsschema

// Database is the name of the OVSDB database of the desired state.
const Database = "Isolated_Networks"

// Schema is the OVSDB schema (RFC 7047 section 3.2) of the database, as
// ovsdb-tool(1) takes it.
//
//go:embed isolated-networks.ovsschema
var Schema []byte
