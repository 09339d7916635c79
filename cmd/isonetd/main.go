// Command isonetd makes isolated networks on a virtualization host: it serves
// oVirt's REST API for them, realises them as Open vSwitch bridges without
// physical ports, keeps them so, and exports their metrics.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/version"
)

const defaultConfig = "/etc/isonet/isonetd.yaml"

func main() {
	// From the first moment, because SIGHUP would end the process otherwise.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, reload, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 after a stop by signal, 1 after a failure, 2 for
// a wrong command line or configuration. Each reload reads the configuration anew.
func run(ctx context.Context, reload <-chan os.Signal, args []string, stdout, stderr io.Writer) int {
	code := 2
	cmd := command(func(read func() (daemon.Config, error)) error {
		cfg, err := read()
		if err != nil {
			return err
		}
		code = 1
		return serve(ctx, reload, cfg, read, stderr)
	})
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	if err := cmd.Execute(); err != nil {
		_, _ = fmt.Fprintf(stderr, "isonetd: %v\n", err) // there is nowhere else to say it
		return code
	}
	return 0
}

func serve(ctx context.Context, reload <-chan os.Signal, cfg daemon.Config, read func() (daemon.Config, error), stderr io.Writer) error {
	log := daemon.NewLogger(cfg, stderr)
	log.Info("starting", "version", version.String())
	d, err := daemon.New(cfg, log)
	if err != nil {
		return err
	}
	go d.Follow(ctx, reload, read)
	return d.Run(ctx)
}

// command returns the command line. Serve gets what reads the configuration, each time
// anew.
func command(serve func(read func() (daemon.Config, error)) error) *cobra.Command {
	file, check := defaultConfig, false
	flags := daemon.DefaultOptions()
	cmd := &cobra.Command{
		Use:           "isonetd",
		Short:         "Isolated networks on Open vSwitch",
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	hint := func(err error) error {
		if err != nil {
			err = fmt.Errorf("%w; see 'isonetd --help'", err)
		}
		return err
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error { return hint(cobra.NoArgs(cmd, args)) }
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return hint(err) })
	cmd.Flags().StringVar(&file, "config", file, "configuration file; its keys are the names of these flags")
	cmd.Flags().BoolVar(&check, "check-config", false, "say whether the configuration can be used, with the files that it names, and end")
	bind(cmd.Flags(), &flags)
	read := func() (daemon.Config, error) {
		options, err := readFile(file, cmd.Flags().Changed("config"))
		if err != nil {
			return daemon.Config{}, err
		}
		// What the command line says goes over what the file says.
		over := pflag.NewFlagSet("", pflag.ContinueOnError)
		bind(over, &options)
		cmd.Flags().Visit(func(given *pflag.Flag) {
			if f := over.Lookup(given.Name); f != nil {
				err = errors.Join(err, f.Value.Set(given.Value.String()))
			}
		})
		if err != nil {
			return daemon.Config{}, err
		}
		return options.Parse()
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !check {
			return serve(read)
		}
		cfg, err := read()
		if err == nil {
			err = cfg.Check()
		}
		if err != nil {
			return err
		}
		cmd.Println("The configuration can be used.")
		return nil
	}
	return cmd
}

// bind makes a flag for every option, with the option's value as its default.
func bind(f *pflag.FlagSet, o *daemon.Options) {
	o.Visit(func(name string, value *string, usage string) { f.StringVar(value, name, *value, usage) })
	for _, name := range []string{"metrics-ports", "api-only"} { // the flags that need no value
		f.Lookup(name).NoOptDefVal = "true"
	}
}

// readFile reads the configuration file. Only one that was asked for has to
// exist.
func readFile(path string, asked bool) (daemon.Options, error) {
	options := daemon.DefaultOptions()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !asked {
		return options, nil
	}
	if err != nil {
		return options, fmt.Errorf("open the configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	return options, options.ReadOptions(path, f)
}
