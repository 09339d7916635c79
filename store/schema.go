package store

import (
	_ "embed"
	"fmt"

	libovsdb "github.com/ovn-kubernetes/libovsdb/model"

	"github.com/isonet/isonet/store/internal/schema"
)

//go:generate go tool modelgen -extended -p schema -o internal/schema isolated-networks.ovsschema

// Database is the name of the OVSDB database of the desired state.
const Database = "Isolated_Networks"

// Schema is the OVSDB schema (RFC 7047 section 3.2) of the database, as
// ovsdb-tool(1) takes it.
//
//go:embed isolated-networks.ovsschema
var Schema []byte

// desiredModel names the tables of the desired state. The others are of the servers and
// their users.
func desiredModel() (libovsdb.ClientDBModel, error) {
	m, err := libovsdb.NewClientDBModel(Database, map[string]libovsdb.Model{
		schema.IsolatedNetworksTable: &schema.IsolatedNetworks{},
		schema.NetworkTable:          &schema.Network{},
		schema.HostTable:             &schema.Host{},
		schema.AttachmentTable:       &schema.Attachment{},
	})
	if err != nil {
		return m, fmt.Errorf("describe the database: %w", err)
	}
	return m, nil
}
