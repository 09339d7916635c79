package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/contexts"
	"github.com/isonet/isonet/internal/version"
)

// The variables that stand for flags. A flag goes before its variable, and a variable
// before what a context says.
const (
	envSocket       = "ISONET_SOCKET"
	envURL          = "ISONET_URL"
	envContext      = "ISONET_CONTEXT"
	envUser         = "ISONET_USER"
	envPasswordFile = "ISONET_PASSWORD_FILE"
	envCA           = "ISONET_CA"
	envHost         = "ISONET_HOST"
)

// remote are the flags that say where the daemon is, who asks it, and about which host.
type remote struct {
	socket, url, context, user, passwordFile, caFile, host string
}

func (a *app) addRemoteFlags(flags *pflag.FlagSet) {
	flags.StringVar(&a.remote.socket, "socket", a.socket, "unix socket of isonetd (ISONET_SOCKET)")
	flags.StringVar(&a.remote.url, "url", "", "https://host:port of isonetd on another host (ISONET_URL)")
	flags.StringVar(&a.remote.context, "context", "", "context of a login, see 'isonet context' (ISONET_CONTEXT)")
	flags.StringVar(&a.remote.user, "user", "", "user for --url (ISONET_USER)")
	flags.StringVar(&a.remote.passwordFile, "password-file", "", "file with the user's password; - means standard input (ISONET_PASSWORD_FILE)")
	flags.StringVar(&a.remote.caFile, "cacert", "", "file with the CA certificates (PEM) that sign isonetd's (ISONET_CA)")
}

// target is the daemon that a command talks to.
type target struct {
	client.Options
	// context is the name of the context that says so; "" is none.
	context string
	// said is the variable or the context that says so, for messages; "" is a flag.
	said string
	// host is the host that commands mean, by name or id; "" is the daemon's own.
	host string
}

// place is one way to say where the daemon is.
type place struct{ kind, value, said string }

