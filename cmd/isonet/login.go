package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/contexts"
)

var fingerprintPattern = regexp.MustCompile(`^([0-9A-Fa-f]{2}:?){32}$`)

var errNoPlace = errors.New("there is no place to keep a login: set HOME or XDG_CONFIG_HOME")

type loginFlags struct{ name, fingerprint string }

func (a *app) loginCommand() *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use:   "login [URL]",
		Short: "Log in to isonetd on another host, for the commands that follow",
		Long: `Log in to isonetd on another host and keep that as a context, which is used by the
commands that follow. Without a URL, log in again to the context that is used.

The password is asked for on the terminal, and isonetd gives a token for it. The
token is kept, in a file that only you can read, and the password is not. The token
ends with 'isonet logout', when isonetd is restarted, and when it is not used for a
while. With '--password-file FILE' there is no token: the name of the file is kept,
and the password is read from it each time. '--password-file -' reads the password
for a token from standard input.

A certificate that is not trusted is shown with its SHA-256 fingerprint, and kept if
you say that it is right. From then on isonet trusts that certificate alone there.`,
		Args:              arguments(0, 1, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.login(cmd.Context(), cmd, f, args)
		},
	}
	cmd.Flags().StringVar(&f.name, "name", "", "name of the context; without it that of the URL's host")
	cmd.Flags().StringVar(&f.fingerprint, "fingerprint", "", "SHA-256 fingerprint of the certificate to trust")
	must(cmd.RegisterFlagCompletionFunc("name", a.completeContexts))
	must(cmd.RegisterFlagCompletionFunc("fingerprint", cobra.NoFileCompletions))
	return cmd
}

// loginReport is the machine form of a login.
type loginReport struct {
	Context string `json:"context"`
	URL     string `json:"url"`
	User    string `json:"user"`
}

// within gives a request the time limit. Whoever types has none.
func (a *app) within(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	return request(ctx)
}

// try asks the daemon for something small.
func (a *app) try(ctx context.Context, c *client.Client) error {
	return a.within(ctx, func(ctx context.Context) error {
		_, err := c.Version(ctx)
		return err
	})
}

func (a *app) login(ctx context.Context, cmd *cobra.Command, f loginFlags, args []string) error {
	file, err := a.loadContexts()
	if err != nil {
		return usageFor(cmd, err.Error())
	}
	to, err := a.loginTo(file, f, args)
	if unknown, is := errors.AsType[*unknownError](err); is {
		return unknown
	}
	if err != nil {
		return usageFor(cmd, err.Error())
	}
	before := to.Token
	c, open, err := a.reach(ctx, &to, f.fingerprint != "")
	if err != nil {
		return err
	}
	defer func() { c.Close() }()
	if !open || to.User != "" {
		if err := a.authenticate(ctx, cmd, c, &to); err != nil {
			return err
		}
	}
	if before != "" {
		_ = a.within(ctx, func(ctx context.Context) error { return c.Logout(ctx, before) }) // it ends by itself
	}
	err = a.changeContexts(func(now *contexts.File) {
		now.Put(to)
		now.Current = to.Name
	})
	if err != nil {
		return err
	}
	return a.print(loginReport{to.Name, to.URL, to.User}, func(t *table) {
		as := ""
		if to.User != "" {
			as = fmt.Sprintf(" as '%s'", to.User)
		}
		t.line("logged in to %s%s: the context '%s' is used from now on", to.URL, as, to.Name)
	})
}

// loginTo returns the context to log in to, with what is known of it before.
func (a *app) loginTo(file contexts.File, f loginFlags, args []string) (to contexts.Context, err error) {
	switch {
	case f.name != "" && contexts.ValidateName(f.name) != nil:
		return to, contexts.ValidateName(f.name)
	case f.fingerprint != "" && !fingerprintPattern.MatchString(f.fingerprint):
		return to, fmt.Errorf("'%s' is no SHA-256 fingerprint: it has 64 hexadecimal digits, with colons or without", f.fingerprint)
	case a.configDir == "":
		return to, errNoPlace
	case a.remote.url != "" || a.cmd.Flags().Changed("socket"):
		return to, errors.New("--url and --socket are not for a login: give the URL as its argument")
	case len(args) == 0:
		name := cmp.Or(f.name, a.usedContext(file))
		if name == contexts.Local {
			return to, errors.New("missing argument: URL, because no login was made before")
		}
		if file.Find(name) == nil {
			return to, unknownContext(file, name)
		}
		to = *file.Find(name)
	default:
		if to, err = newContext(file, f.name, args[0]); err != nil {
			return to, err
		}
	}
	to.User = cmp.Or(a.remote.user, a.variable(envUser), to.User)
	to.Host = cmp.Or(a.remote.host, to.Host)
	to.PasswordFile = cmp.Or(a.remote.passwordFile, a.variable(envPasswordFile), to.PasswordFile)
	t := target{}
	if err := a.trust(&t, to); err != nil {
		return to, err
	}
	to.CA, to.Fingerprint = string(t.CACert), cmp.Or(f.fingerprint, t.Fingerprint)
	// Who logs in sends a password.
	c, err := client.New(client.Options{URL: to.URL, User: cmp.Or(to.User, "?"), CACert: t.CACert})
	if err == nil {
		c.Close()
	}
	return to, err
}

