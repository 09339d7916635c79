package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/store"
)

// Backup writes the database to a file as the member of this machine has it, for
// Create. It refuses to while the member has no leader: what it has may be old.
func (m Member) Backup(ctx context.Context, path string) error {
	s, err := m.Status(ctx)
	if err != nil {
		return err
	}
	if !s.Healthy() {
		return fmt.Errorf("the member of this machine has no leader (%s, %s), and what it has may be old: make the backup on a machine whose member has one", s.State, s.Role)
	}
	text, err := run(ctx, "ovsdb-client", "--timeout=60", "--no-leader-only", "backup", m.Layout.MemberSocket(), store.Database)
	if err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	return statefile.Replace(path, []byte(text+"\n"))
}

// PutAside renames the database of the member of this machine, and returns its new
// path; "" if there is none. It refuses to while the member runs.
func (m Member) PutAside(ctx context.Context, now time.Time) (string, error) {
	if _, err := m.Status(ctx); !errors.Is(err, ErrNotRunning) {
		return "", errors.New("the member of this machine runs: stop isonet-member.service, on all members")
	}
	path := m.Layout.database(member)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	aside := path + ".before-" + now.UTC().Format("20060102T150405Z")
	if err := errors.Join(os.Rename(path, aside), statefile.Flush(filepath.Dir(path))); err != nil {
		return "", fmt.Errorf("put the database aside: %w", err)
	}
	return aside, nil
}

// Upgrade gives the database of the cluster the schema of this program, and what hosts
// may write. It does so while all run: programs that know an older schema go on.
func (m Member) Upgrade(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "isonet-schema-")
	if err != nil {
		return fmt.Errorf("make a directory for the schema: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is of no use afterwards
	schema := filepath.Join(dir, "schema")
	if err := os.WriteFile(schema, store.Schema, 0o600); err != nil {
		return fmt.Errorf("write the schema: %w", err)
	}
	if _, err := run(ctx, "ovsdb-client", "--timeout=60", "--no-leader-only", "convert", m.Layout.MemberSocket(), schema); err != nil {
		return fmt.Errorf("convert the database: %w", err)
	}
	return m.grantAnew(ctx)
}

// grantAnew replaces what hosts may write in one transaction.
func (m Member) grantAnew(ctx context.Context) error {
	everywhere := []any{}
	operations := []operation{
		{"op": "delete", "table": "RBAC_Role", "where": everywhere},
		{"op": "delete", "table": "RBAC_Permission", "where": everywhere},
	}
	root := operation{"op": "update", "table": store.Database, "where": everywhere, "row": map[string]any{"connections": []any{"named-uuid", "hosts"}}}
	operations = append(operations, grant(storeRights(), root, fmt.Sprintf("pssl:%d", m.Ports.Hosts()))...)
	text, err := transaction(store.Database, operations)
	if err != nil {
		return err
	}
	return m.transact(ctx, text)
}

// transact makes a transaction at the member of this machine.
func (m Member) transact(ctx context.Context, text string) error {
	out, err := run(ctx, "ovsdb-client", "--timeout=60", "--no-leader-only", "transact", m.Layout.MemberSocket(), text)
	if err != nil {
		return fmt.Errorf("write what hosts may write: %w", err)
	}
	return refused(out)
}
