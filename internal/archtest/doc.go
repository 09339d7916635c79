// Package archtest holds the import rule of the module: its test reads the
// imports of every package and fails when one goes against the direction that
// CONTRIBUTING.md and docs/adr/0003-import-rule.md describe.
package archtest
