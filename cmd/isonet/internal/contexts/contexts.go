// Package contexts keeps in a file which daemons the command isonet was logged in to,
// and which of them it talks to.
package contexts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/isonet/isonet/internal/strictyaml"
)

// Local is the name of the daemon of this host, over its socket. It is always there,
// and in no file.
const Local = "local"

// Context is a daemon on another host, and who asks it.
type Context struct {
	Name string `yaml:"name"`
	// URL is https://host:port.
	URL string `yaml:"url"`
	// User is who logged in; "" if the daemon asks for none.
	User string `yaml:"user"`
	// Token is what the login has got. It is a secret.
	Token string `yaml:"token"`
	// PasswordFile is the absolute path of a file with the password, in place of a token.
	PasswordFile string `yaml:"password_file"`
	// CA holds the certificates in PEM form that sign the daemon's, and Fingerprint is
	// that of the one certificate that is trusted. Without both the system's count.
	CA          string `yaml:"ca"`
	Fingerprint string `yaml:"fingerprint"`
	// Host is the host that commands mean, by name or id; "" is the daemon's own.
	Host string `yaml:"host"`
}

// File is what a file has.
type File struct {
	// Current is the name of the context that is used; "" is Local.
	Current  string    `yaml:"current"`
	Contexts []Context `yaml:"contexts"`
}

// Find returns the context of a name, or nil.
func (f *File) Find(name string) *Context {
	i := slices.IndexFunc(f.Contexts, func(c Context) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Contexts[i]
}

// Put adds a context, or replaces the one of its name.
func (f *File) Put(c Context) {
	if old := f.Find(c.Name); old != nil {
		*old = c
		return
	}
	f.Contexts = append(f.Contexts, c)
}

// Forget ends the login that a context had, unless another one was made since.
func (f *File) Forget(had Context) {
	if c := f.Find(had.Name); c != nil && c.Token == had.Token {
		c.Token, c.PasswordFile = "", ""
	}
}

// Delete removes a context. Local is used in its place.
func (f *File) Delete(name string) {
	f.Contexts = slices.DeleteFunc(f.Contexts, func(c Context) bool { return c.Name == name })
	if f.Current == name {
		f.Current = ""
	}
}

// Names are the names of all contexts, with Local.
func (f *File) Names() []string {
	names := []string{Local}
	for _, c := range f.Contexts {
		names = append(names, c.Name)
	}
	return names
}

var namePattern = regexp.MustCompile(`^[0-9A-Za-z._-]+$`)

// ValidateName refuses what cannot name a context of the file.
func ValidateName(name string) error {
	switch {
	case name == Local:
		return fmt.Errorf("'%s' is the isonetd of this host: choose another name", Local)
	case !namePattern.MatchString(name):
		return fmt.Errorf("'%s' cannot name a context: use English letters, digits, dots, hyphens and underscores", name)
	}
	return nil
}

// hidden says that nobody may see whether a file is there.
func hidden(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrPermission)
}

// Load reads a file. One that does not exist has no contexts, and neither has one in
// another user's home, as after setpriv or su, which keep HOME. It refuses one with a
// token that others may read.
func Load(path string) (File, error) {
	var f File
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && hidden(path) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("read the contexts: %w", err)
	}
	err = strictyaml.Decode(path, data, &f, func() []error { return f.check() })
	if err != nil {
		return File{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return f, fmt.Errorf("look at the contexts: %w", err)
	}
	secret := slices.ContainsFunc(f.Contexts, func(c Context) bool { return c.Token != "" })
	if secret && info.Mode().Perm()&0o077 != 0 {
		return File{}, fmt.Errorf("others may read %s, and it has a token of a login: do 'chmod 600 %s', and log in again if somebody may have read it", path, path)
	}
	return f, nil
}

// check returns what is wrong with the contexts, by their places.
func (f *File) check() []error {
	var wrong []error
	seen := map[string]bool{}
	for i, c := range f.Contexts {
		about := func(key string, err error) {
			if err != nil {
				wrong = append(wrong, strictyaml.At(err, "contexts", i, key))
			}
		}
		about("name", ValidateName(c.Name))
		if seen[c.Name] {
			about("name", fmt.Errorf("the context '%s' is there twice", c.Name))
		}
		seen[c.Name] = true
		if c.URL == "" {
			about("url", fmt.Errorf("the context '%s' has no url", c.Name))
		}
	}
	return wrong
}

// Marshal writes the file's content.
func (f File) Marshal() ([]byte, error) {
	data, err := yaml.MarshalWithOptions(f, yaml.OmitEmpty(), yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return nil, fmt.Errorf("write the contexts: %w", err)
	}
	return data, nil
}
