package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/isonet/isonet/internal/statefile"
)

// lockPatience is how long a start waits for the state directory: a
// predecessor that was killed leaves a server that needs a moment to end.
const lockPatience = 2 * time.Second

// newPrefix begins the names of the directories in which databases are made.
// Those that a crash left behind are of no use.
const newPrefix = "new-"

// toolTimeout bounds one run of ovsdb-tool, which may have to write the whole
// database anew.
const toolTimeout = time.Minute

// files are the store's own files in its state directory.
type files struct {
	dir  string
	tool string
	log  *slog.Logger
}

func newFiles(cfg Config) (files, error) {
	f := files{tool: cfg.OVSDBTool, log: cfg.Logger}
	if f.tool == "" {
		f.tool = "ovsdb-tool"
	}
	if cfg.StateDir == "" {
		return files{}, errors.New("no state directory is given")
	}
	var err error
	if f.dir, err = filepath.Abs(cfg.StateDir); err != nil {
		return files{}, fmt.Errorf("state directory: %w", err)
	}
	return f, nil
}

func (f files) database() string { return filepath.Join(f.dir, "isonet.db") }

func (f files) backup(version string) string { return f.database() + ".backup-" + version }

// lock makes this process the only user of the state directory, for as long as
// the file is open here or in a child process.
func (f files) lock(ctx context.Context) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(f.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	if err := f.takeLock(ctx, file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := errors.Join(file.Truncate(0), write(file, strconv.Itoa(os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the state directory: %w", err), file.Close())
	}
	return file, nil
}

func write(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

func (f files) takeLock(ctx context.Context, file *os.File) error {
	ctx, done := context.WithTimeout(ctx, lockPatience)
	defer done()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for try := 1; ; try++ {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock the state directory: %w", err)
		}
		select {
		case <-ticker.C:
			if try%20 == 5 { // the usual server has ended by then
				rouse(file.Name(), f.log)
			}
		case <-ctx.Done():
			owner, _ := os.ReadFile(file.Name()) // for the message only
			return inUse(file.Name(), string(owner))
		}
	}
}

// prepare makes the database if there is none. It returns the version of one
// that is older than this program's schema, and refuses one that is newer.
func (f files) prepare(ctx context.Context) (older string, err error) {
	if err := f.sweep(); err != nil {
		return "", err
	}
	switch err := f.readable(); {
	case errors.Is(err, os.ErrNotExist):
		return "", f.make(ctx, func(fresh, schema string) []string { return []string{"create", fresh, schema} })
	case err != nil:
		return "", err
	}
	name, err := f.run(ctx, "db-name", f.database())
	var refused *exec.ExitError
	switch {
	case errors.As(err, &refused) && refused.ExitCode() == toolRefuses:
		return "", fmt.Errorf("read the database: %w; move it away, start isonetd, and run 'isonet restore' with a backup", err)
	case err != nil:
		return "", fmt.Errorf("read the database: %w", err)
	}
	if name == "" {
		return "", fmt.Errorf("%s db-name said nothing about %s: is it Open vSwitch's?", f.tool, f.database())
	}
	if name != Database {
		return "", fmt.Errorf("%s holds the database %s, not %s: use another state directory", f.database(), name, Database)
	}
	version, err := f.run(ctx, "db-version", f.database())
	if err != nil {
		return "", fmt.Errorf("read the version of the database: %w", err)
	}
	switch order, known, err := compareVersion(version); {
	case err != nil:
		return "", err
	case order > 0:
		return "", fmt.Errorf("%s has schema version %s, newer than %s, the newest that this isonetd knows: upgrade isonetd", f.database(), version, known)
	case order < 0:
		return version, nil
	}
	return "", nil
}

// readable returns an error unless the database is a file that can be read:
// os.ErrNotExist if there is none.
func (f files) readable() error {
	info, err := os.Stat(f.database())
	if err != nil {
		return fmt.Errorf("find the database: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file but something else (%s): move it away", f.database(), info.Mode())
	}
	file, err := os.Open(f.database())
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("read the database: %w: give the file to the user that isonetd runs as", err)
	}
	if err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	return file.Close()
}

// compareVersion compares a schema version with that of Schema.
func compareVersion(version string) (order int, known string, err error) {
	var s struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(Schema, &s); err != nil {
		return 0, "", fmt.Errorf("read the schema: %w", err)
	}
	have, err := parseVersion(version)
	if err != nil {
		return 0, "", err
	}
	want, err := parseVersion(s.Version)
	if err != nil {
		return 0, "", err
	}
	return slices.Compare(have, want), s.Version, nil
}

// parseVersion reads a <version> of RFC 7047 section 3.1: x.y.z.
func parseVersion(text string) ([]int, error) {
	var version []int
	for _, part := range strings.Split(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("schema version %q is not of the form 1.2.3", text)
		}
		version = append(version, n)
	}
	return version, nil
}

// convert gives the database the present schema and keeps the old file.
func (f files) convert(ctx context.Context, older string) error {
	backup := f.backup(older)
	if err := os.Remove(backup); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the backup of an earlier conversion: %w", err)
	}
	if err := os.Link(f.database(), backup); err != nil {
		return fmt.Errorf("keep a backup of the database: %w", err)
	}
	return f.make(ctx, func(fresh, schema string) []string { return []string{"convert", f.database(), schema, fresh} })
}