// newContext returns the context of a URL. One that is there keeps what was said of it.
func newContext(file contexts.File, name, address string) (contexts.Context, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return contexts.Context{}, fmt.Errorf("the URL '%s' must have the form https://host:port", address)
	}
	address = strings.TrimRight(address, "/")
	chosen := cmp.Or(name, strings.ReplaceAll(u.Hostname(), ":", "-"))
	if name == "" && contexts.ValidateName(chosen) != nil {
		return contexts.Context{}, fmt.Errorf("the host '%s' cannot name a context: choose a name with --name", u.Hostname())
	}
	old := file.Find(chosen)
	switch {
	case old != nil && old.URL == address:
		return *old, nil
	case old != nil && name == "":
		return contexts.Context{}, fmt.Errorf("the context '%s' is of %s: choose another name with --name", chosen, old.URL)
	}
	return contexts.Context{Name: chosen, URL: address}, nil
}

// reach finds the daemon and trusts its certificate, for which it may have to ask. Open
// says that the daemon wants no user.
func (a *app) reach(ctx context.Context, to *contexts.Context, told bool) (c *client.Client, open bool, err error) {
	for {
		if c, err = a.clientOf(*to, ""); err != nil {
			return nil, false, usageFor(a.cmd, err.Error())
		}
		err = a.try(ctx, c)
		untrusted, unknown := errors.AsType[*tls.CertificateVerificationError](err)
		switch {
		case err == nil, errors.Is(err, client.ErrUnauthorized):
			return c, err == nil, nil
		case errors.Is(err, client.ErrOtherCertificate) && !told:
			a.complain("warning: the certificate of " + to.URL + " is another one than at the last login")
			to.Fingerprint = "" // look at it as one that was never seen
		case unknown && to.Fingerprint == "":
			if err := a.askTrust(ctx, to, untrusted); err != nil {
				c.Close()
				return nil, false, err
			}
		default:
			c.Close()
			return nil, false, err
		}
		c.Close()
	}
}

// clientOf returns a client for a context, with the password if there is one.
func (a *app) clientOf(to contexts.Context, password string) (*client.Client, error) {
	t := target{context: to.Name}
	t.URL, t.Fingerprint, t.UserAgent = to.URL, to.Fingerprint, userAgent()
	if to.CA != "" {
		t.CACert = []byte(to.CA)
	}
	if password != "" {
		t.User, t.Password = to.User, password
	}
	a.at, a.located = t, true
	return client.New(t.Options)
}

// askTrust asks whether a certificate is the right one.
func (a *app) askTrust(ctx context.Context, to *contexts.Context, untrusted *tls.CertificateVerificationError) error {
	leaf := untrusted.UnverifiedCertificates[0]
	if a.ask == nil {
		return fmt.Errorf("the certificate of %s is not trusted: %w; its SHA-256 fingerprint is %s: give --fingerprint with it if that is right, or its CA with --cacert",
			to.URL, untrusted.Err, client.Fingerprint(leaf))
	}
	_, err := fmt.Fprint(a.stderr, certificate(to.URL, untrusted.Err, leaf))
	if err != nil {
		return fmt.Errorf("show the certificate: %w", err)
	}
	answer, err := a.ask(ctx, "Trust it from now on? [y/N] ", false)
	if err != nil {
		return fmt.Errorf("ask whether to trust the certificate: %w", err)
	}
	if !slices.Contains([]string{"y", "yes"}, strings.ToLower(answer)) {
		return errors.New("the certificate is not trusted: nothing was sent")
	}
	to.Fingerprint = client.Fingerprint(leaf)
	return nil
}

