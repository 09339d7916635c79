package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/store"
)

// Member is a member of the cluster as it is set up.
type Member struct {
	Layout Layout
	Ports  Ports
	// Address is its own IP address.
	Address string
}

// SchemaVersion is the version of the schema that this program knows.
func SchemaVersion() string {
	var s struct {
		Version string `json:"version"`
	}
	_ = json.Unmarshal(store.Schema, &s) // it is part of the program
	return s.Version
}

// ErrExists says that a machine has a database already.
var ErrExists = errors.New("this machine has a database already")

// Create makes the database of the first member of a new cluster, with what hosts may
// write of it. From is a backup that it begins with; "" begins with nothing. The rows of
// a backup keep their ids.
func (m Member) Create(ctx context.Context, from string) error {
	return m.install(func(dir, fresh string) error {
		plain := filepath.Join(dir, "plain")
		if err := m.contents(ctx, dir, plain, from); err != nil {
			return err
		}
		_, err := run(ctx, "ovsdb-tool", "create-cluster", fresh, plain, endpoint(m.Address, m.Ports.Raft()))
		return err
	})
}

// contents makes the standalone database that a cluster begins with.
func (m Member) contents(ctx context.Context, dir, plain, from string) error {
	if from != "" {
		return restored(ctx, dir, plain, from)
	}
	if err := createWith(ctx, dir, plain, store.Schema); err != nil {
		return err
	}
	root := operation{"op": "insert", "table": store.Database, "row": map[string]any{"connections": []any{"named-uuid", "hosts"}}}
	return grantIn(ctx, plain, store.Database, grant(storeRights(), root, fmt.Sprintf("pssl:%d", m.Ports.Hosts())))
}

// createWith makes an empty database of a schema.
func createWith(ctx context.Context, dir, file string, schema []byte) error {
	path := filepath.Join(dir, "schema")
	if err := os.WriteFile(path, schema, 0o600); err != nil {
		return fmt.Errorf("write the schema: %w", err)
	}
	_, err := run(ctx, "ovsdb-tool", "create", file, path)
	return err
}

// grantIn makes a transaction in a database that no server has open.
func grantIn(ctx context.Context, file, database string, operations []operation) error {
	text, err := transaction(database, operations)
	if err != nil {
		return err
	}
	out, err := run(ctx, "ovsdb-tool", "transact", file, text)
	if err != nil {
		return err
	}
	return refused(out)
}

// Join makes the database of a further member, which gets its content from those at the
// addresses.
func (m Member) Join(ctx context.Context, others ...string) error {
	return m.install(func(_, fresh string) error {
		args := []string{"join-cluster", fresh, store.Database, endpoint(m.Address, m.Ports.Raft())}
		for _, o := range others {
			args = append(args, endpoint(o, m.Ports.Raft()))
		}
		_, err := run(ctx, "ovsdb-tool", args...)
		return err
	})
}

func (m Member) install(make func(dir, fresh string) error) error {
	return install(m.Layout.database(member), make)
}

// install makes a database in a directory of its own, and puts it in its place when it
// is whole. It refuses where there is one.
func install(path string, make func(dir, fresh string) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s; stop its server and move the file away if it is of no use", ErrExists, path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the directory of the database: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "new-")
	if err != nil {
		return fmt.Errorf("make a directory for a new database: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is of no use afterwards
	fresh := filepath.Join(dir, "db")
	if err := make(dir, fresh); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	if err := errors.Join(os.Chmod(fresh, 0o600), statefile.Flush(fresh), os.Rename(fresh, path), statefile.Flush(filepath.Dir(path))); err != nil {
		return fmt.Errorf("install the database: %w", err)
	}
	return nil
}

// CreateReports makes the database of the server of reports, with what hosts may write
// of it.
func (m Member) CreateReports(ctx context.Context) error {
	return install(m.Layout.database(status), func(dir, fresh string) error {
		if err := createWith(ctx, dir, fresh, fleet.Schema); err != nil {
			return err
		}
		root := operation{"op": "insert", "table": fleet.Database, "row": map[string]any{"connections": []any{"named-uuid", "hosts"}}}
		return grantIn(ctx, fresh, fleet.Database, grant(reportRights(), root, passive(m.Address, m.Ports.Reports())))
	})
}

// restored makes a standalone database of a backup.
func restored(ctx context.Context, dir, plain, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	copied := filepath.Join(dir, "backup")
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		return fmt.Errorf("copy the backup: %w", err)
	}
	name, err := run(ctx, "ovsdb-tool", "db-name", copied)
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	if name != store.Database {
		return fmt.Errorf("%s is a backup of the database %s, not of %s", from, name, store.Database)
	}
	schema := filepath.Join(dir, "schema")
	if err := os.WriteFile(schema, store.Schema, 0o600); err != nil {
		return fmt.Errorf("write the schema: %w", err)
	}
	_, err = run(ctx, "ovsdb-tool", "convert", copied, schema, plain)
	return err
}
