package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/wire"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Save what operators asked for in a file",
		Long: `Save all networks, labels and attachments, of all hosts of the store, in a file
that "isonet restore" takes. FILE is replaced at once, and - means standard output.
The file is of one moment, and has a checksum.

Bridges, ports and traffic totals are not in it.`,
		Args: arguments(1, 1, "FILE"),
		RunE: a.with(func(ctx context.Context, s session) error {
			backup, err := s.Backup(ctx)
			if err != nil {
				return err
			}
			data, err := json.MarshalIndent(backup, "", "  ")
			if err != nil {
				return err
			}
			data = append(data, '\n')
			if s.args[0] == "-" {
				_, err = a.stdout.Write(data)
				return err
			}
			if err := replaceFile(s.args[0], data); err != nil {
				return fmt.Errorf("write the backup: %w", err)
			}
			return a.print(saved{s.args[0], len(backup.Networks), len(backup.Hosts), backup.Revision}, func(t *table) {
				t.line("saved %s and %s in %s", count(len(backup.Networks), "network"), count(len(backup.Hosts), "host"), s.args[0])
			})
		}),
	}
}

// saved is what a backup has made.
type saved struct {
	File     string `json:"file"`
	Networks int    `json:"networks"`
	Hosts    int    `json:"hosts"`
	Revision int64  `json:"revision"`
}

// replaceFile makes a file have a content, or leaves it as it was. Only the owner may
// read it.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".isonet-*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (a *app) restoreCommand() *cobra.Command {
	var o client.RestoreOptions
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring back what a backup has",
		Long: `Bring back all networks, labels and attachments of a backup, all of it or nothing. Networks keep their ids, and so their bridges and VMs go on.

Networks that are younger than the backup are removed: a bridge with ports in use
takes --force. A backup that lacks the newest changes takes --older.
isonet knows hosts by their system-id. A host that the backup does not know keeps its
labels. A backup of one host may be restored on another machine with one host.`,
		Args: arguments(1, 1, "FILE"),
		RunE: a.with(func(ctx context.Context, s session) error {
			backup, err := a.readBackup(s.args[0])
			if err != nil {
				return err
			}
			done, err := s.Restore(ctx, backup, o)
			if err != nil {
				return err
			}
			var steps []setup.Step
			for _, part := range []struct {
				action string
				names  []string
			}{{"create", done.Created}, {"update", done.Changed}, {"delete", done.Removed}, {"restore-host", done.Hosts}} {
				for _, name := range part.names {
					steps = append(steps, setup.Step{Action: part.action, Name: name})
				}
			}
			return a.printSteps(steps, o.DryRun)
		}),
	}
	cmd.Flags().BoolVar(&o.Older, "older", false, "restore a backup that lacks the newest changes")
	cmd.Flags().BoolVar(&o.Force, "force", false, "remove bridges even if ports are in use")
	rehearsalFlag(cmd, &o.DryRun)
	return cmd
}

// readBackup reads and checks a backup; - is standard input.
func (a *app) readBackup(file string) (wire.Backup, error) {
	var backup wire.Backup
	data, err := a.readInput(file)
	if err != nil {
		return backup, &usageError{text: "read the backup: " + err.Error()}
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&backup); err != nil || backup.Format != wire.BackupFormat {
		return backup, &usageError{text: file + " is no backup of isonet: \"isonet backup\" makes one"}
	}
	if backup.Checksum != backup.Sum() {
		return backup, &usageError{text: file + " is damaged or was changed: its checksum is not that of its content"}
	}
	return backup, nil
}
