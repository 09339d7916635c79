package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/internal/strictyaml"
	"github.com/isonet/isonet/wire"
)

// setupFlags are those of the commands that compare a setup file with what there is.
type setupFlags struct {
	file         string
	prune, force bool
}

func (f *setupFlags) add(cmd *cobra.Command) {
	fileFlag(cmd, &f.file)
	cmd.Flags().BoolVar(&f.prune, "prune", false, "detach what the file does not name from the host; nothing is deleted")
	cmd.Flags().BoolVar(&f.force, "force", false, "detach even if ports are in use")
}

func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "file", "f", "", "setup file in YAML or JSON; - means standard input")
}

// needsFile is for commands that do nothing without a file.
func needsFile(cmd *cobra.Command, file string) error {
	if file == "" {
		return usageFor(cmd, "missing flag: -f FILE")
	}
	return nil
}

func (a *app) setupCommand() *cobra.Command {
	var f setupFlags
	var dryRun, schema, yes bool
	cmd := &cobra.Command{
		Use:   "setup -f FILE",
		Short: "Create, update, attach and detach many networks from a file",
		Long: `Change networks and labels to what a setup file says, in YAML or JSON. What the file
does not name stays as it is: other networks, other labels of the host, and
attributes that are left out. Running it again changes nothing.

  networks:
    - name: blue
      mtu: 9000
      label: lab
      description: test network
      comment: ""
      port_isolation: false
      isolation_policy: enforce # or quarantine, report
      strict: true
      mac_lock: false       # needs strict
      broadcast_limit: 1000 # frames a second and port; 0: none; needs strict
      attach: true          # false: detached
  labels: [lab]             # labels that the host must have

isonetd does all of it at once, or nothing. Of more than 1000 networks it does 1000 at a
time.

--prune also takes from this host what the file does not name. If the file has
networks, all others are detached from this host; they stay defined, with all their
attributes, and other hosts keep them. If it has labels, other labels of the host are
removed. A network that a label of the host attaches stays. Nothing is ever
deleted: use 'isonet network delete' for that. The command shows what it would do and
asks. Without a terminal it needs --yes.

'isonet validate' checks a file without isonetd, and 'isonet diff' compares it with
what there is. --schema prints the JSON schema of these files, for editors.`,
		Args: arguments(0, 0, ""),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case schema && cmd.Flags().NFlag() > 1:
				return usageFor(cmd, "--schema goes with no other flag")
			case schema:
				return nil
			}
			if err := needsFile(cmd, f.file); err != nil {
				return err
			}
			if f.prune && f.file == "-" && !yes && !dryRun {
				return usageFor(cmd, "the file is standard input, so that nobody can be asked: give --yes")
			}
			return a.mayAsk(cmd, f.prune && !yes && !dryRun)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if schema {
				return a.write(setup.Schema())
			}
			return a.with(func(ctx context.Context, s session) error {
				h, plan, err := a.compare(ctx, s.Client, f)
				if err != nil {
					return err
				}
				if dryRun {
					return a.plan(ctx, s.Client, h, plan, f.force)
				}
				question := f.prune && !yes && len(plan.Detach)+len(plan.RemoveLabels) > 0
				var planned wire.Plan
				if question { // nobody is asked about what would be refused
					if planned, err = rehearse(ctx, s.Client, h, plan, f.force); err != nil {
						return err
					}
				}
				return a.applyIfAgreed(s, question, h, plan, planned, f.force)
			})(cmd, args)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would be done")
	yesFlag(cmd, &yes)
	cmd.Flags().BoolVar(&schema, "schema", false, "only print the JSON schema of setup files")
	return cmd
}

func (a *app) diffCommand() *cobra.Command {
	var f setupFlags
	cmd := &cobra.Command{
		Use:   "diff -f FILE",
		Short: "Show how a setup file differs from what there is",
		Long: `Show what 'isonet setup' would change to make a setup file true, and change
nothing: it is 'isonet setup --dry-run' with an exit code.

Exit codes: 0 the file is what there is, 3 it differs, 1 error, 2 wrong use, or a
mistake in the file.`,
		Args:    arguments(0, 0, ""),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return needsFile(cmd, f.file) },
		RunE: a.with(func(ctx context.Context, s session) error {
			h, plan, err := a.compare(ctx, s.Client, f)
			if err != nil {
				return err
			}
			if err := a.plan(ctx, s.Client, h, plan, f.force); err != nil {
				return err
			}
			if len(plan.Steps()) > 0 {
				return errDifferent
			}
			return nil
		}),
	}
	f.add(cmd)
	return cmd
}

