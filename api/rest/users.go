package rest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// maxCost bounds the work factor of a bcrypt hash; htpasswd's own bound. A
// check at 17 takes some seconds.
const maxCost = 17

// maxChecks bounds how many passwords are checked at once, so that wrong ones
// cannot take the host's processors from its virtual machines.
const maxChecks = 2

// Users are those who may use the API over TCP. They are read once.
type Users struct {
	hashes map[string][]byte
	// readers are those of them who may not change anything.
	readers map[string]bool
	// decoy is checked for an unknown user, so that the time of the answer
	// does not tell who exists.
	decoy  []byte
	key    []byte
	checks chan struct{}

	mu sync.Mutex
	// verified holds a keyed hash of each user's right password, so that not
	// every request pays for bcrypt.
	verified map[string][]byte
}

// LoadUsers reads a file of htpasswd -B: a user and a bcrypt hash per line,
// joined by a colon. Empty lines and lines that begin with '#' are skipped. It
// refuses a file that everybody may write, other hashes and an empty file. The
// readers must be in the file; they may look at everything and change nothing.
func LoadUsers(path string, readers ...string) (*Users, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the users file %s does not exist: make it with 'htpasswd -cB %s USER'", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("look at the users file: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("the users file %s may be written by everybody: do 'chmod o-w %s'", path, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the users file: %w", err)
	}
	users, err := parseUsers(data)
	if err != nil {
		return nil, fmt.Errorf("the users file %s: %w", path, err)
	}
	for _, name := range readers {
		if users.hashes[name] == nil {
			return nil, fmt.Errorf("the reader '%s' is not in the users file %s: add it with 'htpasswd -B', or take it from readers", name, path)
		}
		users.readers[name] = true
	}
	return users, nil
}

func parseUsers(data []byte) (*Users, error) {
	u := &Users{
		hashes: map[string][]byte{}, readers: map[string]bool{}, verified: map[string][]byte{},
		key: make([]byte, sha256.Size), checks: make(chan struct{}, maxChecks),
	}
	work := bcrypt.MinCost
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		name, hash, joined := strings.Cut(string(line), ":")
		if !joined || name == "" {
			return nil, fmt.Errorf("line %d is not USER:HASH", number)
		}
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil {
			return nil, fmt.Errorf("line %d: the password of '%s' is not a bcrypt hash: set it again with 'htpasswd -B'", number, name)
		}
		if cost > maxCost {
			return nil, fmt.Errorf("line %d: the bcrypt cost %d of '%s' is too high: use at most %d", number, cost, name, maxCost)
		}
		if _, twice := u.hashes[name]; twice {
			return nil, fmt.Errorf("line %d names the user '%s' again: keep one line", number, name)
		}
		u.hashes[name] = []byte(hash)
		work = max(work, cost)
	}
	if len(u.hashes) == 0 {
		return nil, errors.New("it has no user: add one with 'htpasswd -B'")
	}
	rand.Read(u.key)
	var err error
	if u.decoy, err = bcrypt.GenerateFromPassword([]byte(rand.Text()), work); err != nil {
		return nil, fmt.Errorf("make a decoy hash: %w", err)
	}
	return u, nil
}

// names returns who is in the users file, in order. On the unix socket there are none.
func (u *Users) names() []string {
	if u == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(u.hashes))
}

// same reports whether a user has the same password as before.
func (u *Users) same(before *Users, user string) bool {
	hash, exists := u.hashes[user]
	return exists && bytes.Equal(hash, before.hashes[user])
}

// remembers returns the name in the users file of whom the password has let in before.
func (u *Users) remembers(name, password string) (user string, known bool) {
	user, _ = u.resolve(name)
	return user, u.known(user, u.mac(user, password))
}

// verify returns the name in the users file of whom the password lets in. Its
// error for a wrong name or password is an ErrUnauthorized.
func (u *Users) verify(ctx context.Context, name, password string) (string, error) {
	wrong := Refuse(ErrUnauthorized, "The user name or password is incorrect.")
	name, hash := u.resolve(name)
	mac := u.mac(name, password)
	if u.known(name, mac) {
		return name, nil
	}
	select {
	case u.checks <- struct{}{}:
		defer func() { <-u.checks }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if hash == nil {
		_ = bcrypt.CompareHashAndPassword(u.decoy, []byte(password))
		return "", wrong
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil {
		return "", wrong
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.verified[name] = mac
	return name, nil
}

// keycloakProfile is what an engine with Keycloak appends to the name of a user.
const keycloakProfile = "@ovirt@internalsso"

// resolve finds a user, with or without the profile that oVirt's clients
// append (admin@internal, admin@ovirt@internalsso).
func (u *Users) resolve(name string) (string, []byte) {
	if hash, ok := u.hashes[name]; ok {
		return name, hash
	}
	if plain, found := strings.CutSuffix(name, keycloakProfile); found && u.hashes[plain] != nil {
		return plain, u.hashes[plain]
	}
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		name = name[:at]
	}
	return name, u.hashes[name]
}

func (u *Users) mac(name, password string) []byte {
	h := hmac.New(sha256.New, u.key)
	h.Write([]byte(name))
	h.Write([]byte{0})
	h.Write([]byte(password))
	return h.Sum(nil)
}

func (u *Users) known(name string, mac []byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return hmac.Equal(u.verified[name], mac)
}
