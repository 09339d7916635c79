// Package archtest holds the import rule of the module: its test reads the rule in
// CONTRIBUTING.md and the imports of every package, and fails when one goes against
// it. docs/adr/0003-import-rule.md says why.
package archtest
