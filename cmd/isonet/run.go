package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/internal/version"
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
	// socket is the path of the daemon's socket without --socket.
	socket string
	now    func() time.Time
}

// app is one run of the command.
type app struct {
	system
	output  string
	timeout time.Duration
	remote  remote
}

// remote are the flags that say where the daemon is.
type remote struct {
	socket, url, user, passwordFile, caFile string
}

// run executes one command line and returns the exit code. It returns soon
// after ctx ends.
func run(ctx context.Context, args []string, sys system) int {
	a := &app{system: sys}
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
	_, _ = fmt.Fprintf(a.stderr, "isonet: %s\n", oneLine(text)) // there is nowhere left to tell
}

func (a *app) rootCommand() *cobra.Command {
	root := a.group("isonet", "Isolated networks of a virtualization host",
		`Isonet shows and changes the isolated networks of a virtualization host.
It talks to isonetd on the same host over a unix socket, or on another host
with --url.

Networks may be named by name or by id; an id comes first.

Exit codes: 0 success, 1 error, 2 wrong use (of which isonetd is asked nothing), 3 a network is not active,
not isolated or not known ('isonet status' and 'isonet doctor') or a file differs ('isonet diff'), 4 a leak, 5 no proof and
6 isolated but impaired ('isonet prove' only).`)
	root.Version = version.String()
	root.SetVersionTemplate("isonet {{.Version}}\n")
	root.SetHelpCommand(helpCommand())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageFor(cmd, err.Error()) })
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) }

	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", "table", "output form: table, json or yaml")
	flags.DurationVar(&a.timeout, "timeout", 2*time.Minute, "time limit for the whole command; 0 means none")
	flags.StringVar(&a.remote.socket, "socket", a.socket, "unix socket of isonetd (ISONET_SOCKET)")
	flags.StringVar(&a.remote.url, "url", "", "https://host:port of isonetd on another host")
	flags.StringVar(&a.remote.user, "user", "", "user for --url")
	flags.StringVar(&a.remote.passwordFile, "password-file", "", "file with the user's password")
	flags.StringVar(&a.remote.caFile, "cacert", "", "file with the CA certificates (PEM) that sign the daemon's")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)))

	root.AddCommand(
		a.networkCommand(), a.hostCommand(), a.labelCommand(), a.attachCommand(), a.detachCommand(),
		a.adoptCommand(), a.releaseCommand(), a.portCommand(), a.guardCommand(),
		a.setupCommand(), a.validateCommand(), a.diffCommand(), a.planCommand(), a.exportCommand(), a.backupCommand(), a.restoreCommand(), a.statusCommand(), a.doctorCommand(), a.watchCommand(), a.proveCommand(),
		a.topCommand(), a.statsCommand(),
		a.completionCommand(root), a.versionCommand(),
	)
	return root
}

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
			return unknownCommand(cmd, args[0])
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
	r := a.remote
	switch {
	case !slices.Contains([]string{"table", "json", "yaml"}, a.output):
		return usageFor(cmd, fmt.Sprintf("unknown output form '%s': use table, json or yaml", a.output))
	case a.timeout < 0:
		return usageFor(cmd, "--timeout must not be negative")
	case r.url != "" && cmd.Flags().Changed("socket"):
		return usageFor(cmd, "--socket and --url exclude each other")
	case r.url == "" && (r.user != "" || r.passwordFile != "" || r.caFile != ""):
		return usageFor(cmd, "--user, --password-file and --cacert need --url")
	case (r.user == "") != (r.passwordFile == ""):
		return usageFor(cmd, "--user and --password-file need each other")
	default:
		return nil
	}
}

// connect returns a client for the daemon that the flags name. It sends
// nothing yet: an error is one of the flags.
func (a *app) connect() (*client.Client, error) {
	c, err := a.client()
	if err != nil {
		return nil, &usageError{text: err.Error()}
	}
	return c, nil
}

func (a *app) client() (*client.Client, error) {
	o := client.Options{
		Socket: a.remote.socket, URL: a.remote.url, User: a.remote.user,
		UserAgent: "isonet/" + version.Version(),
		Warn:      func(text string) { a.complain("warning: " + text) },
	}
	if a.remote.passwordFile != "" {
		data, err := os.ReadFile(a.remote.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("read the password: %w", err)
		}
		o.Password = strings.TrimRight(string(data), "\r\n")
	}
	if a.remote.caFile != "" {
		data, err := os.ReadFile(a.remote.caFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA certificates: %w", err)
		}
		o.CACert = data
	}
	return client.New(o)
}

// session is one command's connection to the daemon.
type session struct {
	*client.Client
	cmd  *cobra.Command
	args []string
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
		s := session{Client: c, cmd: cmd, args: args}
		return s.named(ctx, do(ctx, s))
	}
}

func (a *app) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, a.timeout)
}