// make runs ovsdb-tool to make a new database file and puts it in the place of
// the database. A crash leaves the old file or the new one, whole.
func (f files) make(ctx context.Context, args func(fresh, schema string) []string) error {
	dir, err := os.MkdirTemp(f.dir, newPrefix)
	if err != nil {
		return fmt.Errorf("make a directory for a new database: %w", err)
	}
	fresh, schema := filepath.Join(dir, "db"), filepath.Join(dir, "schema")
	if err := os.WriteFile(schema, Schema, 0o600); err != nil {
		return fmt.Errorf("write the schema: %w", err)
	}
	command := args(fresh, schema)
	if _, err := f.run(ctx, command...); err != nil {
		return fmt.Errorf("%s the database: %w", command[0], err)
	}
	if err := errors.Join(os.Chmod(fresh, 0o600), statefile.Flush(fresh)); err != nil {
		return fmt.Errorf("keep the new database: %w", err)
	}
	if err := errors.Join(os.Rename(fresh, f.database()), statefile.Flush(f.dir), os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("install the new database: %w", err)
	}
	return nil
}

// sweep removes what interrupted makes left behind.
func (f files) sweep() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("read the state directory: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), newPrefix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(f.dir, entry.Name())); err != nil {
			return fmt.Errorf("remove an unfinished database: %w", err)
		}
	}
	return nil
}

// protect lets only the owner read the database. A compaction by ovsdb-server
// gives the file its group's right to read back; the directory still protects
// it then.
func (f files) protect() error {
	if err := os.Chmod(f.database(), 0o600); err != nil {
		return fmt.Errorf("protect the database: %w", err)
	}
	return nil
}

// Exit codes of ovsdb-tool: it refuses a file, or a shell or the dynamic linker
// could not run it.
const (
	toolRefuses   = 1
	cannotExecute = 126
	notFound      = 127
)

// notRun says what to do about a program that could not be run.
func notRun(program string, err error) error {
	return fmt.Errorf("%s cannot be run: %w: install Open vSwitch's packages, or have its directory in the PATH of isonetd (which is %q)", program, err, os.Getenv("PATH"))
}

func (f files) run(ctx context.Context, args ...string) (string, error) {
	ctx, done := context.WithTimeoutCause(ctx, toolTimeout, fmt.Errorf("it did not end within %v", toolTimeout))
	defer done()
	cmd := exec.CommandContext(ctx, f.tool, append([]string{"-vsyslog:off"}, args...)...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return strings.TrimSpace(out.String()), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s %s: %w", f.tool, args[0], context.Cause(ctx))
	case !errors.As(err, &exit):
		return "", notRun(f.tool, err)
	case exit.ExitCode() == cannotExecute || exit.ExitCode() == notFound:
		return "", notRun(f.tool, fmt.Errorf("%w: %s", err, strings.TrimSpace(problems.String())))
	default:
		return "", fmt.Errorf("%s %s: %w: %s", f.tool, args[0], err, strings.TrimSpace(problems.String()))
	}
}