// certificate describes one to whoever has to trust it.
func certificate(address string, why error, c *x509.Certificate) string {
	t := &table{}
	t.line("The certificate of %s is not trusted: %v", address, why)
	t.row("  subject:", c.Subject.String())
	t.row("  issuer:", c.Issuer.String())
	t.row("  valid until:", moment(c.NotAfter))
	t.row("  SHA-256:", client.Fingerprint(c))
	t.line("Compare it with that on the host: openssl x509 -noout -fingerprint -sha256 -in /etc/isonet/cert.pem")
	return string(t.bytes())
}

// authenticate gets a token, or tries the password of a file.
func (a *app) authenticate(ctx context.Context, cmd *cobra.Command, c *client.Client, to *contexts.Context) error {
	if to.User == "" {
		if a.ask == nil {
			return usageFor(cmd, "missing flag: --user NAME")
		}
		var err error
		if to.User, err = a.ask(ctx, "User: ", false); err != nil || to.User == "" {
			return errors.Join(errors.New("a user is needed"), err)
		}
	}
	password, err := a.loginPassword(ctx, cmd, to)
	if err != nil {
		return err
	}
	if to.PasswordFile != "" {
		own, err := a.clientOf(*to, password)
		if err != nil {
			return usageFor(cmd, err.Error())
		}
		defer own.Close()
		to.Token = ""
		return a.try(ctx, own)
	}
	a.at.User, a.at.Password = to.User, password // for the words of a refusal
	return a.within(ctx, func(ctx context.Context) error {
		to.Token, err = c.Login(ctx, to.User, password)
		return err
	})
}

// loginPassword reads the password, or asks for it. Only the name of a file is kept.
func (a *app) loginPassword(ctx context.Context, cmd *cobra.Command, to *contexts.Context) (string, error) {
	switch {
	case to.PasswordFile == "" && a.ask == nil:
		return "", usageFor(cmd, "missing flag: --password-file FILE, or - for standard input")
	case to.PasswordFile == "":
		return a.ask(ctx, fmt.Sprintf("Password of '%s' at %s: ", to.User, to.URL), true)
	}
	password, err := a.readPassword(to.PasswordFile)
	if err != nil {
		return "", usageFor(cmd, err.Error())
	}
	if to.PasswordFile == "-" {
		to.PasswordFile = ""
		return password, nil
	}
	to.PasswordFile, err = filepath.Abs(to.PasswordFile)
	return password, err
}

// changeContexts changes the contexts as the file has them now: another isonet may have
// changed them while this one asked for a password.
func (a *app) changeContexts(change func(*contexts.File)) error {
	path := a.contextsPath()
	if path == "" {
		return errNoPlace
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays one
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the contexts: %w", err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open the directory of the contexts: %w", err)
	}
	defer func() { _ = lock.Close() }()
	// Some file systems of a network cannot lock a directory: there the last one wins.
	_ = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	file, err := contexts.Load(path)
	if err != nil {
		return err
	}
	change(&file)
	data, err := file.Marshal()
	if err != nil {
		return err
	}
	if err := replaceFile(path, data); err != nil {
		return fmt.Errorf("write the contexts: %w", err)
	}
	return nil
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout [CONTEXT]",
		Short: "End a login, and forget its token",
		Long: `End a login: isonetd forgets its token, and so does the context. The context stays,
with its URL, its user and the certificate that is trusted.`,
		Args:              arguments(0, 1, ""),
		ValidArgsFunction: a.completeContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.limit(cmd.Context())
			defer cancel()
			_, c, err := a.contextOf(cmd, args)
			if err != nil {
				return err
			}
			ended := c.Token != "" || c.PasswordFile != ""
			if ended {
				a.revoke(ctx, *c)
				if err := a.changeContexts(func(now *contexts.File) { now.Forget(*c) }); err != nil {
					return err
				}
			}
			return a.print(loginReport{c.Name, c.URL, c.User}, func(t *table) {
				if ended {
					t.line("logged out of the context '%s'", c.Name)
				} else {
					t.line("nothing to change")
				}
			})
		},
	}
}

// revoke ends the token of a context at the daemon, if that can be reached.
func (a *app) revoke(ctx context.Context, of contexts.Context) {
	if of.Token == "" {
		return
	}
	c, err := a.clientOf(of, "")
	if err == nil {
		err = c.Logout(ctx, of.Token)
		c.Close()
	}
	if err != nil {
		a.complain("warning: the token is forgotten here, and isonetd lets it end by itself: " + a.explain(err))
	}
}
