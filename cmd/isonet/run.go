package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
)

// The exit codes.
const (
	exitOK = iota
	exitError
	exitUsage
	exitNotActive
	exitLeak
	exitUnproven
	exitImpaired
)

// result ends a command whose output has said all, with an exit code of its own.
type result int

func (v result) Error() string { return fmt.Sprintf("exit code %d", int(v)) }

// The results that are told as errors are.
const (
	errMistakes  result = exitError
	errNotActive result = exitNotActive
	errDifferent result = exitNotActive
	errLeak      result = exitLeak
	errUnproven  result = exitUnproven
	errImpaired  result = exitImpaired
)

// system is what the process gives to the command.
type system struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// terminal says that stderr is a terminal, where progress is shown.
	terminal bool
	// screen returns the size of the terminal that stdout is, and whether it
	// is one.
	screen func() (rows, columns int, ok bool)
	// ask asks a question on the terminal, and shows what is typed unless it is
	// secret. Nil says that there is no terminal.
	ask func(ctx context.Context, question string, secret bool) (string, error)
	// socket is the path of the daemon's socket if nothing else is said.
	socket string
	// env returns a variable of the environment; "" if it is not set.
	env func(name string) string
	// configDir is the user's directory for configurations; "" if there is none.
	configDir string
	now       func() time.Time
	// root is where the directories of this machine begin; "" is /.
	root string
}

// app is one run of the command.
type app struct {
	system
	output string
	color  string
	bare   bool // of a list, only the rows
	// progress is nil where none is shown.
	progress *progress
	timeout  time.Duration
	// waitHosts is how long writes wait for hosts; 0 is not at all.
	waitHosts time.Duration
	remote    remote
	// cmd is the command that is run, and at is the daemon that it talks to.
	cmd     *cobra.Command
	at      target
	located bool
}

// run executes one command line and returns the exit code. It returns soon
// after ctx ends.
func run(ctx context.Context, args []string, sys system) int {
	a := &app{system: sys}
	a.at.Socket = sys.socket
	root := a.rootCommand()
	root.SetArgs(append([]string{}, args...))
	return a.exit(root.ExecuteContext(ctx))
}

// exit tells what is wrong and returns the exit code. It is the only place that makes
// codes of errors.
func (a *app) exit(err error) int {
	var usage *usageError
	var said result
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &said):
		return int(said)
	case errors.As(err, &usage):
		for line := range strings.Lines(usage.Error()) {
			a.complain(strings.TrimSuffix(line, "\n"))
		}
		return exitUsage
	default:
		a.complain(a.explain(err))
		return exitError
	}
}

// complain writes one line to stderr.
func (a *app) complain(text string) {
	a.progress.hide()
	defer a.progress.show()
	_, _ = fmt.Fprintf(a.stderr, "isonet: %s\n", oneLine(text)) // there is nowhere left to tell
}