// compare reads a setup file, asks the daemon what there is, and says what is between.
func (a *app) compare(ctx context.Context, c *client.Client, f setupFlags) (host, setup.Plan, error) {
	want, err := a.readSetup(f.file)
	if err != nil {
		return host{}, setup.Plan{}, err
	}
	h, err := a.current(ctx, c)
	if err != nil {
		return host{}, setup.Plan{}, err
	}
	want.Prune = f.prune
	plan, err := setup.Make(h.Current, want)
	for _, kept := range plan.Kept {
		a.complain(fmt.Sprintf("network '%s' is not in the file and stays: the label '%s' attaches it", kept.Network, kept.Label))
	}
	return h, plan, err
}

func (a *app) validateCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check a setup file without isonetd",
		Long: `Check all of a setup file that can be known without a host: its form, keys and
types, names, labels, MTUs and limits, and what is named twice. Every mistake
is reported, a line each with its place. 'isonet setup' and 'isonet diff' check the
same first.

Exit codes: 0 the file is right, 1 it has mistakes, 2 wrong use, such as no file.`,
		Args:    arguments(0, 0, ""),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return needsFile(cmd, file) },
		RunE: func(*cobra.Command, []string) error {
			name, want, err := a.parseSetup(file)
			var mistakes strictyaml.Mistakes
			if err != nil && !errors.As(err, &mistakes) {
				return err
			}
			return a.validation(name, want, mistakes)
		},
	}
	fileFlag(cmd, &file)
	return cmd
}

// validationReport is the machine form of what is wrong with a file.
type validationReport struct {
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	Mistakes []mistake `json:"mistakes"`
}

type mistake struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

func (a *app) validation(name string, want setup.Wanted, mistakes strictyaml.Mistakes) error {
	r := validationReport{File: name, Valid: len(mistakes) == 0, Mistakes: []mistake{}}
	for _, m := range mistakes {
		r.Mistakes = append(r.Mistakes, mistake{m.Line, m.Column, m.Text})
	}
	err := a.print(r, func(t *table) {
		for _, m := range mistakes {
			t.line("%s", m.Error())
		}
		if r.Valid {
			t.line("%s has no mistakes: %s, %s", name, count(len(want.Networks), "network"), count(len(want.Labels), "label"))
		}
	})
	if err == nil && !r.Valid {
		return errMistakes
	}
	return err
}

// readSetup reads a setup file that a command works with.
func (a *app) readSetup(file string) (setup.Wanted, error) {
	_, want, err := a.parseSetup(file)
	if err != nil {
		return setup.Wanted{}, &usageError{text: err.Error()}
	}
	return want, nil
}

// parseSetup reads a setup file, and returns what to call it.
func (a *app) parseSetup(file string) (name string, want setup.Wanted, err error) {
	name = file
	if file == "-" {
		name = "standard input"
	}
	data, err := a.readInput(file)
	if err != nil {
		return name, want, &usageError{text: "read the setup file: " + err.Error()}
	}
	want, err = setup.Parse(name, data)
	return name, want, err
}

// mostOfFile bounds what is read of a file, in bytes: nothing that isonet reads is as large.
const mostOfFile = 64 << 20

// readInput reads a file, or standard input if it is -.
func (a *app) readInput(file string) ([]byte, error) {
	if file == "-" {
		return readBounded("standard input", a.stdin)
	}
	return readFile(file)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readBounded(path, f)
}

// readBounded reads all there is. Some files never end, such as /dev/zero.
func readBounded(name string, from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, mostOfFile+1))
	if err == nil && len(data) > mostOfFile {
		err = fmt.Errorf("%s is larger than %d MiB", name, mostOfFile>>20)
	}
	return data, err
}