// placed returns what the flags say, else what the variables say; nil is nothing.
func (a *app) placed() (*place, error) {
	flags := []place{{"socket", "", "--socket"}, {"url", a.remote.url, "--url"}, {"context", a.remote.context, "--context"}}
	if a.cmd.Flags().Changed("socket") {
		flags[0].value = a.remote.socket
	}
	variables := []place{{"socket", a.variable(envSocket), envSocket}, {"url", a.variable(envURL), envURL}, {"context", a.variable(envContext), envContext}}
	for _, level := range [][]place{flags, variables} {
		var found *place
		for i, p := range level {
			switch {
			case p.value == "":
			case found != nil:
				return nil, fmt.Errorf("%s and %s exclude each other", found.said, p.said)
			default:
				found = &level[i]
			}
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, nil //nolint:nilnil // nothing is said, which is no error
}

func userAgent() string { return "isonet/" + version.Version() }

// variable returns a variable of the environment; "" if it is not set.
func (a *app) variable(name string) string {
	if a.env == nil {
		return ""
	}
	return a.env(name)
}

// locate sets at. An error is one of the command line, of the variables or of the
// contexts.
func (a *app) locate() error {
	if a.located {
		return nil
	}
	t, err := a.target()
	if unknown, is := errors.AsType[*unknownError](err); is {
		return unknown
	}
	if err != nil {
		return usageFor(a.cmd, err.Error())
	}
	a.at, a.located = t, true
	return nil
}

// target finds out which daemon is meant, and who asks it.
func (a *app) target() (target, error) {
	t := target{Options: client.Options{
		Socket: a.socket, UserAgent: userAgent(),
		Warn: func(text string) { a.complain("warning: " + text) },
	}}
	at, err := a.placed()
	if err != nil {
		return t, err
	}
	var from contexts.Context
	switch {
	case at != nil && at.kind == "socket":
		t.Socket = at.value
	case at != nil && at.kind == "url":
		t.URL = at.value
		if at.said == envURL {
			t.said = envURL + ": "
		}
	default:
		wanted := ""
		if at != nil {
			wanted = at.value
		}
		if from, err = a.savedContext(wanted); err != nil {
			return t, err
		}
		t.URL, t.context = from.URL, from.Name
		t.said = fmt.Sprintf("the context '%s': ", from.Name)
	}
	t.host = cmp.Or(a.remote.host, a.variable(envHost), from.Host)
	if t.URL == "" {
		return t, a.noCredentials()
	}
	if err := a.identify(&t, from); err != nil {
		return t, err
	}
	return t, a.trust(&t, from)
}

// noCredentials refuses flags that a unix socket has no use for.
func (a *app) noCredentials() error {
	if r := a.remote; r.user != "" || r.passwordFile != "" || r.caFile != "" {
		return errors.New("--user, --password-file and --cacert need --url or --context")
	}
	return nil
}

// identify says who asks: by flags and variables, else by the context.
func (a *app) identify(t *target, from contexts.Context) error {
	user, file := cmp.Or(a.remote.user, a.variable(envUser)), cmp.Or(a.remote.passwordFile, a.variable(envPasswordFile))
	if user == "" && file == "" {
		t.User, t.Token, file = from.User, from.Token, from.PasswordFile
		if file == "" {
			return nil
		}
	} else {
		t.User = cmp.Or(user, from.User)
	}
	switch {
	case t.User != "" && file != "":
	case a.remote.user == "" && a.remote.passwordFile == "":
		return fmt.Errorf("%s and %s need each other", envUser, envPasswordFile)
	default:
		return errors.New("--user and --password-file need each other")
	}
	var err error
	t.Password, err = a.readPassword(file)
	return err
}

// readPassword reads the first line of a file; - is standard input, which nobody else
// can read then.
func (a *app) readPassword(file string) (string, error) {
	data, err := a.readInput(file)
	if file == "-" {
		a.stdin = spent{}
	}
	password := strings.TrimRight(string(data), "\r\n")
	switch {
	case err != nil:
		return "", fmt.Errorf("read the password: %w", err)
	case password == "":
		return "", errors.New("read the password: there is none in it")
	}
	return password, nil
}

// spent is standard input after the password.
type spent struct{}

func (spent) Read([]byte) (int, error) {
	return 0, errors.New("standard input has the password ('--password-file -'): name a file for one of them")
}

// trust says which certificate the daemon may have.
func (a *app) trust(t *target, from contexts.Context) error {
	file := cmp.Or(a.remote.caFile, a.variable(envCA))
	if file == "" {
		t.Fingerprint = from.Fingerprint
		if from.CA != "" {
			t.CACert = []byte(from.CA)
		}
		return nil
	}
	data, err := readFile(file)
	if err != nil {
		return fmt.Errorf("read the CA certificates: %w", err)
	}
	t.CACert = data
	return nil
}

// connect returns a client for the daemon that is meant. It sends nothing yet: an error
// is one of the command line, of the variables or of the contexts.
func (a *app) connect() (*client.Client, error) {
	if err := a.locate(); err != nil {
		return nil, err
	}
	c, err := client.New(a.at.Options)
	if err != nil {
		return nil, usageFor(a.cmd, a.at.said+err.Error())
	}
	return c, nil
}

// contextsPath is the file of the contexts; "" if there is no place for it.
func (a *app) contextsPath() string {
	if a.configDir == "" {
		return ""
	}
	return filepath.Join(a.configDir, "isonet", "config.yaml")
}

// savedContext returns the context of a name, "" being the current one. That of the
// daemon of this host is empty.
func (a *app) savedContext(name string) (contexts.Context, error) {
	file, err := a.loadContexts()
	if err != nil {
		return contexts.Context{}, err
	}
	name = cmp.Or(name, file.Current, contexts.Local)
	if name == contexts.Local {
		return contexts.Context{}, nil
	}
	found := file.Find(name)
	if found == nil {
		return contexts.Context{}, unknownContext(file, name)
	}
	return *found, nil
}

func (a *app) loadContexts() (contexts.File, error) {
	path := a.contextsPath()
	if path == "" {
		return contexts.File{}, nil
	}
	return contexts.Load(path)
}

func unknownContext(file contexts.File, name string) error {
	return unknownNames("there is no context", "isonet context list", file.Names(), name)
}
