// Package schema holds the rows of the Isolated_Networks database. All but
// this file is generated from isolated-networks.ovsschema.
package schema