func (a *app) rootCommand() *cobra.Command {
	root := a.group("isonet", "Isolated networks of a virtualization host",
		`isonet shows and changes the isolated networks of a virtualization host.
It asks isonetd on the same host over a unix socket, or on another host: see
'isonet login'.

Commands take a network by its name or its id. An id takes precedence.

Exit codes: 0 success, 1 error, 2 wrong use (isonetd was asked nothing),
3 'status': a network is not active, 'fleet status': a host is not well, 'doctor':
something is wrong, 'diff': the file differs, 'wait': it was not so in time,
'--wait-hosts': a host does not have the change, and 'prove' only: 4 a leak, 5 nothing proven,
6 isolated, but VMs' TCP or UDP does not pass.`)
	addVersionFlag(root)
	root.SetHelpCommand(helpCommand())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(wrongFlag)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) }

	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", "table", "output form: table, json or yaml; of a list also wide, with more columns, and name, with names only")
	flags.StringVar(&a.color, "color", "auto", "when to use colours: auto (on a terminal, unless NO_COLOR is set), always or never")
	flags.DurationVar(&a.timeout, "timeout", 2*time.Minute, "time limit for the whole command; 0 means none")
	a.addRemoteFlags(flags)
	must(root.RegisterFlagCompletionFunc("context", a.completeContexts))
	must(root.RegisterFlagCompletionFunc("output", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return forms(cmd), cobra.ShellCompDirectiveNoFileComp
	}))
	must(root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(whenColored(), cobra.ShellCompDirectiveNoFileComp)))

	addGroup(root, "Networks:", a.networkCommand(), a.attachCommand(), a.detachCommand(), a.labelCommand(), a.adoptCommand(), a.releaseCommand())
	addGroup(root, "Many at once:", a.setupCommand(), a.validateCommand(), a.diffCommand(), a.planCommand(), a.exportCommand(), a.backupCommand(), a.restoreCommand())
	addGroup(root, "State, traffic and proof:", a.statusCommand(), a.doctorCommand(), a.watchCommand(), a.historyCommand(), a.waitCommand(), a.proveCommand(), a.topCommand(), a.statsCommand(),
		a.portCommand(), a.guardCommand())
	addGroup(root, "Fleets:", a.fleetCommand(), a.clusterCommand(), a.tokenCommand())
	addGroup(root, "Other hosts:", a.hostCommand(), a.loginCommand(), a.logoutCommand(), a.contextCommand())
	root.AddCommand(a.completionCommand(root), a.versionCommand())
	a.addHostFlags(root)
	addExamples(root, examples())
	return root
}

// addGroup adds commands, which the help shows together.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
		root.AddCommand(c)
	}
}

func whenColored() []string { return []string{"auto", "always", "never"} }

// must stops on a mistake of this program: a flag that does not exist.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// group is a command that only has commands.
func (a *app) group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args)
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// alias gives a group other names.
func alias(group *cobra.Command, names ...string) *cobra.Command {
	group.Aliases = names
	return group
}

// usageError says that the command line, or a file that it names, is wrong.
// Nothing was asked of the daemon.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usageFor(cmd *cobra.Command, text string) error {
	return &usageError{text: fmt.Sprintf("%s; see '%s --help'", text, cmd.CommandPath())}
}

// arguments checks their number; most < 0 means that there is no limit.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageFor(cmd, "missing argument: "+what)
		case most >= 0 && len(args) > most:
			return usageFor(cmd, fmt.Sprintf("too many arguments: '%s'", args[most]))
		default:
			return nil
		}
	}
}

func (a *app) checkFlags(cmd *cobra.Command) error {
	a.cmd = cmd
	switch {
	case !slices.Contains(forms(cmd), a.output):
		return usageFor(cmd, fmt.Sprintf("unknown output form '%s': use %s", a.output, strings.Join(forms(cmd), ", ")))
	case !slices.Contains(whenColored(), a.color):
		return usageFor(cmd, fmt.Sprintf("--color is '%s': use %s", a.color, strings.Join(whenColored(), ", ")))
	case a.timeout < 0:
		return usageFor(cmd, "--timeout must not be negative")
	default:
		return nil
	}
}

// session is one command's connection to the daemon.
type session struct {
	*client.Client
	cmd  *cobra.Command
	args []string
	// host is the one that is meant, of those that report; without an id it is the
	// daemon's own.
	host client.Host
	// waited is nil where writes wait for no hosts.
	waited *awaiting
}

// with makes a cobra function of one that needs the daemon.
func (a *app) with(do func(ctx context.Context, s session) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := a.limit(cmd.Context())
		defer cancel()
		if err := a.checkHost(ctx, c); err != nil {
			return err
		}
		other, err := a.reportingHost(ctx, c)
		if err != nil {
			return err
		}
		if other.ID == "" { // else the numbers would be those of another host
			defer a.track(ctx, c)()
		}
		s := a.waiting(session{Client: c, cmd: cmd, args: args, host: other})
		if err := do(ctx, s); err != nil {
			return s.named(ctx, err)
		}
		return a.tellHosts(s)
	}
}

func (a *app) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, a.timeout+a.waitHosts)
}
