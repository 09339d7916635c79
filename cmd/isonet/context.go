package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/contexts"
	"github.com/isonet/isonet/cmd/isonet/internal/grid"
)

func (a *app) contextCommand() *cobra.Command {
	return alias(a.group("context", "Show and choose the isonetds to which 'isonet login' has logged in",
		`Show and choose the isonetds to which 'isonet login' has logged in. A context
has the URL of an isonetd, a user and a login. The context 'local' is the isonetd of this
host. It is always there, and used unless another one is chosen.`,
		a.contextListCommand(), a.contextShowCommand(), a.contextUseCommand(), a.contextDeleteCommand()), "contexts")
}

// contextInfo is what is shown of a context.
type contextInfo struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	// URL is unix: and a path for the daemon of this host.
	URL  string `json:"url"`
	User string `json:"user"`
	// Login is token, password-file or none.
	Login        string `json:"login"`
	PasswordFile string `json:"password_file"`
	// Trust is fingerprint, ca or system.
	Trust       string `json:"trust"`
	Fingerprint string `json:"fingerprint"`
	Host        string `json:"host"`
}

func (a *app) infoOf(c contexts.Context, current bool) contextInfo {
	info := contextInfo{c.Name, current, c.URL, c.User, "none", c.PasswordFile, "system", c.Fingerprint, c.Host}
	switch {
	case c.Name == contexts.Local:
		info.URL, info.Trust = "unix:"+a.socket, "none"
	case c.Token != "":
		info.Login = "token"
	case c.PasswordFile != "":
		info.Login = "password-file"
	}
	switch {
	case c.Fingerprint != "":
		info.Trust = "fingerprint"
	case c.CA != "":
		info.Trust = "ca"
	}
	return info
}

func (a *app) contextListCommand() *cobra.Command {
	type c = contextInfo
	known := newList(
		grid.Column[c]{Name: "current", Path: "current", Text: func(c c) string {
			if c.Current {
				return "*"
			}
			return ""
		}, Rank: 1},
		grid.Column[c]{Name: "context", Path: "name", Text: func(c c) string { return c.Name }, Least: 12},
		grid.Column[c]{Name: "url", Path: "url", Text: func(c c) string { return c.URL }, Rank: 2, Least: 20},
		grid.Column[c]{Name: "user", Path: "user", Text: func(c c) string { return c.User }, Rank: 3, Least: 8},
		grid.Column[c]{Name: "login", Path: "login", Text: func(c c) string { return c.Login }, Rank: 4},
		grid.Column[c]{Name: "host", Path: "host", Text: func(c c) string { return c.Host }, Rank: 5, Least: 8},
	)
	known.name = 1
	return a.lists(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the contexts",
		Long:    "List the contexts. A star is at the one that is used without --context and ISONET_CONTEXT.",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := a.loadContexts()
			if err != nil {
				return usageFor(cmd, err.Error())
			}
			var list []contextInfo
			for _, c := range append([]contexts.Context{{Name: contexts.Local}}, file.Contexts...) {
				list = append(list, a.infoOf(c, c.Name == cmp.Or(file.Current, contexts.Local)))
			}
			return known.print(a, list)
		},
	}, known)
}

func (a *app) contextShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show [CONTEXT]",
		Aliases: []string{"get"},
		Short:   "Show one context, by default the one that is used",
		Long:    "Show one context, by default the one that is used. A token is never shown.",
		Args:    arguments(0, 1, ""),

		ValidArgsFunction: a.completeContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, c, err := a.contextOf(cmd, args)
			if err != nil {
				return err
			}
			info := a.infoOf(*c, c.Name == cmp.Or(file.Current, contexts.Local))
			return a.print(info, func(t *table) {
				t.row("name:", info.Name)
				t.row("url:", info.URL)
				t.row("user:", info.User)
				t.row("login:", info.Login)
				t.row("password file:", info.PasswordFile)
				t.row("trust:", info.Trust)
				t.row("fingerprint:", info.Fingerprint)
				t.row("host:", info.Host)
				t.row("file:", a.contextsPath())
			})
		},
	}
}

func (a *app) contextUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "use CONTEXT",
		Aliases:           []string{"switch"},
		Short:             "Choose the context that commands use",
		Args:              arguments(1, 1, "CONTEXT"),
		ValidArgsFunction: a.completeContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, c, err := a.contextOf(cmd, args)
			if err != nil {
				return err
			}
			if err := a.changeContexts(func(now *contexts.File) { now.Current = c.Name }); err != nil {
				return err
			}
			return a.print(a.infoOf(*c, true), func(t *table) { t.line("the context '%s' is used from now on", c.Name) })
		},
	}
}

func (a *app) contextDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "delete CONTEXT",
		Aliases:           []string{"rm", "remove"},
		Short:             "Delete a context, and end its login",
		Args:              arguments(1, 1, "CONTEXT"),
		ValidArgsFunction: a.completeContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.limit(cmd.Context())
			defer cancel()
			_, c, err := a.contextOf(cmd, args)
			if err != nil {
				return err
			}
			if c.Name == contexts.Local {
				return usageFor(cmd, "the context 'local' is the isonetd of this host, and always there")
			}
			a.revoke(ctx, *c)
			if err := a.changeContexts(func(now *contexts.File) { now.Delete(c.Name) }); err != nil {
				return err
			}
			return a.print(a.infoOf(*c, false), func(t *table) { t.line("deleted context '%s'", c.Name) })
		},
	}
}

// usedContext is the name of the context that commands use.
func (a *app) usedContext(file contexts.File) string {
	return cmp.Or(a.remote.context, a.variable(envContext), file.Current, contexts.Local)
}

// contextOf returns the context of a command's argument, else the one that is used, and
// the file that it is in. That of the daemon of this host is in no file.
func (a *app) contextOf(cmd *cobra.Command, args []string) (contexts.File, *contexts.Context, error) {
	file, err := a.loadContexts()
	if err != nil {
		return file, nil, usageFor(cmd, err.Error())
	}
	name := a.usedContext(file)
	if len(args) > 0 {
		name = args[0]
	}
	if name == contexts.Local {
		return file, &contexts.Context{Name: contexts.Local}, nil
	}
	c := file.Find(name)
	if c == nil {
		return file, nil, unknownContext(file, name)
	}
	return file, c, nil
}

// completeContext completes the name of one context.
func (a *app) completeContext(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeContexts(cmd, args, word)
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	file, err := a.loadContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return file.Names(), cobra.ShellCompDirectiveNoFileComp
}
